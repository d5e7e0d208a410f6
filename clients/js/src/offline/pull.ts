/** The local side of a pull (PROTOCOL-CLIENT.md §5). */

import type { Page } from "../types.js";
import { forget, learn } from "./learn.js";
import type { Tx } from "./store.js";

/** Takes a page. False if it was the last one and the copy is not what the server says: it needs a repair. */
export async function takePage(tx: Tx, page: Page): Promise<boolean> {
  const { copy } = tx;
  // An initial sync is for who holds nothing: what a push has left here is of a history that nobody knows.
  if (copy.cursor === null) {
    await forget(tx, 0);
    for (const edit of await tx.all("edits")) if (edit.base !== null) tx.put("edits", { ...edit, base: 0 });
  }
  await learn(tx, page.changes);
  copy.cursor = page.cursor;
  copy.doubtful = [];
  copy.etag = null;
  copy.whole = false;
  if (page.has_more) return true;
  if (page.count !== tx.sum.count || page.checksum !== String(tx.sum)) return false;
  for (const record of await tx.all("records", null, "stale")) tx.delete("records", record);
  copy.etag = page.etag ?? null;
  copy.whole = true;
  return true;
}
