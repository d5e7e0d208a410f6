/** What counts as equal, and what may be written at all (PROTOCOL.md §1 and §2). */

import type { Data } from "../types.js";
import type { Content, Name } from "./store.js";

/** Whether two JSON values are equal: white space, order of keys and spelling of numbers do not matter. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (!isObject(a) || !isObject(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && equalJson(a[key], b[key]));
}

/** An array is one too: its indexes are its keys. */
function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** Whether two contents are the same: both deletions, or equal data. */
export function equalContent(a: Content, b: { deleted?: boolean | undefined; data?: Data | undefined }): boolean {
  return a.deleted ? b.deleted === true : !b.deleted && equalJson(a.data, b.data);
}

/** The data as JSON has it (without what is undefined, and a copy), or an error if it is not a JSON object. */
export function asData(value: unknown): Data {
  const data: unknown = JSON.parse(JSON.stringify(value) ?? "null");
  if (!isObject(data) || Array.isArray(data)) throw new TypeError("a record's data is a JSON object");
  return data;
}

/** Refuses here what the server would refuse, since it would refuse the rest of the push with it. */
export function checkName({ collection, id }: Name): void {
  checkCollection(collection);
  if (!id || /[\p{Cc}\p{Cs}]/u.test(id) || new TextEncoder().encode(id).length > 256) {
    throw new TypeError("an id is 1 to 256 bytes of UTF-8 without control characters");
  }
}

export function checkCollection(name: string): void {
  if (!/^[a-z0-9][a-z0-9_-]{0,62}$/.test(name)) throw new TypeError(`${name} is no name of a collection`);
}
