/** What the server was last seen to have of each record: from here edits get their `base_rev`. */

import type { Doc, Records } from "./records.js";

/** A record's version on the server: null where there is none. */
export interface Seen<T> {
  rev: number | null;
  state: Doc<T>;
}

/** Older ones are forgotten. An edit of a forgotten record costs one more request, nothing else. */
const REMEMBERED = 10_000;

/**
 * Versions seen in this session. RxDB has no place for revisions: a field in the document would be stale after every
 * own push. So they are kept here, and a revision counts as the base of an edit only if the state that it names is
 * what RxDB says the edit was made on. Without that comparison an edit of an older state would overwrite the newer one
 * in silence.
 */
export class Bases<T> {
  readonly #records: Records<T>;
  readonly #seen = new Map<string, Seen<T>>();
  #epoch: string | undefined;

  constructor(records: Records<T>) {
    this.#records = records;
  }

  get(id: string): Seen<T> | undefined {
    return this.#seen.get(id);
  }

  set(id: string, seen: Seen<T>): void {
    this.#seen.delete(id);
    this.#seen.set(id, seen);
    if (this.#seen.size > REMEMBERED) {
      for (const oldest of this.#seen.keys()) {
        this.#seen.delete(oldest);
        break;
      }
    }
  }

  /** To be told of the epoch of each answer before what is in it: revisions of other histories are forgotten. */
  enter(epoch: string): void {
    if (epoch !== this.#epoch) this.forget();
    this.#epoch = epoch;
  }

  forget(): void {
    this.#seen.clear();
  }

  /**
   * The base of an edit of a record that RxDB assumes to be in this state on the server; null: none, it does not exist.
   *
   * A revision that is not known is 0, which no record has: the server answers with a conflict and its record, and if
   * that is the assumed state, the edit is sent again on it. Any other guess, such as the revision of the checkpoint,
   * may lie above an edit from elsewhere that RxDB skipped, and would overwrite it.
   */
  of(id: string, assumed: Doc<T>): number | null {
    const seen = this.#seen.get(id);
    return seen && this.#records.same(seen.state, assumed) ? seen.rev : 0;
  }
}
