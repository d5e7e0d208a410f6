/**
 * One sync: WatermelonDB's `synchronize()` around a pull and a push, and again where the server refused the push.
 *
 * The app goes on writing meanwhile. `synchronize` writes the rows of a pull in one writer, but asks for them before it has
 * it; so whatever is decided here in between is decided once more where the rows are overwritten.
 */

import { type Collection, type Database, type Model, Q } from "@nozbe/watermelondb";
import { synchronize } from "@nozbe/watermelondb/sync/index.js";
import { sleep } from "../backoff.js";
import type { StrandlineClient } from "../client.js";
import type { ServerRecord } from "../types.js";
import { Lap } from "./lap.js";
import { type Conflict, key, type Ledger, type Position } from "./ledger.js";
import { pull } from "./pull.js";
import { type ChangeSet, leftOut, type Outbox, type Pushed, type Rejection, rowsOf } from "./push.js";
import type { MarkedRow, Row, SyncedTable, Tables } from "./tables.js";

/** What a sync did. */
export interface SyncResult {
  /** Records that came. Own pushes are among them only if others have written in between. */
  pulled: number;
  /** Rows that were pushed. */
  pushed: number;
  /** Whether everything was pulled anew: the first time, and wherever a delta would not do (PROTOCOL.md §3). */
  full: boolean;
  /** What the server's win discarded. */
  conflicts: Conflict[];
  /** Rows that the server will not take as they are. */
  rejected: Rejection[];
}

/** What a run works with. */
export interface RunOptions {
  database: Database;
  tables: Tables;
  ledger: Ledger;
  outbox: Outbox;
  /** Asked each time: it bears the ledger's name, and that can change. */
  client: () => StrandlineClient;
  pageSize: number | undefined;
  signal: AbortSignal | undefined;
}

/** How often a push may be refused, if somebody writes the same records all the time. */
const REFUSALS = 6;

export class Run {
  readonly result: SyncResult = { pulled: 0, pushed: 0, full: false, conflicts: [], rejected: [] };
  /** Whether an edit that is made now may miss this run. */
  late = false;
  /** Makes the run go round once more before it ends. */
  again = false;
  readonly #options: RunOptions;
  /** What was asked of the adapter where nobody can wait for it. */
  readonly #loose = { damaged: Promise.resolve(false), lateDeletions: Promise.resolve([] as string[]), listed: Promise.resolve() };
  #lap: Lap | undefined;
  /** The conflicts of the laps before, and of a run that was cut short. */
  #before: readonly Conflict[] = [];
  #pushed: Pushed | undefined;
  #refusedBy: ServerRecord[] = [];
  #full = false;
  #mended = false;

  constructor(options: RunOptions) {
    this.#options = options;
  }

  /** Runs to the end. When it throws, what was settled before stays settled, and nothing else has changed. */
  async go(): Promise<void> {
    for (let refusals = 0; ; ) {
      this.late = false;
      this.again = false;
      await this.#once();
      if (this.#pushed?.failure !== undefined) throw this.#pushed.failure;
      const refused = this.#pushed?.refused;
      if (refused) {
        refusals += 1;
        if (refusals === REFUSALS) throw refused;
        if (refusals > 1) await sleep(Math.random() * 20 * 2 ** refusals, this.#options.signal);
      } else if (!this.again) {
        return;
      }
    }
  }

  async #once(): Promise<void> {
    const { database, tables, ledger } = this.#options;
    this.#before = ledger.conflicts;
    this.#lap = undefined;
    this.#pushed = undefined;
    const watches = tables.all.map((table) =>
      this.#collection(table).experimentalSubscribe((changes) => {
        for (const { record, type } of changes) if (type === "destroyed") this.#destroyed(table, record._raw as unknown as MarkedRow);
      }),
    );
    try {
      await synchronize({
        database,
        sendCreatedAsUpdated: true,
        pullChanges: ({ lastPulledAt }) => this.#pull(lastPulledAt),
        pushChanges: ({ changes, lastPulledAt }) => this.#push(changes as unknown as ChangeSet, lastPulledAt),
        conflictResolver: (table, local, remote, merged) => this.#resolve(table, local as MarkedRow, remote as Row, merged),
        onDidPullChanges: () => this.#applied(),
      });
    } catch (error) {
      // The conflicts of a pull that never reached the rows are none.
      if (this.#lap && !this.late) await ledger.list(this.#before);
      throw error;
    } finally {
      for (const unwatch of watches) unwatch();
    }
    await this.#loose.listed;
    if (await this.#loose.damaged) {
      this.#mended = true;
      this.#full = true;
      this.again = true;
    }
  }

  async #pull(lastPulledAt: number | null | undefined) {
    const { client, tables, ledger, pageSize, signal } = this.#options;
    const sent = await ledger.sent(lastPulledAt);
    const position = ledger.position(lastPulledAt);
    const place = position && { ...position, cursor: sent.cursor ?? position.cursor };
    const pulled = await pull(client(), tables, place, { pageSize, signal, full: this.#full });
    const lap = new Lap(tables, pulled, sent.rows, this.#refusedBy);
    this.#lap = lap;
    await this.#prepare(lap);
    const timestamp = await ledger.stamp(pulled.cursor, tables.shape, lastPulledAt);
    if (signal?.aborted) throw signal.reason;
    const strategy = pulled.full ? { experimentalStrategy: "replacement" } : {};
    return { changes: lap.changeSet() as never, timestamp, ...strategy };
  }

  /**
   * Lists the conflicts that this pull will settle, on disk, before it settles them; and takes back the deletions that the
   * server overrules.
   */
  async #prepare(lap: Lap): Promise<void> {
    const { database, tables } = this.#options;
    const overruled: [table: string, ids: string[]][] = [];
    await database.read(async () => {
      for (const table of tables.all.filter((each) => lap.speaksOf(each))) {
        for (const local of await this.#unpushed(table)) lap.judge(table, local);
        const deleted = await this.#deleted(table);
        overruled.push([table.name, deleted.filter((id) => lap.overrules(table, id))]);
      }
    }, "strandline-prepare");
    await this.#list(lap);
    // WatermelonDB leaves a row that is marked as deleted so, whatever a pull says. If the run is cut short after this, the
    // row comes with the next pull, which begins where this one did.
    for (const [table, ids] of overruled) {
      if (ids.length) await database.write(() => database.adapter.destroyDeletedRecords(table as never, ids), "strandline-overrule");
    }
  }

  /** In the writer: the row may have been edited since {@link #prepare}. */
  #resolve(name: string, local: MarkedRow, remote: Row, merged: object): object {
    const table = this.#options.tables.named(name);
    const lap = this.#lap;
    if (!table || !lap || local._status === "synced" || local._status === "deleted") return merged;
    const before = JSON.stringify(lap.conflicts.get(key(name, local.id)));
    const row = lap.resolve(table, local, remote);
    if (before !== JSON.stringify(lap.conflicts.get(key(name, local.id)))) this.#listSoon(lap);
    return row;
  }

  /** A row goes because the server has it no more; WatermelonDB asks nobody. Was it edited since {@link #prepare}? */
  #destroyed(table: SyncedTable, local: MarkedRow): void {
    const lap = this.#lap;
    if (!lap || this.late || !local._changed || lap.incoming(table, local.id)?.row !== null) return;
    if (lap.conflicts.has(key(table.name, local.id))) return;
    lap.judge(table, { ...local, _status: "updated" });
    this.#listSoon(lap);
  }

  /** The rows are in, and the writer still holds: what is asked of the adapter now is answered as things stand here. */
  #applied(): Promise<void> {
    const lap = this.#lap as Lap;
    this.late = true;
    this.#full = false;
    this.#refusedBy = [];
    this.result.pulled += lap.pulled.changes.length;
    this.result.full ||= lap.pulled.full;
    const { tables } = this.#options;
    const deleted = Promise.all(tables.all.map((table) => this.#deleted(table)));
    const held = Promise.all(tables.all.map((table) => this.#count(table)));
    this.#loose.lateDeletions = deleted.then((ids) =>
      tables.all.flatMap((table, at) => ids[at]?.filter((id) => lap.overrules(table, id)).map((id) => key(table.name, id)) ?? []),
    );
    this.#loose.damaged = Promise.all([deleted, held]).then(([ids, counts]) => this.#isDamaged(lap, ids.flat().length, counts));
    this.#hush();
    return Promise.resolve();
  }

  /** Whether the copy holds another number of records than the server says that it must. */
  #isDamaged({ pulled: { count, full } }: Lap, deleted: number, counts: number[]): boolean {
    // A deleted row may be one that the server has, or one that it never had: no telling before it is pushed.
    if (count === undefined || deleted > 0) return false;
    // What a full pull does not mend, another one does not either.
    return !full && !this.#mended && counts.reduce((sum, rows) => sum + rows, 0) !== count;
  }

  async #push(changes: ChangeSet, lastPulledAt: number) {
    const { tables, ledger, outbox } = this.#options;
    // Deleted between the preparation and the write, by a user who had not seen what the pull brought: the next lap
    // overrules them, as if the server had refused them.
    const late = new Set(await this.#loose.lateDeletions);
    const rows = rowsOf(changes, tables).filter(({ table, id, row }) => row !== null || !late.has(key(table, id)));
    const pushed = await outbox.push(rows, ledger.position(lastPulledAt) as Position, lastPulledAt);
    this.#pushed = pushed;
    this.result.pushed += pushed.applied.size;
    this.result.rejected.push(...pushed.rejected);
    this.#refusedBy = pushed.conflicts;
    if (late.size) {
      const overruling = this.#lap?.pulled.changes.filter(({ collection, id }) => late.has(key(tables.ofCollection(collection)?.name ?? "", id)));
      this.#refusedBy.push(...(overruling ?? []));
      this.again = true;
    }
    return { experimentalRejectedIds: leftOut(changes, pushed.applied) };
  }

  /** Writes down this lap's conflicts beside those from before. */
  #list(lap: Lap): Promise<void> {
    return this.#options.ledger.list([...this.#before, ...lap.conflicts.values()]);
  }

  /** The same where nobody can wait for it, nor has to: an adapter does what it is asked in order, and this before the rows. */
  #listSoon(lap: Lap): void {
    this.#loose.listed = this.#list(lap);
    this.#hush();
  }

  /** If the adapter fails, whoever waits for these hears of it; nobody does if `synchronize` fails first. */
  #hush(): void {
    for (const loose of Object.values(this.#loose)) (loose as Promise<unknown>).catch(() => {});
  }

  async #unpushed(table: SyncedTable): Promise<MarkedRow[]> {
    const records = await this.#collection(table).query(Q.where("_status", Q.oneOf(["created", "updated"]))).fetch();
    return records.map((record) => record._raw as unknown as MarkedRow);
  }

  /** How many rows there are of which the server has a record. */
  #count(table: SyncedTable): Promise<number> {
    return this.#collection(table).query(Q.where("_status", Q.oneOf(["synced", "updated"]))).fetchCount();
  }

  #deleted(table: SyncedTable): Promise<string[]> {
    return this.#options.database.adapter.getDeletedRecords(table.name as never);
  }

  #collection(table: SyncedTable): Collection<Model> {
    return this.#options.database.get(table.name);
  }
}
