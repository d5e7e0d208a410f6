/**
 * Repair (PROTOCOL.md §6), as far as RxDB allows: RxDB has no answer to a server that has forgotten its checkpoint.
 *
 * Dropping its bookkeeping and starting anew would be wrong, since RxDB then takes every document for one that was
 * made here and pushes it, records that were deleted elsewhere too. So the repair is a batch of a pull like
 * any other: what differs from what RxDB assumes, and deletions for what the server has no more.
 *
 * RxDB keeps no revisions, so that a manifest has nothing to be compared with: the records themselves are read, page by
 * page, and only their ids are kept.
 */

import { ResyncRequired } from "../index.js";
import type { Page } from "../types.js";
import type { Batch } from "./pull.js";
import type { Doc } from "./records.js";
import { epochOf } from "../cursor.js";
import type { Replica } from "./replica.js";

/** Records a page of the comparison. */
const PAGE = 1000;

/** What the server has, compared with what RxDB assumes it to have. */
interface Comparison<T> {
  cursor: string;
  /** The head as of which it was made. */
  head: number;
  /** The records that are not as they are assumed to be. */
  different: Map<string, Doc<T>>;
  /** One that is. */
  same: Doc<T> | undefined;
  /** The ids of all that are there. */
  ids: Set<string>;
}

/**
 * Brings what is held to what the server has, where RxDB has pulled up to `from`. Edits that were not pushed stay: the
 * server will judge them by their base.
 */
export async function repair<T>(replica: Replica<T>, from: string | undefined): Promise<Batch<T>> {
  // A page that is still being stored would come after the look at what is held, and its ghosts would stay.
  await replica.books.untilStored(from, replica.patience.signal);
  await replica.settled();
  replica.broken = false;
  replica.bases.forget();
  replica.cursor = undefined;
  const comparison = await compare(replica);
  await replica.settled();
  const documents = [...comparison.different.values(), ...(await ghosts(replica, comparison))];
  // RxDB stores a checkpoint only beside a document, even if there is nothing new about it.
  if (!documents.length && comparison.same) documents.push(comparison.same);
  return { documents, checkpoint: { cursor: comparison.cursor } };
}

/** Whether anything is held that came from the server or was accepted by it. */
export async function holdsAnything<T>(replica: Replica<T>): Promise<boolean> {
  for await (const held of heldIds(replica)) if (held.length) return true;
  return false;
}

async function compare<T>(replica: Replica<T>): Promise<Comparison<T>> {
  for (;;) {
    try {
      return await readAll(replica);
    } catch (error) {
      // A purge has overtaken the reading, or history broke once more.
      if (!(error instanceof ResyncRequired)) throw error;
    }
  }
}

/** An initial sync that only compares: each page against what RxDB assumes of its records. */
async function readAll<T>(replica: Replica<T>): Promise<Comparison<T>> {
  const { bases, books, patience, setup } = replica;
  const { collection, records } = setup;
  const comparison: Comparison<T> = { cursor: "", head: 0, different: new Map(), same: undefined, ids: new Set() };
  let since: string | undefined;
  for (let more = true; more; ) {
    const { changes, cursor, has_more, head } = await patience.run("pull", async () => {
      const client = await replica.client();
      return (await client.changes({ since, limit: PAGE, collections: [collection], signal: patience.signal })) as Page;
    });
    const assumed = await books.assumed(changes.map(({ id }) => id));
    bases.enter(epochOf(cursor));
    for (const change of changes) {
      // The same record again is a newer version of it; a deletion that happened since the beginning makes a ghost.
      comparison.different.delete(change.id);
      comparison.ids.delete(change.id);
      if (change.deleted) continue;
      comparison.ids.add(change.id);
      // What was pushed since is newer than the page.
      if (change.rev < (bases.get(change.id)?.rev ?? 0)) continue;
      const state = records.toDocument(change);
      bases.set(change.id, { rev: change.rev, state });
      const before = assumed.get(change.id);
      if (before && records.same(before, state)) comparison.same = before;
      else comparison.different.set(change.id, state);
    }
    comparison.cursor = since = cursor;
    comparison.head = head;
    more = has_more;
  }
  return comparison;
}

/**
 * Deletions for the documents that the server has no more. They are made up, and RxDB takes them for the server's:
 * they are not pushed. Where the user has edited such a document, RxDB leaves it alone, pushes the edit, and gets a
 * conflict with nothing: so it is listed before it goes.
 */
async function ghosts<T>(replica: Replica<T>, { ids, head, cursor }: Comparison<T>): Promise<Doc<T>[]> {
  const { bases, books, setup } = replica;
  const found: Doc<T>[] = [];
  bases.enter(epochOf(cursor));
  for await (const held of heldIds(replica)) {
    // Not what was pushed from here after the server was read.
    const gone = held.filter((id) => !ids.has(id) && (bases.get(id)?.rev ?? 0) <= head);
    for (const [id, stored] of await books.local(gone)) {
      found.push(setup.records.toDocument({ id, deleted: true }, books.state(stored)));
    }
  }
  return found;
}

/** The ids of what is live here and, as RxDB knows, was so on the server: not of what was only made here. */
async function* heldIds<T>({ books, setup }: Replica<T>): AsyncGenerator<string[]> {
  for await (const batch of books.all()) {
    const live = batch.filter((stored) => !stored._deleted).map((stored) => setup.records.id(books.state(stored)));
    const assumed = await books.assumed(live);
    yield live.filter((id) => assumed.get(id)?._deleted === false);
  }
}
