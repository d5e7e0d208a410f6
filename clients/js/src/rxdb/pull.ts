/** Pull: a batch of changes after a checkpoint, as RxDB asks for them. */

import { ResyncRequired, StrandlineError } from "../index.js";
import type { Change, Page } from "../types.js";
import type { Checkpoint } from "./index.js";
import type { Doc } from "./records.js";
import { holdsAnything, repair } from "./repair.js";
import { epochOf } from "../cursor.js";
import type { Replica } from "./replica.js";

/** What RxDB expects of a pull. */
export interface Batch<T> {
  documents: Doc<T>[];
  checkpoint: Checkpoint | undefined;
}

/** The largest page that the server gives. */
const PAGE = 10_000;

export class Puller<T> {
  readonly #replica: Replica<T>;
  /**
   * Where a pull goes on that begins at `from`. RxDB stores no checkpoint with a batch that is empty, so it asks from
   * the old one again.
   */
  #further: { from: string | undefined; to: string } | undefined;

  constructor(replica: Replica<T>) {
    this.#replica = replica;
  }

  /** RxDB's pull handler. RxDB takes a batch that is shorter than `size` for the last one, so they are filled. */
  async pull(checkpoint: Checkpoint | undefined, size: number): Promise<Batch<T>> {
    const replica = this.#replica;
    replica.announced = false;
    const { arrivals } = await replica.session();
    const from = checkpoint?.cursor;
    const since = this.#further?.from === from ? (this.#further?.to ?? from) : from;
    const batch = await this.#batch(since, from, size);
    if (batch.checkpoint) {
      replica.cursor = batch.checkpoint.cursor;
      const live = batch.documents.filter((document) => !document._deleted);
      await arrivals.expect(live.map((document) => replica.setup.records.id(document)), replica.books.hasStored(from));
      if (!batch.documents.length) this.#further = { from, to: batch.checkpoint.cursor };
    }
    return batch;
  }

  async #batch(since: string | undefined, from: string | undefined, size: number): Promise<Batch<T>> {
    const replica = this.#replica;
    if (replica.broken) return repair(replica, from);
    try {
      return (await this.#changes(since, from, size)) ?? (await repair(replica, from));
    } catch (error) {
      if (error instanceof ResyncRequired) return repair(replica, from);
      // A space that nobody has written to is not there yet, and a push will make it. With a cursor it was deleted, or
      // the token has lost it: nothing is thrown away for that.
      if (error instanceof StrandlineError && error.status === 404 && since === undefined) {
        return { documents: [], checkpoint: undefined };
      }
      throw error;
    }
  }

  /** The changes since a cursor; null where they do not tell all that has to go. */
  async #changes(since: string | undefined, from: string | undefined, size: number): Promise<Batch<T> | null> {
    const replica = this.#replica;
    const { collection } = replica.setup;
    const changes = new Map<string, Change>();
    let documents: Doc<T>[] = [];
    let cursor = since;
    let more = true;
    while (more && documents.length < size) {
      const limit = Math.min(PAGE, Math.max(1, size - changes.size));
      const page = await replica.patience.run("pull", async () => {
        const client = await replica.client();
        const { signal } = replica.patience;
        return (await client.changes({ since: cursor, limit, collections: [collection], signal })) as Page;
      });
      // The server can go on from a cursor that two histories share; but what was pushed from here may lie above it, and
      // be lost in a restore.
      if (cursor !== undefined && epochOf(page.cursor) !== epochOf(cursor)) return null;
      for (const change of page.changes) changes.set(change.id, change);
      ({ cursor, has_more: more } = page);
      if (more && changes.size < size) continue;
      await replica.settled();
      // An initial sync leaves tombstones out, so it is for who holds nothing. A client may hold something and have no
      // checkpoint: one that pushed, this moment perhaps, or was killed, before it ever stored one.
      if (since === undefined && (await holdsAnything(replica))) return null;
      documents = await this.#documents(changes, from, epochOf(page.cursor));
    }
    return { documents, checkpoint: { cursor: cursor as string } };
  }

  async #documents(changes: Map<string, Change>, from: string | undefined, epoch: string): Promise<Doc<T>[]> {
    const { bases, setup } = this.#replica;
    const bodies = await this.#bodies([...changes.values()].filter((change) => change.deleted).map(({ id }) => id), from);
    const documents: Doc<T>[] = [];
    bases.enter(epoch);
    for (const change of changes.values()) {
      // A page that was read before an own push and is applied after it would bring back what the push replaced.
      if (change.rev < (bases.get(change.id)?.rev ?? 0)) continue;
      const body = bodies.get(change.id);
      // A deletion of what was never here.
      if (change.deleted && !body) continue;
      const document = setup.records.toDocument(change, body);
      bases.set(change.id, { rev: change.rev, state: document });
      documents.push(document);
    }
    return documents;
  }

  /** The last states of records that were deleted, where there are any: their tombstones have no body of their own. */
  async #bodies(ids: string[], from: string | undefined): Promise<Map<string, Doc<T>>> {
    const { bases, books, patience } = this.#replica;
    const bodies = new Map<string, Doc<T>>();
    if (!ids.length) return bodies;
    for (const [id, stored] of await books.local(ids)) bodies.set(id, books.state(stored));
    // RxDB stores pages in the background: a record may be deleted before its document is there.
    const missing = ids.filter((id) => !bodies.has(id));
    for (const id of missing) {
      const seen = bases.get(id);
      if (seen) bodies.set(id, seen.state);
    }
    const unknown = missing.filter((id) => !bodies.has(id));
    if (unknown.length && !books.hasStored(from)) {
      await books.untilStored(from, patience.signal);
      for (const [id, stored] of await books.local(unknown)) bodies.set(id, books.state(stored));
    }
    return bodies;
  }
}
