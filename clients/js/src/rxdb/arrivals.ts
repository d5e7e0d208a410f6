/**
 * Which records are on their way from the server into RxDB's storage.
 *
 * RxDB stores the documents of a page and, after that, that the server has them. Killed in between, it takes a document
 * that it had not had before for one that the user made, and pushes it; if it was deleted elsewhere meanwhile, it would
 * rise again. So their ids are noted before they are handed over: what has arrived was not made here.
 */

import type { Bookkeeping } from "./bookkeeping.js";
import { Note } from "./note.js";

export class Arrivals<T> {
  readonly #note: Note<T, string[]>;
  /** Of earlier sessions, and not booked. */
  readonly #left: Set<string>;
  #now = new Set<string>();

  private constructor(note: Note<T, string[]>, left: string[]) {
    this.#note = note;
    this.#left = new Set(left);
  }

  static async open<T>(books: Bookkeeping<T>): Promise<Arrivals<T>> {
    const note = await Note.open<T, string[]>(books, "pull");
    const noted = note.value ?? [];
    const assumed = await books.assumed(noted);
    return new Arrivals(note, noted.filter((id) => !assumed.has(id)));
  }

  has(id: string): boolean {
    return this.#now.has(id) || this.#left.has(id);
  }

  /** Notes records that are about to be handed over. `stored` says that all those of this session have been stored. */
  async expect(ids: string[], stored: boolean): Promise<void> {
    if (stored) this.#now.clear();
    if (!ids.length) return;
    for (const id of ids) this.#now.add(id);
    // If another tab has written it, which RxDB's leader election is there to prevent, its note is as good.
    await this.#note.write([...new Set([...this.#left, ...this.#now])]);
  }
}
