/** One pull, held against what the user did and has not pushed: what has to be written, and what that costs. */

import type { Change, ServerRecord } from "../types.js";
import { type Incoming, judge, judgeDeletion, type Verdict } from "./judge.js";
import { type Conflict, key, type SentRow } from "./ledger.js";
import type { Pulled } from "./pull.js";
import { type MarkedRow, type Row, rowOf, type SyncedTable, type Tables } from "./tables.js";

/** A table's part of what `synchronize` applies. */
export interface TableChanges {
  created: Row[];
  updated: Row[];
  deleted: string[];
}

export class Lap {
  readonly pulled: Pulled;
  /** What the server's win discards, by {@link key}. */
  readonly conflicts = new Map<string, Conflict>();
  readonly #tables: Tables;
  readonly #sent: Map<string, SentRow>;
  /** By table and id. */
  readonly #incoming = new Map<string, Map<string, Incoming>>();
  /** New rows, which stay though the server has nothing under their ids. */
  readonly #kept = new Set<string>();

  /** `refusedBy` are the records for which the server refused the push before. */
  constructor(tables: Tables, pulled: Pulled, sent: Map<string, SentRow>, refusedBy: readonly ServerRecord[]) {
    this.#tables = tables;
    this.pulled = pulled;
    this.#sent = sent;
    for (const { name } of tables.all) this.#incoming.set(name, new Map());
    // Where a delta says nothing of a record, it is as it was last heard of: as we pushed it, or as the server then said.
    // A full pull says something of every record.
    if (!pulled.full) {
      for (const { table: name, id, row } of sent.values()) {
        const table = tables.named(name);
        if (table && row) this.#incoming.get(name)?.set(id, { row: rowOf(table, id, row), rev: 0, refused: false });
      }
      for (const record of refusedBy) this.#take(record, true);
    }
    const refused = new Set(refusedBy.map(nameOf));
    for (const change of pulled.changes) this.#take(change, refused.has(nameOf(change)));
  }

  /** Whether the pull says anything of a table. */
  speaksOf(table: SyncedTable): boolean {
    return this.pulled.full || (this.#incoming.get(table.name)?.size ?? 0) > 0;
  }

  /** The row that the server has, if this pull speaks of it: null if there is none. */
  incoming(table: SyncedTable, id: string): Incoming | undefined {
    const said = this.#incoming.get(table.name)?.get(id);
    return said ?? (this.pulled.full ? { row: null, rev: 0, refused: false } : undefined);
  }

  /** Whose version of an edited row stays, and notes the conflict if there is one; undefined if the pull is not about it. */
  judge(table: SyncedTable, local: MarkedRow): Verdict | undefined {
    const server = this.incoming(table, local.id);
    if (!server) return undefined;
    const verdict = judge(table, local, server, this.#sent.get(key(table.name, local.id)), this.pulled.sight);
    if (verdict.stays === "local") this.#kept.add(key(table.name, local.id));
    this.#note(table, local.id, server, verdict);
    return verdict;
  }

  /** Whether the server overrules the deletion of a row, which then is a conflict. */
  overrules(table: SyncedTable, id: string): boolean {
    const server = this.incoming(table, id);
    if (!server?.row) return false;
    const verdict = judgeDeletion(table, server, this.#sent.get(key(table.name, id)), this.pulled.sight);
    this.#note(table, id, server, verdict);
    return verdict.stays === "server";
  }

  /** The last word on a row as WatermelonDB is about to write it. */
  resolve(table: SyncedTable, local: MarkedRow, remote: Row): MarkedRow {
    const verdict = this.judge(table, local);
    const row = { ...remote, id: local.id, _status: "synced", _changed: "" } as MarkedRow;
    if (verdict?.stays !== "local") return row;
    row._status = "updated";
    row._changed = verdict.edits.join(",");
    for (const column of verdict.edits) (row as Row)[column] = local[column] as string;
    return row;
  }

  /** WatermelonDB's change set. By the replacement strategy a table that is left out would keep its ghosts: all are in. */
  changeSet(): Record<string, TableChanges> {
    const changes: Record<string, TableChanges> = {};
    for (const [name, records] of this.#incoming) {
      if (records.size === 0 && !this.pulled.full) continue;
      // Everything is `updated`: own pushes come back, and so does everything in a full pull.
      const of: TableChanges = (changes[name] = { created: [], updated: [], deleted: [] });
      for (const [id, { row }] of records) {
        if (row) of.updated.push(row);
        else if (!this.#kept.has(key(name, id))) of.deleted.push(id);
      }
    }
    if (!this.pulled.full) return changes;
    // That strategy keeps whatever is marked as created. What the server has acknowledged since is not new any more.
    for (const [name, { table, id, row }] of this.#sent) {
      if (row && !this.#incoming.get(table)?.has(id) && !this.#kept.has(name)) changes[table]?.deleted.push(id);
    }
    return changes;
  }

  #take(record: Change | ServerRecord, refused: boolean): void {
    const table = this.#tables.ofCollection(record.collection);
    if (!table) return;
    const row = record.deleted ? null : rowOf(table, record.id, record.data);
    this.#incoming.get(table.name)?.set(record.id, { row, rev: record.rev ?? 0, refused });
  }

  #note(table: SyncedTable, id: string, { row }: Incoming, verdict: Verdict): void {
    if (verdict.stays === "local" || verdict.lost === undefined) return;
    this.conflicts.set(key(table.name, id), { table: table.name, id, mine: verdict.lost, theirs: row && withoutId(row) });
  }
}

function withoutId({ id: _, ...columns }: Row): NonNullable<Conflict["theirs"]> {
  return columns;
}

function nameOf({ collection, id }: { collection: string; id: string }): string {
  return key(collection, id);
}
