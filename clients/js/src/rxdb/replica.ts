/** What the pull and the push of one replicated collection share. */

import type { RxReplicationState } from "rxdb/plugins/replication";
import { StrandlineClient } from "../index.js";
import type { ClientOptions } from "../transport.js";
import { Arrivals } from "./arrivals.js";
import { Bases } from "./bases.js";
import { Bookkeeping } from "./bookkeeping.js";
import type { Checkpoint, Conflict } from "./index.js";
import { Journal } from "./journal.js";
import { Patience } from "./patience.js";
import type { Records } from "./records.js";

/** How a replica was set up. */
export interface Setup<T> {
  /** Where and as whom it calls; `name` begins the names under which collections call. */
  client: ClientOptions;
  /** The collection's name on the server. */
  collection: string;
  records: Records<T>;
  onConflict: (conflict: Conflict<T>) => void | Promise<void>;
  /** The server has answered a push: a feed that waits for the space to be there need not wait. */
  onPushed: () => void;
}

export class Replica<T> {
  readonly setup: Setup<T>;
  readonly bases: Bases<T>;
  readonly books: Bookkeeping<T>;
  readonly patience: Patience<T>;

  /**
   * The cursor of the last answer: it says to which history the bases of a push belong. None before the first pull of
   * a collection that was never pulled, and none in a history that was not pulled from yet: then a push has only bases
   * that are right in any.
   */
  cursor: string | undefined;
  /** The server has another history than the one that was pulled: the next pull is a repair. */
  broken = false;
  /** A pull was asked for that has not begun. */
  announced = false;

  readonly #replication: () => RxReplicationState<T, Checkpoint>;
  #session: Promise<{ journal: Journal<T>; arrivals: Arrivals<T> }> | undefined;
  #client: StrandlineClient | undefined;
  #name: string | undefined;
  #sending: Promise<unknown> = Promise.resolve();

  constructor(setup: Setup<T>, replication: () => RxReplicationState<T, Checkpoint>) {
    this.setup = setup;
    this.#replication = replication;
    this.bases = new Bases(setup.records);
    this.books = new Bookkeeping(setup.records, replication);
    this.patience = new Patience(replication);
  }

  /** What is noted on disk, once what the last session left has been read. */
  session(): Promise<{ journal: Journal<T>; arrivals: Arrivals<T> }> {
    this.#session ??= this.#open();
    // A disk that fails once may not fail the next time.
    this.#session.catch(() => (this.#session = undefined));
    return this.#session;
  }

  async #open(): Promise<{ journal: Journal<T>; arrivals: Arrivals<T> }> {
    this.cursor = await this.books.cursor();
    const journal = await Journal.open(this.books, this.setup.client.name ?? "rxdb");
    return { journal, arrivals: await Arrivals.open(this.books) };
  }

  /** The client, under the name that the journal has at the moment. */
  async client(): Promise<StrandlineClient> {
    const { name } = (await this.session()).journal;
    if (this.#client && this.#name === name) return this.#client;
    this.#name = name;
    return (this.#client = new StrandlineClient({ ...this.setup.client, name }));
  }

  /** Runs the sending of a push, from its request to when its answer is booked. */
  async sending<R>(send: () => Promise<R>): Promise<R> {
    const sending = send();
    this.#sending = sending.catch(() => {});
    return sending;
  }

  /**
   * Waits for a push that is on its way. A page that was read meanwhile may have an edit from elsewhere on top of ours;
   * until ours is booked, RxDB takes our state for one that was not pushed, skips the newer one, and never asks again.
   */
  async settled(): Promise<void> {
    await this.#sending;
  }

  /** History has changed: no revision that was seen counts any more, and what is held has to be compared. */
  breakHistory(): void {
    this.broken = true;
    this.bases.forget();
    this.cursor = undefined;
    this.announce();
  }

  /** Asks RxDB for a pull, unless one was asked for already: each one that is asked for is made. */
  announce(): void {
    if (this.announced) return;
    this.announced = true;
    this.#replication().reSync();
  }
}
