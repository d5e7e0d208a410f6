/**
 * The push on its way, on disk, so that it happens at most once (PROTOCOL.md §4).
 *
 * An insert whose answer was lost and whose record was then deleted elsewhere and purged would rise again when it is
 * pushed anew: only the same `seq` under the same name tells the server that it had it. So a push is noted before it
 * is sent, and after a crash it is sent again as it was before anything else is.
 */

import type { PushBody } from "../types.js";
import type { Bookkeeping } from "./bookkeeping.js";
import { Note } from "./note.js";

/** What is noted. */
interface Entry {
  /** The client's name: drawn once for each copy of a collection, and never shared by two. */
  name: string;
  /** The number of the last push. */
  seq: number;
  /** The push that has no answer yet. */
  pending?: PushBody | undefined;
  spent: Spent;
}

/**
 * Documents that the server has refused to bring into being, so that it must not be asked to once more: they may have
 * been there, and deleted since. `new` ones RxDB never knew on the server, and they are settled when it does; the
 * others were made again after a deletion.
 */
type Spent = Record<string, "new" | "again">;

export class Journal<T> {
  readonly #note: Note<T, Entry>;
  readonly #prefix: string;
  #entry: Entry;
  #crowded = false;

  private constructor(note: Note<T, Entry>, prefix: string) {
    this.#note = note;
    this.#prefix = prefix;
    this.#entry = note.value ?? { name: newName(prefix), seq: 0, spent: {} };
  }

  /** Reads what the last session left. `prefix` begins the names that are drawn. */
  static async open<T>(books: Bookkeeping<T>, prefix: string): Promise<Journal<T>> {
    return new Journal(await Note.open<T, Entry>(books, "push"), prefix);
  }

  get name(): string {
    return this.#entry.name;
  }

  get pending(): PushBody | undefined {
    return this.#entry.pending;
  }

  /** Notes a push under the next number. */
  async begin(body: PushBody): Promise<void> {
    const seq = this.#entry.seq + 1;
    await this.#write({ ...this.#entry, seq, pending: { ...body, seq } });
  }

  /** Notes that the pending push is sent in another form from now on, under its number. */
  async amend(pending: PushBody): Promise<void> {
    await this.#write({ ...this.#entry, pending });
  }

  /** The pending push was answered. */
  async end(spent: Spent = {}): Promise<void> {
    await this.#write({ ...this.#entry, pending: undefined, spent: { ...this.#entry.spent, ...spent } });
  }

  /** Goes on under another name, with the pending push as its first: somebody else uses this one. */
  async rename(): Promise<void> {
    const pending = this.#entry.pending && { ...this.#entry.pending, seq: 1 };
    await this.#write({ ...this.#entry, name: newName(this.#prefix), seq: 1, pending });
  }

  /** Whether the server must not be asked to bring this into being. `isKnown` says that RxDB knows it on the server. */
  isSpent(id: string, isKnown: boolean): boolean {
    if (isKnown && this.#entry.spent[id] === "new") this.#clear(id);
    return id in this.#entry.spent;
  }

  /**
   * An edit of this document was accepted, or handed to RxDB as a conflict. RxDB may find it edited once more and leave
   * the conflict to the next push: so what it never knew on the server stays noted until it does.
   */
  settle(id: string, accepted: boolean): void {
    if (accepted || this.#entry.spent[id] === "again") this.#clear(id);
  }

  /** Is on disk with the next push. */
  #clear(id: string): void {
    const { [id]: _, ...spent } = this.#entry.spent;
    this.#entry = { ...this.#entry, spent };
  }

  async #write(entry: Entry): Promise<void> {
    this.#entry = entry;
    if (this.#crowded || (await this.#note.write(entry))) return;
    // Another tab replicates the same collection, against RxDB's leader election. Two pushers under one name would take
    // each other's numbers: this one goes on under a name of its own, and leaves the note to the other.
    this.#crowded = true;
    this.#entry = { ...entry, name: newName(this.#prefix) };
  }
}

function newName(prefix: string): string {
  const token = crypto.getRandomValues(new Uint8Array(9));
  return `${prefix}-${Array.from(token, (byte) => byte.toString(36).padStart(2, "0")).join("")}`;
}
