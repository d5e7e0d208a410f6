/** Push: edits that RxDB hands over, judged by the server, and what it did not take given back as conflicts. */

import { ResyncRequired, StrandlineError } from "../index.js";
import type { PushAnswer, PushBody, PushChange, PushResult, ServerRecord } from "../types.js";
import type { Conflict } from "./index.js";
import { type Doc, isValidId } from "./records.js";
import { epochOf, type Replica } from "./replica.js";

/** An edit as RxDB hands it over. */
export interface Row<T> {
  newDocumentState: Doc<T>;
}

/** An edit that is to be pushed. */
interface Edit<T> {
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

/** How often an edit is sent whose base is not known; a repair may make the second one forgotten too. */
const ROUNDS = 5;

export class Pusher<T> {
  readonly #replica: Replica<T>;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(replica: Replica<T>) {
    this.#replica = replica;
  }

  /**
   * RxDB's push handler: the answer is the server's state of the documents that are in conflict. RxDB pushes several
   * batches at once; under one name and its numbers they go one at a time.
   */
  push(rows: Row<T>[]): Promise<Doc<T>[]> {
    const turn = this.#turn.then(() => this.#push(rows));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #push(rows: Row<T>[]): Promise<Doc<T>[]> {
    const { patience, setup } = this.#replica;
    const { journal } = await this.#replica.session();
    patience.check();
    // Whatever was left without an answer comes first: what is pushed now may be made on it.
    if (journal.pending) await this.#send(false);

    const conflicts = new Map<string, Doc<T>>();
    let asked = new Map(rows.map(({ newDocumentState }) => [setup.records.id(newDocumentState), newDocumentState]));
    for (let round = 1; asked.size; round++) {
      const edits = await this.#edits(asked, conflicts);
      const again = new Map<string, Doc<T>>();
      for (const [edit, result] of await this.#sendAll(edits)) {
        const isOlder = result.status === "conflict" && (await this.#isOnlyOlder(edit, result.record));
        if (isOlder && round < ROUNDS) again.set(edit.id, edit.state);
        else await this.#settle(edit, result, conflicts);
      }
      asked = again;
    }
    for (const id of conflicts.keys()) journal.settle(id, false);
    return [...conflicts.values()];
  }

  /**
   * What there is to push of the documents that RxDB asks about, with the base of each.
   *
   * The state that RxDB hands over is one that it read some time ago: a pull may have replaced it meanwhile, and then RxDB
   * takes what the server had for an edit of what it has. So it is what is stored now that counts, read after what
   * is assumed: a pull writes them the other way round.
   */
  async #edits(asked: Map<string, Doc<T>>, conflicts: Map<string, Doc<T>>): Promise<Edit<T>[]> {
    const { books, setup } = this.#replica;
    const { collection, records } = setup;
    const ids = [...asked.keys()];
    const assumed = await books.assumed(ids);
    const local = await books.local(ids);
    const edits: Edit<T>[] = [];
    const overtaken: Doc<T>[] = [];
    for (const [id, state] of [...local].map(([id, stored]) => [id, books.state(stored)] as const)) {
      const before = assumed.get(id);
      if (before && records.same(before, state)) {
        if (!records.same(before, asked.get(id)!)) overtaken.push(before);
        continue;
      }
      const base_rev = await this.#base(id, state, before);
      const change: PushChange = state._deleted
        ? { collection, id, base_rev, deleted: true }
        : { collection, id, base_rev, data: records.toData(state) };
      const edit = { id, state, change, assumed: before };
      if (isValidId(id)) edits.push(edit);
      else await this.#refuse(edit, { code: "invalid_request", detail: "the server takes no such id" }, conflicts);
    }
    // Booked once more, so that RxDB does not book the states that were not pushed.
    await books.book(overtaken);
    return edits;
  }

  /** What an edit was made on; null: nothing. 0 is no record's revision: the server has to say what it has. */
  async #base(id: string, state: Doc<T>, assumed: Doc<T> | undefined): Promise<number | null> {
    const { journal, arrivals } = await this.#replica.session();
    if (journal.isSpent(id, assumed !== undefined)) return 0;
    if (assumed) return this.#replica.bases.of(id, assumed) ?? (state._deleted ? 0 : null);
    // Not to be called new: a deletion, and what has come from the server.
    return state._deleted || arrivals.has(id) ? 0 : null;
  }

  /** Sends edits in as few requests as their size allows, and gives each one's result. */
  async #sendAll(edits: Edit<T>[]): Promise<[Edit<T>, PushResult][]> {
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
      const { results } = await this.#send(true);
      return edits.map((edit, at) => [edit, results[at] as PushResult]);
    } catch (error) {
      if (!(error instanceof StrandlineError && (error.code === "too_large" || error.code === "invalid_request"))) throw error;
      await journal.end();
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

  #body(changes: PushChange[]): PushBody {
    const { cursor, setup } = this.#replica;
    return cursor === undefined ? { changes } : { changes, cursor, collections: [setup.collection] };
  }

  /**
   * Sends the pending push until it is answered, the same each time, and books what was accepted. `isNew` says that
   * it was never sent before.
   */
  async #send(isNew: boolean): Promise<PushAnswer> {
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
    if (pending.cursor === undefined) return answer;
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
    answer.results.forEach((result, at) => {
      const { id, base_rev, deleted = false, data } = pending.changes[at]!;
      const body = bodies.get(id);
      const sent = setup.records.toDocument({ id, deleted, data }, body && books.state(body));
      if (result.status === "applied" || result.status === "unchanged") {
        accepted.push(sent);
        journal.settle(id, true);
        bases.set(id, { rev: result.rev, state: sent });
      } else if (result.status === "conflict") {
        bases.set(id, { rev: result.record.rev, state: setup.records.toDocument(result.record) });
        // It may have been applied the first time, and deleted since.
        const mayHaveBeen = base_rev == null || (answer.duplicate && result.record.deleted);
        if (mayHaveBeen && !deleted) spent[id] = assumed.has(id) ? "again" : "new";
      }
    });
    await books.book(accepted);
    await journal.end(spent);
  }

  /** Whether an edit in conflict was made on what the server has: then only its revision was not known. */
  async #isOnlyOlder({ id }: Edit<T>, record: ServerRecord): Promise<boolean> {
    const { books, setup } = this.#replica;
    const { journal } = await this.#replica.session();
    // Read anew: RxDB may have stored by now what the user saw when making the edit.
    const assumed = (await books.assumed([id])).get(id);
    if (!assumed || (record.deleted && journal.isSpent(id, true))) return false;
    return setup.records.same(assumed, setup.records.toDocument(record));
  }

  async #settle(edit: Edit<T>, result: PushResult, conflicts: Map<string, Doc<T>>): Promise<void> {
    if (result.status === "rejected") return this.#refuse(edit, result.problem, conflicts);
    if (result.status !== "conflict") return;
    const { records } = this.#replica.setup;
    const server = records.toDocument(result.record, edit.state);
    await this.#report({ reason: "conflict", id: edit.id, document: edit.state, server });
    conflicts.set(edit.id, server);
  }

  /** RxDB knows no error of one row: what is refused is a conflict with what was there before. */
  async #refuse(edit: Edit<T>, problem: { code: string; detail: string }, conflicts: Map<string, Doc<T>>): Promise<void> {
    const { records } = this.#replica.setup;
    const server = edit.assumed ?? records.toDocument({ id: edit.id, deleted: true }, edit.state);
    await this.#report({ reason: "rejected", id: edit.id, document: edit.state, server, problem });
    conflicts.set(edit.id, server);
  }

  async #report(conflict: Conflict<T>): Promise<void> {
    await this.#replica.setup.onConflict(conflict);
  }
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
