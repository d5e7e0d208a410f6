/** The local side of a push: forming it, and booking its answer (PROTOCOL-CLIENT.md §4). */

import { epochOf, isUnderWay } from "../cursor.js";
import type { Problem, PushAnswer, PushBody, PushChange, PushResult, ServerRecord } from "../types.js";
import { comesToNothing, settle } from "./edits.js";
import { equalContent } from "./json.js";
import { learn } from "./learn.js";
import { asChange, type SentRow, type Tx } from "./store.js";

/** Edits of one push at the most, where nothing was refused. */
export const MOST_CHANGES = 500;
const MOST_BYTES = 4 * 1024 * 1024;

/**
 * Takes the oldest edits, `most` of them, into `sending`; where the space is `full`, only deletions, which make room. False
 * if there is none to be taken before a pull: the only base of the first one is the cursor, and some of what came after this
 * one is our own.
 */
export async function form(tx: Tx, most: number, full: unknown): Promise<boolean> {
  const { cursor } = tx.copy;
  // Another tab may have been faster.
  if (tx.copy.sending || tx.copy.remaining || !tx.copy.whole) return true;
  let bytes = 0;
  for (const { follows: _, ...edit } of await tx.all("edits", null, "order", full ? undefined : most)) {
    if (full && edit.data) continue;
    if (!most--) break;
    if (edit.base === null && cursor && isUnderWay(cursor)) break;
    bytes += JSON.stringify(edit.data ?? null).length;
    if (bytes > MOST_BYTES && tx.copy.sending) break;
    // Set by the first edit, so that a push is never empty.
    tx.copy.sending ??= { seq: ++tx.copy.seq, cursor: tx.copy.cursor };
    tx.put("sending", edit);
    tx.delete("edits", edit);
  }
  return tx.copy.sending !== null;
}

/** The push on its way, always the same until it is answered. */
export async function body(tx: Tx): Promise<PushBody> {
  const { sending, collections } = tx.copy;
  const { seq, cursor } = sending as NonNullable<typeof sending>;
  const changes = (await sent(tx)).map(({ collection, id, base, data }): PushChange => {
    const name = base === null ? { collection, id } : { collection, id, base_rev: base };
    return data ? { ...name, data } : { ...name, deleted: true };
  });
  return { changes, seq, ...(cursor !== null && { cursor }), ...(cursor !== null && collections && { collections }) };
}

/** Books the answer to the push, and says how many of its changes came to what. */
export async function book(tx: Tx, answer: PushAnswer): Promise<{ applied: number; conflicts: number }> {
  const { copy } = tx;
  const changes = await sent(tx);
  const sentCursor = copy.sending?.cursor ?? null;
  const isBlank = sentCursor === null && !copy.collections && (await tx.count("records")) === 0;
  const judged = changes.map((change, at) => ({ change, result: answer.results[at] as PushResult }));
  await learn(tx, judged.flatMap(({ change, result }) => learned(change, result) ?? []));
  let conflicts = 0;
  for (const { change, result } of judged) conflicts += await conclude(tx, change, result);
  // Without a cursor there was no space. Unless this push made it, somebody else was first, with records that are
  // not here: then the copy begins with an initial sync.
  const { cursor } = answer;
  if (sentCursor !== null || (isBlank && answer.previous_head === 0)) copy.cursor = cursor;
  else copy.met = cursor && epochOf(cursor);
  // The server took the cursor: its epoch is the present one, or shared so far.
  if (sentCursor !== null) copy.doubtful = [];
  copy.sending = copy.etag = null;
  return { applied: changes.length - conflicts, conflicts };
}

/**
 * Books that the push was refused as a whole. Of several changes that are malformed or too large (400, 413) nobody knows
 * which one is at fault: they become edits again, to be pushed in halves. One alone is at fault itself; not so where the
 * space is full (403 `quota_exceeded`): then it waits for room.
 */
export async function unform(tx: Tx, { code, detail }: Problem): Promise<void> {
  const changes = await sent(tx);
  if (changes.length === 1 && code !== "quota_exceeded") {
    const change = changes[0] as SentRow;
    await conclude(tx, change, { ...change, status: "rejected", problem: { code, detail } });
  } else {
    let order = await tx.order("first");
    for (const change of changes.reverse()) {
      const newer = await tx.get("edits", change);
      if (newer) settle(tx, newer, change.base);
      else tx.put("edits", { ...change, order: order-- });
      tx.delete("sending", change);
    }
  }
  tx.copy.sending = null;
}

function sent(tx: Tx): Promise<SentRow[]> {
  return tx.all("sending", null, "order");
}

/** What the result says that the server has now; null if it says nothing of that. */
function learned({ collection, id, data }: SentRow, result: PushResult): ServerRecord | null {
  if (result.status === "conflict") return result.record;
  if (result.status !== "applied" && result.status !== "unchanged") return null;
  const { rev, modified_at = "" } = result;
  if (rev === null) return { collection, id, rev, deleted: true };
  return data ? { collection, id, rev, modified_at, deleted: false, data } : { collection, id, rev, modified_at, deleted: true };
}

/** Ends a change that has its result, and settles the edit that follows it. Gives the number of conflicts: 0 or 1. */
async function conclude(tx: Tx, change: SentRow, result: PushResult): Promise<number> {
  const { collection, id } = change;
  const [edit, record] = await Promise.all([tx.get("edits", change), tx.get("records", change)]);
  tx.delete("sending", change);
  if (result.status === "conflict") {
    const newest = edit ?? change;
    if (edit) tx.delete("edits", change);
    if (equalContent(newest, result.record)) return 0;
    tx.list({ collection, id, reason: "conflict", mine: content(newest), theirs: result.record });
    return 1;
  }
  const isRejected = result.status === "rejected";
  if (edit && comesToNothing(edit, record)) tx.delete("edits", change);
  else if (edit) settle(tx, edit, isRejected ? change.base : result.status === "not_applied" ? null : result.rev);
  if (isRejected) {
    const theirs = record ? asChange(record) : null;
    tx.list({ collection, id, reason: "rejected", mine: content(change), theirs, problem: result.problem });
    return 1;
  }
  return 0;
}

function content({ data }: SentRow | Parameters<typeof settle>[1]) {
  return data ? { data } : { deleted: true as const };
}
