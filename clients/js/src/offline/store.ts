/** The local database: what is held (PROTOCOL-CLIENT.md §1), and one transaction a step. */

import { Checksum } from "../checksum.js";
import type { Change, Data, ServerRecord } from "../types.js";

/** Which record. */
export interface Name {
  collection: string;
  id: string;
}

/** What a record is made to be: data, or gone. */
export type Content = { data: Data; deleted?: never } | { deleted: true; data?: never };

/** A record as the server has it, as far as is known here. */
export interface RecordRow extends Name {
  /** 0 if it was forgotten: no revision of the present history. */
  rev: number;
  modified_at: string;
  data: Data;
  /** Shown until the repair that made it stale is over. IndexedDB's indexes take no booleans. */
  stale?: 1;
}

/** What the user did and nobody was told yet. */
export type EditRow = Name & Content & { base: number | null; follows?: true; order: number };

/** A change of the push on its way. */
export type SentRow = Name & Content & { base: number | null; order: number };

/** What the server's win discarded (PROTOCOL-CLIENT.md §8). */
export interface Conflict extends Name {
  /** Names the conflict for `discardConflict` and `restoreConflict`. */
  key: number;
  reason: "conflict" | "rejected";
  /** What the user wanted: data, or a deletion. */
  mine: Content;
  /** What the server had then; null where a rejected record was nowhere. */
  theirs: ServerRecord | null;
  /** Why it was rejected. */
  problem?: { code: string; detail: string };
}

/** The copy itself. */
export interface Copy {
  space: string;
  collections: string[] | null;
  name: string;
  seq: number;
  answers: number;
  cursor: string | null;
  /** The epoch of the space that a push met, while there was no cursor. */
  met: string | null;
  whole: boolean;
  etag: string | null;
  count: number;
  checksum: string;
  remaining: number[] | null;
  /** Runs that were asked for since the manifest came, while nothing has said that its epoch was still the present one. */
  doubtful: number[][];
  sending: { seq: number; cursor: string | null } | null;
}

interface Rows {
  copy: Copy;
  records: RecordRow;
  edits: EditRow;
  sending: SentRow;
  conflicts: Conflict;
}
type Table = keyof Rows;
type Query = IDBValidKey | IDBKeyRange | null;

const TABLES: Table[] = ["copy", "records", "edits", "sending", "conflicts"];

/** What a transaction has done, for those who look on. */
export interface Committed {
  changed: Name[];
  pending: number;
  conflicts: number;
}

export class Store {
  readonly #factory: IDBFactory;
  readonly #file: string;
  #fresh: Copy | undefined;
  #opened: Promise<IDBDatabase> | undefined;
  /** Told of every transaction that wrote. */
  committed: (committed: Committed) => void = () => {};

  /** `fresh` is what a new copy begins with. */
  constructor(factory: IDBFactory, file: string, fresh: Copy) {
    this.#factory = factory;
    this.#file = file;
    this.#fresh = fresh;
  }

  /** One transaction that reads. */
  read<T>(body: (tx: Tx) => Promise<T>): Promise<T> {
    return this.#transact("readonly", body);
  }

  /** One transaction that writes: all of it, durably, or nothing. */
  async write<T>(body: (tx: Tx) => Promise<T>): Promise<T> {
    const [result, committed] = await this.#transact("readwrite", async (tx) => {
      const result = await body(tx);
      return [result, await tx.finish()] as const;
    });
    this.committed(committed);
    return result;
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.then((database) => database.close(), () => {});
  }

  async #transact<T>(mode: IDBTransactionMode, body: (tx: Tx) => Promise<T>): Promise<T> {
    const database = await (this.#opened ??= this.#open());
    // Strict: a push must not be sent whose number the next power cut takes back (PROTOCOL.md §4, `seq`).
    const transaction = database.transaction(TABLES, mode, { durability: "strict" });
    const ended = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new DOMException("the transaction was aborted", "AbortError"));
    });
    // Whoever fails first is told of below; the other must not become an unhandled rejection.
    ended.catch(() => {});
    const tx = new Tx(transaction);
    let result: T;
    try {
      await tx.begin();
      result = await body(tx);
    } catch (error) {
      try {
        transaction.abort();
      } catch {
        // It has ended by itself: what it was is in `error`.
      }
      throw error;
    }
    await ended;
    return result;
  }

  #open(): Promise<IDBDatabase> {
    const request = this.#factory.open(this.#file, 1);
    request.onupgradeneeded = () => {
      const database = request.result;
      // Deleted while it was open here. A new one would count its pushes anew under the old name (PROTOCOL.md §4, `seq`).
      if (!this.#fresh) return request.transaction?.abort();
      database.createObjectStore("copy", { keyPath: "space" }).add(this.#fresh);
      const keyPath = ["collection", "id"];
      const records = database.createObjectStore("records", { keyPath });
      records.createIndex("rev", "rev");
      records.createIndex("stale", "stale");
      for (const table of ["edits", "sending"]) database.createObjectStore(table, { keyPath }).createIndex("order", "order");
      database.createObjectStore("conflicts", { keyPath: "key", autoIncrement: true });
    };
    const opened = done(request).then((database) => {
      this.#fresh = undefined;
      // Another version of the page wants to change the schema, or the browser has closed it: opened again when needed.
      database.onversionchange = () => void this.close();
      database.onclose = () => (this.#opened = undefined);
      return database;
    });
    opened.catch(() => (this.#opened = undefined));
    return opened;
  }
}

/** One local transaction. */
export class Tx {
  /** The copy: what is changed here is written at the end. */
  copy!: Copy;
  /** Of the records that are not stale, kept up with every change of them. */
  sum!: Checksum;
  readonly #transaction: IDBTransaction;
  readonly #changed: Name[] = [];

  constructor(transaction: IDBTransaction) {
    this.#transaction = transaction;
  }

  async begin(): Promise<void> {
    [this.copy] = (await this.all("copy")) as [Copy];
    this.sum = new Checksum(this.copy.count, this.copy.checksum);
  }

  async finish(): Promise<Committed> {
    this.copy.count = this.sum.count;
    this.copy.checksum = String(this.sum);
    this.put("copy", this.copy);
    const [edits, sent, conflicts] = await Promise.all([this.count("edits"), this.count("sending"), this.count("conflicts")]);
    return { changed: this.#changed, pending: edits + sent, conflicts };
  }

  get<T extends Table>(table: T, { collection, id }: Name): Promise<Rows[T] | undefined> {
    return done(this.#table(table).get([collection, id]));
  }

  /** Rows by key, or by an index. */
  all<T extends Table>(table: T, query: Query = null, index?: string, count?: number): Promise<Rows[T][]> {
    const source = index ? this.#table(table).index(index) : this.#table(table);
    return done(source.getAll(query, count));
  }

  count(table: Table): Promise<number> {
    return done(this.#table(table).count());
  }

  put<T extends Table>(table: T, row: Rows[T]): void {
    this.#note(table, row);
    this.#table(table).put(row);
  }

  /** Adds a conflict, which gets its key here. */
  list(conflict: Omit<Conflict, "key">): void {
    this.#table("conflicts").add(conflict);
  }

  delete(table: Exclude<Table, "copy" | "conflicts">, { collection, id }: Name): void {
    this.#note(table, { collection, id });
    this.#table(table).delete([collection, id]);
  }

  deleteConflict(key: number): void {
    this.#table("conflicts").delete(key);
  }

  conflict(key: number): Promise<Conflict | undefined> {
    return done(this.#table("conflicts").get(key));
  }

  /** The order of a new edit that is to be the first one, or the last. */
  async order(end: "first" | "last"): Promise<number> {
    const keys = this.#table("edits").index("order").openKeyCursor(null, end === "first" ? "next" : "prev");
    const edge = ((await done(keys))?.key as number | undefined) ?? 0;
    return end === "first" ? edge - 1 : edge + 1;
  }

  /** Revision and name of every record, in order of revision, without their data. */
  revs(): Promise<{ rev: number; name: Name }[]> {
    const found: { rev: number; name: Name }[] = [];
    const request = this.#table("records").index("rev").openKeyCursor();
    return new Promise((resolve, reject) => {
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const cursor = request.result;
        if (!cursor) return resolve(found);
        const [collection, id] = cursor.primaryKey as [string, string];
        found.push({ rev: cursor.key as number, name: { collection, id } });
        cursor.continue();
      };
    });
  }

  #table(table: Table): IDBObjectStore {
    return this.#transaction.objectStore(table);
  }

  #note(table: Table, row: object): void {
    if (table === "copy" || table === "conflicts") return;
    const { collection, id } = row as Name;
    this.#changed.push({ collection, id });
  }
}

/** A record as a change, as the protocol writes it. */
export function asChange({ collection, id, rev, modified_at, data }: RecordRow): Change {
  return { collection, id, rev, modified_at, deleted: false, data };
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
