/**
 * RxDB's own records of a replication: what it holds locally, and what it assumes the server to have.
 *
 * RxDB keeps a collection's documents in one storage (the fork) and, beside it, the state in which it last knew each to
 * be on the server (the assumed state). A document whose two states differ has an edit that was not pushed.
 */

import {
  getAssumedMasterState,
  getChangedDocumentsSince,
  getLastCheckpointDoc,
  getMetaWriteRow,
  type RxDocumentData,
  type RxStorageInstanceReplicationState,
  writeDocToDocState,
} from "rxdb";
import type { RxReplicationState } from "rxdb/plugins/replication";
import { sleep } from "../index.js";
import type { Checkpoint } from "./index.js";
import type { Doc, Records } from "./records.js";

/** Documents read at a time where all are. */
const BATCH = 500;

/** How long to wait for pages that are being stored, at the most, and how often to look. A page may never be. */
const STORED_MS = 30_000;
const LOOK_MS = 20;

export class Bookkeeping<T> {
  readonly #replication: () => RxReplicationState<T, Checkpoint>;
  readonly #records: Records<T>;

  constructor(records: Records<T>, replication: () => RxReplicationState<T, Checkpoint>) {
    this.#records = records;
    this.#replication = replication;
  }

  get internal(): RxStorageInstanceReplicationState<T> {
    const internal = this.#replication().internalReplicationState;
    if (!internal) throw new Error("a handler was called before the replication was started");
    return internal;
  }

  /** The states in which RxDB assumes these records to be on the server; none for those it never knew there. */
  async assumed(ids: string[]): Promise<Map<string, Doc<T>>> {
    const states = await getAssumedMasterState(this.internal, ids);
    return new Map(Object.entries(states).map(([id, state]) => [id, state.docData as Doc<T>]));
  }

  /** These documents as they are stored here, deleted ones too. */
  async local(ids: string[]): Promise<Map<string, RxDocumentData<T>>> {
    const found = await this.internal.input.forkInstance.findDocumentsById(ids, true);
    return new Map(found.map((stored) => [this.#records.id(stored as unknown as Doc<T>), stored]));
  }

  /** The documents that were deleted here since RxDB last came to the end of what there was to push. */
  async deleted(): Promise<Map<string, Doc<T>>> {
    const deleted = new Map<string, Doc<T>>();
    for await (const documents of this.all(await getLastCheckpointDoc(this.internal, "up"))) {
      const states = documents.map((stored) => this.state(stored)).filter(({ _deleted }) => _deleted);
      for (const state of states) deleted.set(this.#records.id(state), state);
    }
    return deleted;
  }

  /** All documents that are stored here, or those that were changed after a checkpoint of RxDB's, in batches. */
  async *all(after?: unknown): AsyncGenerator<RxDocumentData<T>[]> {
    for (;;) {
      const { documents, checkpoint } = await getChangedDocumentsSince(this.internal.input.forkInstance, BATCH, after);
      if (documents.length) yield documents;
      if (documents.length < BATCH) return;
      after = checkpoint;
    }
  }

  /** A stored document without what is only the storage's. */
  state(stored: RxDocumentData<T>): Doc<T> {
    return writeDocToDocState(stored, false, false) as Doc<T>;
  }

  /**
   * Notes that the server has these states. RxDB does so only after all the batches of a push have returned, and skips,
   * for good, the newer edit of another device that is pulled in between. Once it is noted here, RxDB's own note
   * fails on the storage's revision, which it ignores.
   */
  async book(states: Doc<T>[]): Promise<void> {
    if (!states.length) return;
    const { internal } = this;
    const before = await getAssumedMasterState(
      internal,
      states.map((state) => this.#records.id(state)),
    );
    const rows = await Promise.all(
      states.map((state) => getMetaWriteRow(internal, state, before[this.#records.id(state)]?.metaDocument)),
    );
    await internal.input.metaInstance.bulkWrite(rows, "strandline-push");
  }

  /** The cursor up to which everything is stored here, as it was left on disk. */
  async cursor(): Promise<string | undefined> {
    return (await getLastCheckpointDoc<T, Checkpoint>(this.internal, "down"))?.cursor;
  }

  /** Whether everything up to a cursor is stored here: RxDB stores pages in the background. */
  hasStored(cursor: string | undefined): boolean {
    return (this.internal.lastCheckpointDoc.down?.checkpointData as Checkpoint | undefined)?.cursor === cursor;
  }

  /** Waits until everything up to a cursor is stored here. */
  async untilStored(cursor: string | undefined, signal: AbortSignal): Promise<void> {
    for (const end = Date.now() + STORED_MS; !this.hasStored(cursor) && Date.now() < end; ) await sleep(LOOK_MS, signal);
  }
}
