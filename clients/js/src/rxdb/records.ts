/** Records of the server as documents of RxDB, and back. */

import type { WithDeleted } from "rxdb";
import type { Data, ServerRecord } from "../types.js";

/** A document as RxDB replicates it: its fields and `_deleted`. */
export type Doc<T> = WithDeleted<T>;

/** Keys that are RxDB's own. A `_rev` that came from the server would even change how RxDB replicates. */
const INTERNAL = ["_deleted", "_attachments", "_meta", "_rev"];

/** The longest id that the protocol knows, in bytes of UTF-8 (PROTOCOL.md §1). */
const ID_BYTES = 256;

/** The mapping of one collection, which is known by where its documents keep their id. */
export class Records<T> {
  /** The field with the id. It is not sent as data: the record has it as its name. */
  readonly primary: string;

  constructor(primary: string) {
    this.primary = primary;
  }

  id(doc: Doc<T>): string {
    return (doc as Data)[this.primary] as string;
  }

  /**
   * A record as a document. A deletion comes without its data, and an empty document would fail the schema's
   * validation and hold up every page after it: so it gets the body that `last`, some earlier state, has.
   */
  toDocument(record: Pick<ServerRecord, "id" | "deleted"> & { data?: Data | undefined }, last?: Doc<T>): Doc<T> {
    const body: Data = { ...(record.deleted ? last : record.data) };
    for (const key of INTERNAL) delete body[key];
    return { ...body, [this.primary]: record.id, _deleted: record.deleted } as Doc<T>;
  }

  /** What of a document travels as the record's `data`. */
  toData(doc: Doc<T>): Data {
    const data: Data = { ...doc };
    for (const key of INTERNAL) delete data[key];
    delete data[this.primary];
    return data;
  }

  /** Whether two states are the same record to the server: all deletions of it are. */
  same(a: Doc<T>, b: Doc<T>): boolean {
    if (a._deleted || b._deleted) return a._deleted === b._deleted;
    return equalAsJson(this.toData(a), this.toData(b));
  }
}

/** Whether the server would take this as an id. One that it would not makes the whole push a 400. */
export function isValidId(id: string): boolean {
  // A lone surrogate is no UTF-8: encoding puts something else in its place, and the record would be another one.
  const bytes = new TextEncoder().encode(id);
  return bytes.length <= ID_BYTES && !/[\u0000-\u001f\u007f-\u009f]/.test(id) && new TextDecoder().decode(bytes) === id;
}

/** Equality of what two values are once they have travelled: a key that is undefined is none. */
export function equalAsJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, at) => equalAsJson(item ?? null, (b as unknown[])[at] ?? null));
  }
  const [left, right] = [a as Data, b as Data];
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...keys].every((key) => equalAsJson(left[key], right[key]));
}
