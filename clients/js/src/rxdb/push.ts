/** Push: edits that RxDB hands over, judged by the server, and what it did not take given back as conflicts. */

import { isOverQuota } from "../errors.js";
import type { PushChange, PushResult, ServerRecord } from "../types.js";
import type { Conflict } from "./index.js";
import { type Doc, isValidId } from "./records.js";
import type { Replica } from "./replica.js";
import { type Edit, Sender } from "./sender.js";

/** An edit as RxDB hands it over. */
export interface Row<T> {
  newDocumentState: Doc<T>;
}

/** How often an edit is sent whose base is not known; a repair may make the second one forgotten too. */
const ROUNDS = 5;

export class Pusher<T> {
  readonly #replica: Replica<T>;
  readonly #sender: Sender<T>;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(replica: Replica<T>) {
    this.#replica = replica;
    this.#sender = new Sender(replica);
  }

  /**
   * RxDB's push handler: the answer is the server's state of the documents that are in conflict. RxDB pushes several
   * batches at once; under one name and its numbers they go one at a time.
   */
  push(rows: Row<T>[]): Promise<Doc<T>[]> {
    const turn = this.#turn.then(() => this.#pushOrMakeRoom(rows));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** While RxDB tries a batch again, it asks for nothing else; so where the space is full, what makes room is looked for here. */
  async #pushOrMakeRoom(rows: Row<T>[]): Promise<Doc<T>[]> {
    try {
      return await this.#push(rows);
    } catch (error) {
      if (isOverQuota(error)) await this.#sender.send(await this.#edits(await this.#replica.books.deleted(), new Map()));
      throw error;
    }
  }

  async #push(rows: Row<T>[]): Promise<Doc<T>[]> {
    const { patience, setup } = this.#replica;
    const { journal } = await this.#replica.session();
    patience.check();
    // Whatever was left without an answer comes first: what is pushed now may be made on it.
    if (journal.pending) await this.#sender.sendAgain();

    const conflicts = new Map<string, Doc<T>>();
    let asked = new Map(rows.map(({ newDocumentState }) => [setup.records.id(newDocumentState), newDocumentState]));
    for (let round = 1; asked.size; round++) {
      const edits = await this.#edits(asked, conflicts);
      const again = new Map<string, Doc<T>>();
      for (const [edit, result] of await this.#sender.send(edits)) {
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
    const { bases, setup } = this.#replica;
    // The answer may be older than what a pull has brought since: RxDB passed that over, as the edit was on its way, and nothing
    // brings it again.
    const seen = bases.get(edit.id);
    const server = seen && (seen.rev ?? 0) > (result.record.rev ?? 0) ? seen.state : setup.records.toDocument(result.record, edit.state);
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
