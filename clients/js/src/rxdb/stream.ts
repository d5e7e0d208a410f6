/**
 * The live feed of a space, shared by all its collections: browsers allow six connections to a host, and each stream
 * holds one.
 *
 * It only says that there is something to pull. Applying its records beside those of pulls loses some, since either may
 * be overtaken by the other; and a stream that breaks says nothing of what it missed, so opening it is an event too.
 */

import { Observable } from "rxjs";
import { backoff, isTransient, sleep, StrandlineClient, StrandlineError } from "../index.js";
import type { ClientOptions } from "../transport.js";

/** How long a change of the collections waits for more of them. */
const GATHER_MS = 20;

/** One space's feed, while somebody listens. */
class Feed {
  readonly options: ClientOptions;
  readonly #client: StrandlineClient;
  readonly #listeners = new Set<{ collection: string; listen: () => void }>();
  #connection = new AbortController();
  #pause = new AbortController();

  constructor(options: ClientOptions) {
    this.options = options;
    // Without a name: it holds nothing that tombstones would have to be kept for.
    const { name: _, ...anonymous } = options;
    this.#client = new StrandlineClient(anonymous);
  }

  join(collection: string, listen: () => void): () => void {
    const listener = { collection, listen };
    this.#listeners.add(listener);
    this.#reconnect();
    return () => {
      this.#listeners.delete(listener);
      this.#reconnect();
      if (!this.#listeners.size) feeds.delete(this);
    };
  }

  /** Tries again at once if it was waiting to. */
  wake(): void {
    this.#pause.abort();
  }

  #reconnect(): void {
    this.#connection.abort();
    this.#pause.abort();
    if (!this.#listeners.size) return;
    this.#connection = new AbortController();
    void this.#run(this.#connection.signal);
  }

  async #run(signal: AbortSignal): Promise<void> {
    // Collections come one after the other: the connection is made once, for all of them.
    await sleep(GATHER_MS, signal).catch(() => {});
    for (let failures = 0; !signal.aborted; failures++) {
      let retryAfter: number | undefined;
      try {
        const collections = [...new Set([...this.#listeners].map((listener) => listener.collection))].sort();
        const onOpen = () => {
          failures = 0;
          this.#tell();
        };
        for await (const page of this.#client.connect({ since: "now", collections, signal, onOpen })) {
          if (page.changes.length) this.#tell(new Set(page.changes.map((change) => change.collection)));
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof StrandlineError) retryAfter = error.retryAfter;
        // The token is not accepted, or history has moved on. What is to be done about that is each replication's own
        // business, and a pull will tell it. A space that is not there yet is nothing to be told.
        if (!isTransient(error) && !(error instanceof StrandlineError && error.status === 404)) this.#tell();
      }
      this.#pause = new AbortController();
      // Only the pause that is this client's own choice can be shortened.
      if (retryAfter) await sleep(retryAfter * 1000, signal).catch(() => {});
      await sleep(backoff(failures), this.#pause.signal).catch(() => {});
    }
  }

  #tell(collections?: Set<string>): void {
    for (const { collection, listen } of this.#listeners) if (!collections || collections.has(collection)) listen();
  }
}

const feeds = new Set<Feed>();

/** The feed of a space for those who reach it in the same way, if there is one. */
function feedOf({ url, space, token, fetch }: ClientOptions): Feed | undefined {
  return [...feeds].find(
    ({ options }) => options.url === url && options.space === space && options.token === token && options.fetch === fetch,
  );
}

/**
 * What a collection hears of its space's feed. `changes` emits when the collection may have changed: when the feed is
 * opened, after it broke too, and at each change. `wake` makes a feed that is waiting to connect try at once.
 */
export function feed(options: ClientOptions, collection: string): { changes: Observable<void>; wake: () => void } {
  const join = (listen: () => void): (() => void) => {
    const joined = feedOf(options) ?? new Feed(options);
    feeds.add(joined);
    return joined.join(collection, listen);
  };
  return {
    changes: new Observable((subscriber) => join(() => subscriber.next())),
    wake: () => feedOf(options)?.wake(),
  };
}
