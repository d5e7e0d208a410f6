/** The local side of a pull (PROTOCOL-CLIENT.md §5). */

import { Checksum } from "../checksum.js";
import { epochOf } from "../cursor.js";
import type { Page } from "../types.js";
import { learn } from "./learn.js";
import type { Tx } from "./store.js";

/** Takes a page. False if it was the last one and the copy is not what the server says: it needs a repair. */
export async function takePage(tx: Tx, page: Page): Promise<boolean> {
  const { copy } = tx;
  if (copy.cursor === null) await beginAnew(tx, page);
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

/**
 * Begins an initial sync, which is for who holds nothing: what a push has left here may be gone by now, and where the
 * space is not the one that it met, it is of another history.
 */
async function beginAnew(tx: Tx, page: Page): Promise<void> {
  const isSame = tx.copy.met === epochOf(page.cursor);
  for (const record of await tx.all("records")) tx.put("records", { ...record, rev: isSame ? record.rev : 0, stale: 1 });
  if (!isSame) for (const edit of await tx.all("edits")) if (edit.base !== null) tx.put("edits", { ...edit, base: 0 });
  tx.sum = new Checksum();
  tx.copy.met = null;
}
