/**
 * A note on disk beside RxDB's own checkpoints, so that it lives and goes with them, through migrations too. It lies in
 * the field that RxDB encrypts where the collection is encrypted.
 */

import {
  createRevision,
  getComposedPrimaryKeyOfDocumentData,
  now,
  type RxDocumentData,
  type RxStorageReplicationMeta,
} from "rxdb";
import type { Bookkeeping } from "./bookkeeping.js";
import type { Checkpoint } from "./index.js";

type Stored<T> = RxDocumentData<RxStorageReplicationMeta<T, Checkpoint>>;

/** The notes there are. RxDB has `up` and `down`; it makes room for four characters. */
export type NoteName = "push" | "pull";

export class Note<T, V> {
  readonly #books: Bookkeeping<T>;
  readonly #name: NoteName;
  #stored: Stored<T> | undefined;

  private constructor(books: Bookkeeping<T>, name: NoteName) {
    this.#books = books;
    this.#name = name;
  }

  static async open<T, V>(books: Bookkeeping<T>, name: NoteName): Promise<Note<T, V>> {
    const note = new Note<T, V>(books, name);
    const { metaInstance } = books.internal.input;
    [note.#stored] = (await metaInstance.findDocumentsById([note.#id()], true)) as Stored<T>[];
    return note;
  }

  get value(): V | undefined {
    return (this.#stored?.docData as { strandline: V } | undefined)?.strandline;
  }

  /** Writes it; one write must have ended before the next begins. False if somebody else has written it: nothing is done then. */
  async write(value: V): Promise<boolean> {
    const { checkpointKey, input } = this.#books.internal;
    const document = {
      id: this.#id(),
      isCheckpoint: "1",
      itemId: this.#name,
      docData: { strandline: value },
      _deleted: false,
      _attachments: {},
      _meta: { lwt: now() },
      _rev: createRevision(await checkpointKey, this.#stored),
    } as unknown as Stored<T>;
    const row = this.#stored ? { previous: this.#stored, document } : { document };
    const [failure] = (await input.metaInstance.bulkWrite([row], "strandline-note")).error;
    if (failure?.status === 409) return false;
    if (failure) throw new Error("the note of what is on its way could not be written", { cause: failure });
    this.#stored = document;
    return true;
  }

  #id(): string {
    const { schema } = this.#books.internal.input.metaInstance;
    return getComposedPrimaryKeyOfDocumentData(schema, { isCheckpoint: "1", itemId: this.#name });
  }
}
