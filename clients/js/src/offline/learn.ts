/** Taking over what the server has of some records: one rule for pages, fetched records and push answers. */

import type { ServerRecord } from "../types.js";
import type { Tx } from "./store.js";

/**
 * Makes the records be as the server says. A record never takes a revision lower than the one it has, unless it is
 * stale (PROTOCOL.md §4). Each record may be named once.
 */
export async function learn(tx: Tx, changes: ServerRecord[]): Promise<void> {
  // All asked for before the first is awaited: one round trip to the database's thread, not thousands.
  const held = await Promise.all(changes.map((change) => tx.get("records", change)));
  changes.forEach((change, at) => {
    const record = held[at];
    if (record && !record.stale) {
      if (change.rev !== null && change.rev < record.rev) return;
      tx.sum.remove(record.rev);
    }
    if (change.deleted) {
      if (record) tx.delete("records", change);
      return;
    }
    const { collection, id, rev, modified_at, data } = change;
    tx.put("records", { collection, id, rev, modified_at, data });
    tx.sum.add(rev);
  });
}

/**
 * Forgets the revisions of all records above `above`, up to `upTo`: they are of another history. The data stay, and
 * are stale.
 */
export async function forget(tx: Tx, above: number, upTo = Infinity): Promise<void> {
  for (const record of await tx.all("records", IDBKeyRange.bound(above, upTo, true), "rev")) {
    if (!record.stale) tx.sum.remove(record.rev);
    tx.put("records", { ...record, rev: 0, stale: 1 });
  }
}
