/** Live updates: syncs whenever the feed says that something happened there, or the user does something here. */

import { backoff, sleep } from "../backoff.js";
import type { StrandlineClient } from "../client.js";
import { StrandlineError } from "../errors.js";
import type { SyncOptions, SyncReport } from "./sync.js";

/** How long the feed is trusted to say everything. A proxy that holds its events back makes the copy late, not wrong. */
const TRUST_MS = 5 * 60_000;
/** How often to look whether the space exists by now: one that does not has no feed. */
const ABSENT_MS = 5_000;

/** What live updates need of the space. */
export interface Live {
  client: StrandlineClient;
  collections: string[] | null;
  sync(options: SyncOptions): Promise<SyncReport>;
  /** Where the copy stands. */
  cursor(): Promise<string | null>;
  /** Told when the feed opens and ends. */
  connected(connected: boolean): void;
}

export class LiveUpdates {
  readonly #live: Live;
  readonly #signal: AbortSignal;
  /** Ends the feed's connection; undefined while there is none. */
  #feed: AbortController | undefined;
  /** Set by a wake until the sync that it asks for begins, so that one which comes during a sync is not lost. */
  #woken = false;
  #resume: ((forced: boolean) => void) | undefined;

  constructor(live: Live, signal: AbortSignal) {
    this.#live = live;
    this.#signal = signal;
  }

  /**
   * Asks for a sync. After a failure only a `forced` one cuts the pause short: being online again is a reason to
   * try earlier, another edit is not.
   */
  wake(forced: boolean): void {
    this.#woken = true;
    this.#resume?.(forced);
  }

  /** Runs until the signal, or until it makes no sense to go on: without the right to (401, 403), or without a space. */
  async run(): Promise<void> {
    const page = globalThis.document;
    const moved = () => {
      // A connection over a network that was left may seem open for long.
      this.#feed?.abort();
      this.wake(true);
    };
    const shown = () => page.visibilityState === "visible" && this.wake(true);
    for (const event of ["online", "offline"]) globalThis.addEventListener?.(event, moved);
    page?.addEventListener("visibilitychange", shown);
    try {
      for (let failures = 0; ; ) {
        this.#woken = false;
        // One try a request: the pause between two is made here, where it can be cut short.
        const { outcome, error } = await this.#live.sync({ signal: this.#signal, tries: 1 });
        if (outcome === "denied" || outcome === "gone") return;
        if (outcome === "ok") {
          failures = 0;
          const since = await this.#live.cursor();
          if (since !== null) void this.#listen(since);
          if (!this.#woken) await this.#pause(since === null ? ABSENT_MS : TRUST_MS, false);
        } else {
          await this.#pause(backoff(failures++, error instanceof StrandlineError ? error.retryAfter : 0), true);
        }
      }
    } finally {
      for (const event of ["online", "offline"]) globalThis.removeEventListener?.(event, moved);
      page?.removeEventListener("visibilitychange", shown);
      this.#feed?.abort();
    }
  }

  /** Listens to the feed, unless that is done already. */
  async #listen(since: string): Promise<void> {
    if (this.#feed) return;
    const { signal } = (this.#feed = new AbortController());
    const { client, collections, cursor, connected } = this.#live;
    try {
      const feed = client.connect({ since, signal, collections: collections ?? undefined, onOpen: () => connected(true) });
      // The page is only a knock on the door: what to take, and from where, is for the sync to say.
      for await (const page of feed) if (page.cursor !== (await cursor())) this.wake(false);
    } catch {
      // Whatever it was, the sync below meets it, and knows what to do.
    }
    connected(false);
    await sleep(backoff(0), this.#signal).catch(() => {});
    this.#feed = undefined;
    this.wake(false);
  }

  #pause(ms: number, onlyForced: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        this.#resume = undefined;
        this.#signal.removeEventListener("abort", aborted);
      };
      const resume = () => {
        end();
        resolve();
      };
      const aborted = () => {
        end();
        reject(this.#signal.reason);
      };
      const timer = setTimeout(resume, ms);
      this.#resume = (forced) => {
        if (forced || !onlyForced) resume();
      };
      this.#signal.addEventListener("abort", aborted);
      if (this.#signal.aborted) aborted();
    });
  }
}
