/** Which tables take part, under which collections, and how a row becomes a record's `data` and back. */

import type { Database, TableSchema } from "@nozbe/watermelondb";
import { sanitizedRaw } from "@nozbe/watermelondb/RawRecord/index.js";
import type { Data } from "../types.js";

/** What a column holds. */
export type Value = string | number | boolean | null;

/** A row without WatermelonDB's own marks: its `id`, and every column of the schema. */
export type Row = { id: string } & Record<string, Value>;

/** A row as WatermelonDB keeps it: `_status` says what has to be pushed, `_changed` names the edited columns. */
export type MarkedRow = Row & { _status: "synced" | "created" | "updated" | "deleted"; _changed: string };

/** Names of tables, or each table's collection. */
export type TableChoice = readonly string[] | Readonly<Record<string, string>>;

/** A table that takes part. */
export interface SyncedTable {
  readonly name: string;
  readonly collection: string;
  readonly columns: readonly string[];
  readonly schema: TableSchema;
}

const COLLECTION = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** The tables that take part. */
export class Tables {
  readonly all: readonly SyncedTable[];
  /** Their collections, sorted: the scope of every pull. */
  readonly collections: string[];
  /**
   * A hash of which columns are kept of which collections. Another one means that what was pulled before left something
   * out, which no delta will ever bring again.
   */
  readonly shape: string;
  readonly #byName: ReadonlyMap<string, SyncedTable>;
  readonly #byCollection: ReadonlyMap<string, SyncedTable>;

  /** Of `database`, the tables of `choice`, by default all of them under their own names. */
  constructor(database: Database, choice: TableChoice = Object.keys(database.schema.tables)) {
    const pairs = Array.isArray(choice) ? choice.map((name: string) => [name, name]) : Object.entries(choice);
    this.all = (pairs as [string, string][]).map(([name, collection]) => {
      const schema = database.schema.tables[name as never] as TableSchema | undefined;
      if (!schema) throw new TypeError(`the database has no table ${name}`);
      if (!COLLECTION.test(collection)) {
        throw new TypeError(`${collection} is no name of a collection: map the table ${name} to another one by \`tables\``);
      }
      return { name, collection, columns: schema.columnArray.map((column) => column.name as string), schema };
    });
    this.#byName = new Map(this.all.map((table) => [table.name, table]));
    this.#byCollection = new Map(this.all.map((table) => [table.collection, table]));
    if (this.all.length === 0 || this.#byCollection.size < this.all.length) {
      throw new TypeError("one table at least takes part, and each has a collection of its own");
    }
    this.collections = [...this.#byCollection.keys()].sort();
    this.shape = hash(this.all.map(({ collection, columns }) => `${collection}:${[...columns].sort()}`).sort().join(";"));
  }

  named(table: string): SyncedTable | undefined {
    return this.#byName.get(table);
  }

  ofCollection(collection: string): SyncedTable | undefined {
    return this.#byCollection.get(collection);
  }
}

/**
 * A record as a row. Only the schema's columns are taken, each with a value of its type: whatever else other writers
 * put into `data` (an `id`, a `_status`, a `__proto__`, at which WatermelonDB would throw for ever) stays on the server.
 */
export function rowOf(table: SyncedTable, id: string, data: Data): Row {
  const { _status, _changed, ...row } = sanitizedRaw({ ...pick(data, table.columns), id }, table.schema) as MarkedRow;
  return row as Row;
}

/** Some columns of a row: what travels as `data` or `patch`. */
export function pick(row: Data, columns: readonly string[]): Record<string, Value> {
  const picked: Record<string, Value> = {};
  for (const column of columns) if (Object.hasOwn(row, column)) picked[column] = row[column] as Value;
  return picked;
}

/** The columns in which two rows differ. */
export function difference(table: SyncedTable, a: Row, b: Row): string[] {
  return table.columns.filter((column) => a[column] !== b[column]);
}

/** FNV-1a, 32 bits in hex: to notice a change, not to withstand anybody. */
function hash(text: string): string {
  let state = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) state = Math.imul(state ^ text.charCodeAt(at), 0x01000193);
  return (state >>> 0).toString(16);
}
