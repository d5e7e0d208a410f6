/** What the user does, and what the user sees (PROTOCOL-CLIENT.md §1, §2 and §8). */

import type { Data } from "../types.js";
import { equalContent } from "./json.js";
import type { Content, EditRow, Name, RecordRow, Tx } from "./store.js";

/** What the user sees of a record. */
export interface Item<T = Data> extends Name {
  data: T;
  /** Whether the server has not confirmed yet what is shown. */
  pending: boolean;
}

/** Makes a record be as the user wants it: an edit, unless that comes to nothing. */
export async function edit(tx: Tx, name: Name, content: Content): Promise<void> {
  const { collection, id } = name;
  const [held, sent, record] = await Promise.all([tx.get("edits", name), tx.get("sending", name), tx.get("records", name)]);
  if (content.deleted && !item(held ?? sent, record)) return;
  if (!sent && comesToNothing(content, record)) {
    if (held) tx.delete("edits", name);
    return;
  }
  const { base, follows, order } = held ?? {
    // What was sent is not answered yet: only the answer will tell what this edit is based on.
    base: sent ? null : (record?.rev ?? null),
    follows: sent ? true : undefined,
    order: await tx.order("last"),
  };
  tx.put("edits", { collection, id, ...content, base, ...(follows && { follows }), order });
}

/** Gives an edit that followed a change its base, now that the change has its answer. */
export function settle(tx: Tx, { follows: _, ...edit }: EditRow, base: number | null): void {
  tx.put("edits", { ...edit, base });
}

/** Whether the server has already what is wanted. */
export function comesToNothing(content: Content, record: RecordRow | undefined): boolean {
  return record ? !record.stale && equalContent(content, record) : content.deleted === true;
}

/** What the user sees of one record. */
export async function see(tx: Tx, name: Name): Promise<Item | null> {
  const [held, sent, record] = await Promise.all([tx.get("edits", name), tx.get("sending", name), tx.get("records", name)]);
  return item(held ?? sent, record);
}

/** What the user sees of a collection, in order of id (by UTF-16 code units). */
export async function seeAll(tx: Tx, collection: string): Promise<Item[]> {
  // An array sorts after every string: these are all the ids.
  const range = IDBKeyRange.bound([collection], [collection, []]);
  const [records, sent, edits] = await Promise.all([tx.all("records", range), tx.all("sending", range), tx.all("edits", range)]);
  const seen = new Map<string, Item | null>(records.map((record) => [record.id, item(undefined, record)]));
  const fresh = [...sent, ...edits];
  for (const change of fresh) seen.set(change.id, item(change, undefined));
  const items = [...seen.values()].filter((found) => found !== null);
  return fresh.length ? items.sort((a, b) => (a.id < b.id ? -1 : 1)) : items;
}

function item(mine: (Name & Content) | undefined, record: RecordRow | undefined): Item | null {
  const shown = mine ?? record;
  if (!shown?.data) return null;
  return { collection: shown.collection, id: shown.id, data: shown.data, pending: mine !== undefined };
}
