/**
 * The push on its way, on disk, so that it happens at most once (PROTOCOL.md §4).
 *
 * An insert whose answer was lost and whose record was then deleted elsewhere and purged would rise again when it is
 * pushed anew: only the same `seq` under the same name tells the server that it had it. So a push is noted before it
 * is sent, and after a crash it is sent again as it was before anything else is.
 *
 * The note lies beside RxDB's own checkpoints, so it lives and goes with them, through migrations too; in the field that
 * RxDB encrypts where the collection is encrypted.
 */

import {
  createRevision,
  getComposedPrimaryKeyOfDocumentData,
  now,
  type RxDocumentData,
  type RxStorageReplicationMeta,
} from "rxdb";
import type { PushBody } from "../types.js";
import type { Checkpoint } from "./index.js";
import type { Bookkeeping } from "./bookkeeping.js";

/** What is noted. */
interface Note {
  /** The client's name: drawn once for each copy of a collection, and never shared by two. */
  name: string;
  /** The number of the last push. */
  seq: number;
  /** The push that has no answer yet. */
  pending?: PushBody | undefined;
  /** Inserts of which the server had more than one copy: it must not be told once more that they are new. */
  spent: string[];
}

type Stored<T> = RxDocumentData<RxStorageReplicationMeta<T, Checkpoint>>;

/** Beside RxDB's own `up` and `down`. Four characters always fit. */
const ITEM = "push";

export class Journal<T> {
  readonly #books: Bookkeeping<T>;
  readonly #prefix: string;
  #stored: Stored<T> | undefined;
  #note: Note;
  #crowded = false;

  private constructor(books: Bookkeeping<T>, prefix: string) {
    this.#books = books;
    this.#prefix = prefix;
    this.#note = { name: newName(prefix), seq: 0, spent: [] };
  }

  /** Reads what the last session left. `prefix` begins the names that are drawn. */
  static async open<T>(books: Bookkeeping<T>, prefix: string): Promise<Journal<T>> {
    const journal = new Journal(books, prefix);
    const { metaInstance } = books.internal.input;
    const id = getComposedPrimaryKeyOfDocumentData(metaInstance.schema, { isCheckpoint: "1", itemId: ITEM });
    const [stored] = (await metaInstance.findDocumentsById([id], true)) as Stored<T>[];
    journal.#stored = stored;
    const note = (stored?.docData as { strandline?: Note } | undefined)?.strandline;
    if (note) journal.#note = note;
    return journal;
  }

  get name(): string {
    return this.#note.name;
  }

  get pending(): PushBody | undefined {
    return this.#note.pending;
  }

  /** Notes a push under the next number. */
  async begin(body: PushBody): Promise<void> {
    const seq = this.#note.seq + 1;
    await this.#write({ ...this.#note, seq, pending: { ...body, seq } });
  }

  /** Notes that the pending push is sent in another form from now on, under its number. */
  async amend(pending: PushBody): Promise<void> {
    await this.#write({ ...this.#note, pending });
  }

  /** The pending push was answered; `spent` are inserts that must not be sent as such again. */
  async end(spent: string[] = []): Promise<void> {
    await this.#write({ ...this.#note, pending: undefined, spent: [...this.#note.spent, ...spent] });
  }

  /** Goes on under another name, with the pending push as its first: somebody else uses this one. */
  async rename(): Promise<void> {
    const pending = this.#note.pending && { ...this.#note.pending, seq: 1 };
    await this.#write({ ...this.#note, name: newName(this.#prefix), seq: 1, pending });
  }

  isSpent(id: string): boolean {
    return this.#note.spent.includes(id);
  }

  /** What became of it is settled: a later document of this id is another one. Noted with the next push. */
  settle(id: string): void {
    if (this.isSpent(id)) this.#note = { ...this.#note, spent: this.#note.spent.filter((spent) => spent !== id) };
  }

  async #write(note: Note): Promise<void> {
    this.#note = note;
    if (this.#crowded) return;
    const { checkpointKey, input } = this.#books.internal;
    const { metaInstance } = input;
    const document = {
      id: "",
      isCheckpoint: "1",
      itemId: ITEM,
      docData: { strandline: note },
      _deleted: false,
      _attachments: {},
      _meta: { lwt: now() },
      _rev: createRevision(await checkpointKey, this.#stored),
    } as unknown as Stored<T>;
    document.id = getComposedPrimaryKeyOfDocumentData(metaInstance.schema, document);
    const row = this.#stored ? { previous: this.#stored, document } : { document };
    const [failure] = (await metaInstance.bulkWrite([row], "strandline-journal")).error;
    if (!failure) {
      this.#stored = document;
    } else if (failure.status === 409) {
      // Another tab replicates the same collection, against RxDB's leader election. Two pushers under one name would
      // take each other's numbers: this one goes on under a name of its own, and leaves the note to the other.
      this.#crowded = true;
      this.#note = { ...note, name: newName(this.#prefix) };
    } else {
      throw new Error("the push could not be noted", { cause: failure });
    }
  }
}

function newName(prefix: string): string {
  const token = crypto.getRandomValues(new Uint8Array(9));
  return `${prefix}-${Array.from(token, (byte) => byte.toString(36).padStart(2, "0")).join("")}`;
}
