/** The offline copy as an application sees it: reads and writes at once, syncs when it can, and shares it with other tabs. */

import { Checksum } from "../checksum.js";
import { StrandlineClient } from "../client.js";
import type { ClientOptions } from "../transport.js";
import type { Data } from "../types.js";
import { edit, type Item, see, seeAll } from "./edits.js";
import { asData, checkCollection, checkName } from "./json.js";
import { LiveUpdates } from "./live.js";
import { type Committed, type Conflict, type Content, type Copy, type Name, Store } from "./store.js";
import { type Outcome, Sync, type SyncOptions, type SyncReport } from "./sync.js";
import { Tabs } from "./tabs.js";

/** Which copy, and of what. */
export interface OfflineOptions extends Omit<ClientOptions, "name"> {
  /** The collections to keep; all of them where nothing is said. A copy keeps to its choice. */
  collections?: string[];
  /** The IndexedDB database's name; `strandline/` and the space's name where nothing is said. */
  database?: string;
  /** Another IndexedDB than the global one. */
  indexedDB?: IDBFactory;
}

/** How the copy is doing. */
export interface Status {
  /** Whether a sync is running, in this tab or in another one. */
  syncing: boolean;
  /** Whether the live feed is open, in this tab or in another one. */
  live: boolean;
  /** How the last sync ended; null before the first. */
  outcome: Outcome | null;
  /** What the trouble was, for people; null if there was none. Without an outcome it is the local database's. */
  trouble: string | null;
  /** When the copy was last proven to be the server's, in milliseconds since 1970. */
  syncedAt: number | null;
  /** Edits that the server has not confirmed. */
  pending: number;
  /** Conflicts that nobody has decided. */
  conflicts: number;
}

/** What a listener is told: something changed, in this tab or in another one. */
export interface SpaceEvent {
  /** The records that are shown differently now, maybe. */
  changed: Name[];
  status: Status;
}

/** What `verify` found. */
export interface Verification {
  /** Whether the copy was right before anything was repaired: its own count and checksum, and the server's. */
  right: boolean;
  report: SyncReport;
}

/**
 * An offline copy of a space in IndexedDB, by the model of clients/PROTOCOL-CLIENT.md. Reads and writes never wait for
 * the network. Any number of tabs may have the same copy open.
 *
 * Records' data are what JSON can say; digits of a number beyond a double's are lost in JavaScript.
 */
export class OfflineSpace {
  readonly #store: Store;
  readonly #tabs: Tabs;
  readonly #client: StrandlineClient;
  readonly #collections: string[] | null;
  readonly #listeners = new Set<(event: SpaceEvent) => void>();
  #status: Status = { syncing: false, live: false, outcome: null, trouble: null, syncedAt: null, pending: 0, conflicts: 0 };
  #queued: Promise<SyncReport> | undefined;
  #live: { stop: AbortController; updates: LiveUpdates; ended: Promise<void> } | undefined;

  /** Opens the copy, and makes it if there is none. */
  static async open(options: OfflineOptions): Promise<OfflineSpace> {
    const file = options.database ?? `strandline/${options.space}`;
    const collections = options.collections ? [...new Set(options.collections)].sort() : null;
    collections?.forEach(checkCollection);
    const fresh = freshCopy(options.space, collections);
    const store = new Store(options.indexedDB ?? indexedDB, file, fresh);
    const copy = await store.read(async (tx) => tx.copy);
    if (copy.space !== fresh.space || String(copy.collections) !== String(collections)) {
      await store.close();
      throw new TypeError(`the database ${file} is a copy of ${copy.space}, collections ${copy.collections ?? "all"}`);
    }
    const space = new OfflineSpace(options, store, file, copy);
    // Nothing is written, but it counts what there is.
    await store.write(async () => {});
    return space;
  }

  private constructor(options: OfflineOptions, store: Store, file: string, copy: Copy) {
    this.#store = store;
    store.committed = (committed) => this.#committed(committed);
    this.#collections = copy.collections;
    this.#client = new StrandlineClient({ ...options, name: copy.name });
    this.#tabs = new Tabs(`strandline:${file}`, ({ edited, asked, changed = [], status }) => {
      if (edited) this.#live?.updates.wake(false);
      if (asked && this.#status.outcome) this.#tabs.tell({ status: this.#status });
      if (status) this.#tell(changed, status, false);
    });
    this.#tabs.tell({ asked: true });
  }

  /** How the copy is doing. */
  get status(): Readonly<Status> {
    return this.#status;
  }

  /** The typed client that the copy syncs with, under the copy's name. */
  get client(): StrandlineClient {
    return this.#client;
  }

  /** What the user sees of a record; null if there is none. */
  get<T = Data>(collection: string, id: string): Promise<Item<T> | null> {
    return this.#store.read((tx) => see(tx, { collection, id })) as Promise<Item<T> | null>;
  }

  /** What the user sees of a collection, in order of id. */
  list<T = Data>(collection: string): Promise<Item<T>[]> {
    return this.#store.read((tx) => seeAll(tx, collection)) as Promise<Item<T>[]>;
  }

  /** Writes a record as a whole. It is durable here when the promise is fulfilled, and there after a sync. */
  async put(collection: string, id: string, data: object): Promise<void> {
    await this.#edit({ collection, id }, { data: asData(data) });
  }

  /** Deletes a record; one that the user does not see is left alone. */
  delete(collection: string, id: string): Promise<void> {
    return this.#edit({ collection, id }, { deleted: true });
  }

  /** What the server's win discarded and nobody has decided yet, oldest first. */
  conflicts(): Promise<Conflict[]> {
    return this.#store.read((tx) => tx.all("conflicts"));
  }

  /** Forgets a conflict. */
  async discardConflict(key: number): Promise<void> {
    await this.#store.write(async (tx) => tx.deleteConflict(key));
  }

  /** Makes what was discarded the user's newest edit, on whatever is there now, and forgets the conflict. */
  async restoreConflict(key: number): Promise<void> {
    await this.#store.write(async (tx) => {
      const conflict = await tx.conflict(key);
      if (!conflict) return;
      await edit(tx, conflict, conflict.mine);
      tx.deleteConflict(key);
    });
    this.#edited();
  }

  /**
   * Pushes what was edited, pulls what changed, and checks the copy by count and checksum. Whatever goes wrong is in the
   * report; only an aborted `signal` and a broken local database throw. One sync runs at a time, whatever the tabs.
   */
  sync(options: SyncOptions = {}): Promise<SyncReport> {
    // What its own caller may abort is nobody else's.
    if (options.signal) return this.#sync(options);
    // Whoever asks while one waits for its turn is served by that one: it has not looked at the edits yet.
    return (this.#queued ??= this.#sync(options, () => (this.#queued = undefined)));
  }

  /** Counts the copy anew, and compares it with the server's. One that differs is repaired if that is asked for. */
  async verify({ repair = false, ...options }: SyncOptions & { repair?: boolean } = {}): Promise<Verification> {
    const counted = await this.#store.write(async (tx) => {
      const found = new Checksum();
      for (const record of await tx.all("records")) if (!record.stale) found.add(record.rev);
      const same = found.count === tx.sum.count && String(found) === String(tx.sum);
      tx.sum = found;
      // Without it the server says what it has, even if nothing happened there.
      tx.copy.etag = null;
      return same;
    });
    const report = await this.#sync({ ...options, repair });
    return { right: counted && report.outcome === "ok" && report.repairs === 0, report };
  }

  /** Keeps the copy up to date, until `stop`, or until the server says that it has no right to. */
  start(): void {
    if (this.#live) return;
    const stop = new AbortController();
    const updates = new LiveUpdates(
      {
        client: this.#client,
        collections: this.#collections,
        sync: (options) => this.sync(options),
        cursor: () => this.#store.read(async (tx) => tx.copy.cursor),
        connected: (live) => this.#tell([], { live }),
      },
      stop.signal,
    );
    // One tab listens for all of them; when it goes, the next one does.
    const ended = this.#tabs
      .alone("live", () => updates.run(), stop.signal)
      // It was stopped, or the local database is broken, which the status says.
      .catch(() => {})
      .then(() => {
        if (this.#live?.stop === stop) this.#live = undefined;
        if (this.#status.live) this.#tell([], { live: false });
      });
    this.#live = { stop, updates, ended };
  }

  /** Ends what `start` began. */
  async stop(): Promise<void> {
    const live = this.#live;
    this.#live = undefined;
    live?.stop.abort();
    await live?.ended;
  }

  /** Calls the listener whenever something changed, in this tab or in another one; gives what ends that. */
  subscribe(listener: (event: SpaceEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Stops, and closes the database. */
  async close(): Promise<void> {
    await this.stop();
    this.#listeners.clear();
    this.#tabs.close();
    await this.#store.close();
  }

  async #edit(name: Name, content: Content): Promise<void> {
    checkName(name);
    if (this.#collections && !this.#collections.includes(name.collection)) {
      throw new TypeError(`this copy does not keep the collection ${name.collection}`);
    }
    await this.#store.write((tx) => edit(tx, name, content));
    this.#edited();
  }

  /** Whichever tab listens to the feed is to push what was edited. */
  #edited(): void {
    this.#live?.updates.wake(false);
    this.#tabs.tell({ edited: true });
  }

  #sync(options: SyncOptions & { repair?: boolean }, begun?: () => void): Promise<SyncReport> {
    const run = async () => {
      begun?.();
      this.#tell([], { syncing: true });
      let outcome: Partial<Status> = {};
      try {
        const report = await new Sync(this.#store, this.#client, options).run();
        outcome = { outcome: report.outcome, trouble: report.error ? String(report.error) : null };
        if (report.outcome === "ok") outcome.syncedAt = Date.now();
        return report;
      } catch (error) {
        if (!options.signal?.aborted) outcome = { outcome: null, trouble: String(error) };
        throw error;
      } finally {
        this.#tell([], { ...outcome, syncing: false });
      }
    };
    return this.#tabs.alone("sync", run, options.signal);
  }

  #committed({ changed, pending, conflicts }: Committed): void {
    const same = pending === this.#status.pending && conflicts === this.#status.conflicts;
    if (changed.length || !same) this.#tell(changed, { pending, conflicts });
  }

  /** Tells this tab's listeners, and unless it came from there the other tabs. */
  #tell(changed: Name[], news: Partial<Status>, pass = true): void {
    this.#status = { ...this.#status, ...news };
    const event = { changed, status: this.#status };
    // Each in a task of its own: one that throws does not keep the others from being told, nor the sync from going on.
    for (const listener of this.#listeners) queueMicrotask(() => listener(event));
    if (pass) this.#tabs.tell({ changed, status: news });
  }
}

function freshCopy(space: string, collections: string[] | null): Copy {
  // Not `crypto.randomUUID`, which pages without TLS do not have.
  const random = crypto.getRandomValues(new Uint8Array(12));
  const name = `js-${Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  return {
    space,
    collections,
    name,
    seq: 0,
    answers: 0,
    cursor: null,
    met: null,
    whole: false,
    etag: null,
    count: 0,
    checksum: String(new Checksum()),
    remaining: null,
    doubtful: [],
    sending: null,
  };
}
