/** Sends pushes: one at a time, under their numbers, until they are answered, and books what the server says. */

import { isOverQuota } from "../errors.js";
import { ResyncRequired, StrandlineError } from "../index.js";
import type { PushAnswer, PushBody, PushChange, PushResult } from "../types.js";
import type { Doc } from "./records.js";
import { epochOf } from "../cursor.js";
import type { Replica } from "./replica.js";

/** An edit that is to be pushed. */
export interface Edit<T> {
  id: string;
  state: Doc<T>;
  change: PushChange;
  /** What the edit was made on, as far as RxDB knows; nothing for an insert. */
  assumed: Doc<T> | undefined;
}

/** Characters of data in one request, unless one record alone has more. The server takes 16 MiB, and 1 MiB a record. */
const REQUEST_CHARS = 4 * 1024 * 1024;
/** Changes in one request, as many as the server takes. */
const REQUEST_CHANGES = 10_000;

export class Sender<T> {
  readonly #replica: Replica<T>;

  constructor(replica: Replica<T>) {
    this.#replica = replica;
  }

  /** Sends edits in as few requests as their size allows, and gives each one's result. */
  async send(edits: Edit<T>[]): Promise<[Edit<T>, PushResult][]> {
    const results: [Edit<T>, PushResult][] = [];
    for (const batch of bySize(edits)) results.push(...(await this.#sendOrSplit(batch)));
    return results;
  }

  /** Where the server refuses a push as a whole, the edit that is at fault is found by halves: it must not block the rest. */
  async #sendOrSplit(edits: Edit<T>[]): Promise<[Edit<T>, PushResult][]> {
    const { journal } = await this.#replica.session();
    const changes = edits.map((edit) => edit.change);
    try {
      await journal.begin(this.#body(changes));
      const { results } = await this.#sendPending(true);
      return edits.map((edit, at) => [edit, results[at] as PushResult]);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      await journal.end();
      // Nothing is wrong with any of them; and what makes room must not wait behind them.
      if (isOverQuota(error)) throw error;
      const [first] = edits as [Edit<T>];
      if (edits.length === 1) {
        const { collection, id } = first.change;
        const { code, detail } = error.problem;
        return [[first, { collection, id, status: "rejected", problem: { code, detail } }]];
      }
      const middle = Math.ceil(edits.length / 2);
      const halves = [edits.slice(0, middle), edits.slice(middle)];
      return [...(await this.#sendOrSplit(halves[0]!)), ...(await this.#sendOrSplit(halves[1]!))];
    }
  }

  /** Sends the push that an earlier session, or an earlier call of RxDB, has left without an answer. */
  async sendAgain(): Promise<void> {
    const { journal } = await this.#replica.session();
    try {
      await this.#sendPending(false);
    } catch (error) {
      // It was refused as a whole, and is formed anew.
      if (!isRefusal(error)) throw error;
      await journal.end();
    }
  }

  #body(changes: PushChange[]): PushBody {
    const { cursor, setup } = this.#replica;
    return cursor === undefined ? { changes } : { changes, cursor, collections: [setup.collection] };
  }

  /**
   * Sends the pending push until it is answered, the same each time, and books what was accepted. `isNew` says that
   * it was never sent before.
   */
  async #sendPending(isNew: boolean): Promise<PushAnswer> {
    const { patience } = this.#replica;
    const { journal } = await this.#replica.session();
    for (let first = isNew; ; ) {
      try {
        return await patience.run("push", () => {
          const isFirst = first;
          first = false;
          return this.#replica.sending(() => this.#request(isFirst));
        });
      } catch (error) {
        if (!(error instanceof ResyncRequired)) throw error;
        // Its bases are of another history. It may have been applied in what both share, so its number stays.
        const { seq, changes } = journal.pending as PushBody;
        const baseless = changes.map((change) => (change.base_rev ? { ...change, base_rev: 0 } : change));
        await journal.amend({ changes: baseless, ...(seq !== undefined && { seq }) });
        this.#replica.breakHistory();
      }
    }
  }

  async #request(isFirst: boolean): Promise<PushAnswer> {
    const replica = this.#replica;
    const { journal } = await replica.session();
    const client = await replica.client();
    const pending = journal.pending as PushBody;
    const answer = await client.push(pending, { signal: replica.patience.signal });
    if (answer.duplicate && isFirst) {
      // A number that was never used was used: somebody else has this name, as after a copy of the database.
      await journal.rename();
      return this.#request(false);
    }
    await this.#book(pending, answer);
    replica.setup.onPushed();
    // Without a cursor in the push, the answer's is not one that this replica has earned.
    if (pending.cursor === undefined || answer.cursor === null) return answer;
    if (epochOf(pending.cursor) !== epochOf(answer.cursor)) replica.breakHistory();
    else replica.cursor = answer.cursor;
    return answer;
  }

  /** Notes what the server has now, and which inserts it must not be told once more. */
  async #book(pending: PushBody, answer: PushAnswer): Promise<void> {
    const { bases, books, setup } = this.#replica;
    const { journal } = await this.#replica.session();
    const ids = pending.changes.map(({ id }) => id);
    const assumed = await books.assumed(ids);
    const accepted: Doc<T>[] = [];
    const spent: Record<string, "new" | "again"> = {};
    // A deletion is booked with its body: without it RxDB would take it for another state than the one that is stored.
    const bodies = await books.local(pending.changes.filter((change) => change.deleted).map(({ id }) => id));
    if (answer.cursor !== null) bases.enter(epochOf(answer.cursor));
    answer.results.forEach((result, at) => {
      const { id, base_rev, deleted = false, data } = pending.changes[at]!;
      const body = bodies.get(id);
      const sent = setup.records.toDocument({ id, deleted, data }, body && books.state(body));
      if (result.status === "applied" || result.status === "unchanged") {
        accepted.push(sent);
        journal.settle(id, true);
        bases.set(id, { rev: result.rev, state: sent });
      } else if (result.status === "conflict") {
        const { rev } = result.record;
        // What a pull has brought since the answer was made is newer.
        if (rev === null || rev > (bases.get(id)?.rev ?? 0)) bases.set(id, { rev, state: setup.records.toDocument(result.record) });
        // It may have been applied the first time, and deleted since.
        const mayHaveBeen = base_rev == null || (answer.duplicate && result.record.deleted);
        if (mayHaveBeen && !deleted) spent[id] = assumed.has(id) ? "again" : "new";
      }
    });
    await books.book(accepted);
    await journal.end(spent);
  }
}

/** Whether the server has refused a push as a whole because of what is in it: nothing of it was applied. */
function isRefusal(error: unknown): error is StrandlineError {
  return error instanceof StrandlineError && ["too_large", "invalid_request", "quota_exceeded"].includes(error.code);
}

/** Batches under the size of a request. */
function bySize<T>(edits: Edit<T>[]): Edit<T>[][] {
  const batches: Edit<T>[][] = [];
  let room = -1;
  for (const edit of edits) {
    const size = JSON.stringify(edit.change).length;
    if (size > room || batches.at(-1)?.length === REQUEST_CHANGES) {
      batches.push([]);
      room = REQUEST_CHARS;
    }
    batches.at(-1)!.push(edit);
    room -= size;
  }
  return batches;
}
