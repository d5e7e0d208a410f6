/**
 * Pushes what WatermelonDB holds as created, updated and deleted.
 *
 * A push is written down before it is sent, and sent again as it was until it is answered (PROTOCOL.md §4): an insert
 * whose answer was lost, whose record was then deleted elsewhere and purged, would rise again otherwise.
 */

import type { StrandlineClient } from "../client.js";
import { isOverQuota, PushRefused, ResyncRequired, StrandlineError } from "../errors.js";
import type { PushAnswer, PushBody, PushChange, ServerRecord } from "../types.js";
import { key, type Ledger, type Pending, type Position, type SentRow } from "./ledger.js";
import { type MarkedRow, pick, type Tables } from "./tables.js";

/** A row that the server will not take as it is (too large, too deep). It stays as it is, and is pushed once it is changed. */
export interface Rejection {
  table: string;
  id: string;
  problem: { code: string; detail: string };
}

/** WatermelonDB's change set. */
export type ChangeSet = Record<string, { created: MarkedRow[]; updated: MarkedRow[]; deleted: string[] }>;

/** What became of the rows. Those that are not named in `applied` stay marked as they are. */
export interface Pushed {
  applied: Set<string>;
  rejected: Rejection[];
  /** Records because of which the server refused a push: the next pull has to settle them. */
  conflicts: ServerRecord[];
  /** The server refused, for a reason that a pull and another push will get over. */
  refused?: PushRefused | ResyncRequired;
  /** Something else came in the way, after `applied` was. */
  failure?: unknown;
}

/** A database's rejected rows, as they were when they were rejected: they are not sent again and again. */
export type Rejected = Map<string, string>;

/**
 * How much goes into one push: rows, and characters of their JSON. It is written into the database's local storage before it
 * is sent, and Android reads no row of more than 2 MB.
 */
export interface PushLimits {
  changes: number;
  bytes: number;
}

export class Outbox {
  readonly #client: () => StrandlineClient;
  readonly #tables: Tables;
  readonly #ledger: Ledger;
  readonly #rejected: Rejected;
  readonly #limits: PushLimits;
  readonly #signal: AbortSignal | undefined;

  /** `client` is asked each time: it bears the ledger's name, and that can change. */
  constructor(client: () => StrandlineClient, tables: Tables, ledger: Ledger, rejected: Rejected, limits: PushLimits, signal?: AbortSignal) {
    this.#client = client;
    this.#tables = tables;
    this.#ledger = ledger;
    this.#rejected = rejected;
    this.#limits = limits;
    this.#signal = signal;
  }

  /** Finds out what became of a push whose answer was lost. Nothing else may be pulled or pushed before. */
  async settle(lastPulledAt: number | null | undefined): Promise<void> {
    const pending = await this.#ledger.pending();
    if (!pending) return;
    const cursor = await this.#wasApplied(pending);
    if (cursor === undefined) await this.#ledger.unbook();
    else await this.#ledger.acknowledge(pending, cursor, lastPulledAt ?? 0);
  }

  /** Pushes all of `rows` that it can, in pushes that are each atomic. */
  async push(rows: SentRow[], { cursor, rev }: Position, lastPulledAt: number): Promise<Pushed> {
    const pushed: Pushed = { applied: new Set(), rejected: [], conflicts: [] };
    let queue = chunks(rows.filter((row) => this.#isNews(row)), this.#limits);
    try {
      for (let chunk = queue.shift(); chunk; chunk = queue.shift()) {
        // Each push goes on from the answer to the one before, so that history cannot break unnoticed between two.
        const place = { cursor: (await this.#ledger.sent(lastPulledAt)).cursor ?? cursor, base: rev, rows: chunk };
        queue.unshift(...(await this.#pushChunk(place, lastPulledAt, pushed)));
        if (pushed.refused) break;
        // The space is full: what makes room is pushed all the same, and the next sync has it for the rest.
        if (isOverQuota(pushed.failure)) queue = queue.map(deletions).filter((chunk) => chunk.length > 0);
      }
    } catch (error) {
      pushed.failure = error;
    }
    return pushed;
  }

  /** Pushes one chunk, and gives what has to be tried again at once: less of it, or without what was rejected. */
  async #pushChunk(push: Omit<Pending, "seq">, lastPulledAt: number, pushed: Pushed): Promise<SentRow[][]> {
    const pending = await this.#ledger.book(push);
    const { rows } = pending;
    let answer: PushAnswer;
    try {
      answer = await this.#send(pending);
    } catch (error) {
      if (!nothingApplied(error)) throw error;
      await this.#ledger.unbook();
      if (error instanceof PushRefused) return this.#refused(rows, error, pushed);
      if (error instanceof ResyncRequired) pushed.refused = error;
      else if (isOverQuota(error)) {
        pushed.failure = error;
        return deletions(rows).length ? [rows] : [];
      }
      else if (error.code !== "invalid_request" && error.code !== "too_large") throw error;
      // One row makes the whole push malformed or too large: halves find it, and let the others through.
      else if (rows.length > 1) return halves(rows);
      else this.#reject(rows[0] as SentRow, { code: error.code, detail: error.problem.detail }, pushed);
      return [];
    }
    if (answer.duplicate) {
      // The first time that this was sent, and yet its number was used: by a copy of this database on another device.
      await this.#ledger.unbook();
      await this.#ledger.rename();
      return [rows];
    }
    await this.#ledger.acknowledge(pending, placeAfter(pending, answer), lastPulledAt);
    for (const { table, id } of rows) pushed.applied.add(key(table, id));
    return [];
  }

  #refused(rows: SentRow[], error: PushRefused, pushed: Pushed): SentRow[][] {
    const others = rows.filter((row, at) => {
      const result = error.results[at];
      if (result?.status === "conflict") pushed.conflicts.push(result.record);
      if (result?.status === "rejected") this.#reject(row, result.problem, pushed);
      return result?.status !== "rejected";
    });
    const onlyRejected = others.length < rows.length && error.results.every((result) => result.status !== "conflict");
    if (!onlyRejected) pushed.refused = error;
    return onlyRejected && others.length ? [others] : [];
  }

  #reject(row: SentRow, problem: Rejection["problem"], pushed: Pushed): void {
    this.#rejected.set(key(row.table, row.id), JSON.stringify(row.row));
    pushed.rejected.push({ table: row.table, id: row.id, problem });
  }

  #isNews({ table, id, row }: SentRow): boolean {
    const known = this.#rejected.get(key(table, id));
    if (known === JSON.stringify(row)) return false;
    if (known !== undefined) this.#rejected.delete(key(table, id));
    return true;
  }

  /** Where a push without an answer took the copy; undefined if it was not applied. */
  async #wasApplied(pending: Pending): Promise<string | null | undefined> {
    try {
      return placeAfter(pending, await this.#send(pending));
    } catch (error) {
      // Only these are about the push itself. A 403, say, is no word on what was done when the right was still there.
      const isAboutIt = error instanceof StrandlineError && ([400, 409, 410, 413].includes(error.status) || isOverQuota(error));
      if (!isAboutIt || !nothingApplied(error)) throw error;
      if (!(error instanceof ResyncRequired)) return undefined;
    }
    // Its cursor is of no use any more, which says nothing about whether it was applied before. Its number does: a push of
    // nothing under it either finds it used, or uses it up, so that one still on its way comes too late.
    const { duplicate } = await this.#client().push({ changes: [], seq: pending.seq }, this.#call);
    return duplicate ? pending.cursor : undefined;
  }

  #send({ seq, cursor, base, rows }: Pending): Promise<PushAnswer> {
    const changes = rows.flatMap((sent) => this.#change(sent, base) ?? []);
    const body: PushBody = { changes, seq, atomic: true };
    if (cursor !== null) Object.assign(body, { cursor, collections: this.#tables.collections });
    return this.#client().push(body, this.#call);
  }

  /** A row as the protocol's change; undefined if its table takes part no more. */
  #change({ table: name, id, row }: SentRow, base: number): PushChange | undefined {
    const table = this.#tables.named(name);
    if (!table) return undefined;
    const { collection, columns } = table;
    if (!row) return { collection, id, base_rev: base, deleted: true };
    if (row._status === "created") return { collection, id, data: pick(row, columns) };
    // Only what was edited: an older version of the app must not erase fields of which it knows nothing.
    const changed = row._changed.split(",");
    return { collection, id, base_rev: base, patch: pick(row, columns.filter((column) => changed.includes(column))) };
  }

  get #call(): { signal?: AbortSignal } {
    return this.#signal ? { signal: this.#signal } : {};
  }
}

/** The rows of the tables that take part. */
export function rowsOf(changes: ChangeSet, tables: Tables): SentRow[] {
  return tables.all.flatMap(({ name: table }) => {
    const { created = [], updated = [], deleted = [] } = changes[table] ?? {};
    return [
      ...[...created, ...updated].map((row) => ({ table, id: row.id, row })),
      ...deleted.map((id) => ({ table, id, row: null })),
    ];
  });
}

/** All that is in a change set and not in `applied`: WatermelonDB takes anything else for pushed. */
export function leftOut(changes: ChangeSet, applied: Set<string>): Record<string, string[]> {
  const entries = Object.entries(changes).map(([table, { created, updated, deleted }]) => {
    const ids = [...created, ...updated].map((row) => row.id).concat(deleted);
    return [table, ids.filter((id) => !applied.has(key(table, id)))];
  });
  return Object.fromEntries(entries) as Record<string, string[]>;
}

/** The answer's cursor replaces the copy's (PROTOCOL.md §4); without one, the answer's is not of these collections. */
function placeAfter({ cursor }: Pending, answer: PushAnswer): string | null {
  return cursor === null ? null : answer.cursor;
}

/** Whether an error is the server's own word that this request was not carried out (PROTOCOL.md §4: 4xx leave `seq` free). */
function nothingApplied(error: unknown): error is StrandlineError {
  return error instanceof StrandlineError && error.code !== "unknown" && (error.status < 500 || error.status === 507);
}

function chunks(rows: SentRow[], limits: PushLimits): SentRow[][] {
  const all: SentRow[][] = [];
  let room = 0;
  for (const row of rows) {
    const size = JSON.stringify(row).length;
    const last = all.at(-1);
    if (last && last.length < limits.changes && size <= room) {
      last.push(row);
      room -= size;
    } else {
      all.push([row]);
      room = limits.bytes - size;
    }
  }
  return all;
}

function deletions(rows: SentRow[]): SentRow[] {
  return rows.filter(({ row }) => row === null);
}

function halves(rows: SentRow[]): SentRow[][] {
  const middle = rows.length >> 1;
  return [rows.slice(0, middle), rows.slice(middle)];
}
