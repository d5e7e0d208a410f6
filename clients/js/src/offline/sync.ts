/** One sync: the next step follows from what is held, until nothing is left to do (PROTOCOL-CLIENT.md §3). */

import { backoff, sleep } from "../backoff.js";
import type { StrandlineClient } from "../client.js";
import { epochOf } from "../cursor.js";
import { isTransient, ResyncRequired, StrandlineError } from "../errors.js";
import { takePage } from "./pull.js";
import { body, book, form, MOST_CHANGES, unform } from "./push.js";
import { FETCHED_AT_ONCE, nextRuns, takeFetched, takeManifest } from "./repair.js";
import type { Copy, Store, Tx } from "./store.js";

/**
 * How a sync ended: `ok`, the copy is the server's, proven by count and checksum; `unavailable`, the network or the
 * server could not be reached; `denied`, it needs another token; `gone`, the space was deleted; `wrong`, a repaired copy
 * differs again; `refused`, for a reason of the server's own.
 */
export type Outcome = "ok" | "unavailable" | "denied" | "gone" | "wrong" | "refused";

/** What a sync did. */
export interface SyncReport {
  outcome: Outcome;
  /** What ended it, unless it is `ok`. */
  error?: unknown;
  /** Changes that came, of pages and of repairs. */
  pulled: number;
  /** Edits that were accepted. */
  pushed: number;
  /** Edits that were not, and are listed. */
  conflicts: number;
  /** How often the copy was compared with a manifest. */
  repairs: number;
}

export interface SyncOptions {
  signal?: AbortSignal;
  /** How often a request is tried before the sync ends as `unavailable`; 5 where nobody says otherwise. */
  tries?: number;
}

const PAGE = 5000;
const MOST_REPAIRS = 10;
/** Seconds of `Retry-After` that are waited out within a sync; a longer pause ends it. */
const LONGEST_WAIT = 60;

class Ended extends Error {
  constructor(readonly outcome: Outcome, cause?: unknown) {
    super(outcome, { cause });
  }
}

export class Sync {
  readonly #store: Store;
  readonly #client: StrandlineClient;
  readonly #options: SyncOptions & { repair?: boolean };
  readonly #report: SyncReport = { outcome: "ok", pulled: 0, pushed: 0, conflicts: 0, repairs: 0 };
  /** How many edits the next push may have: halved by every refusal. */
  #most = MOST_CHANGES;
  /** Why nothing is pushed any more but deletions: the space is full. */
  #full: StrandlineError | undefined;
  /** Whether this sync has pulled to the end, and has not pushed since. */
  #pulled = false;
  /** Whether this sync has been repaired because of its checksum: that happens once. */
  #differed: boolean;

  /** With `repair: false` a copy that differs is `wrong` at once. */
  constructor(store: Store, client: StrandlineClient, options: SyncOptions & { repair?: boolean }) {
    this.#store = store;
    this.#client = client;
    this.#options = options;
    this.#differed = options.repair === false;
  }

  /** Steps until nothing is left to do, or nothing can be done. Throws only what the caller's signal says. */
  async run(): Promise<SyncReport> {
    try {
      while (await this.#step());
      if (this.#full) throw new Ended("refused", this.#full);
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
      this.#report.outcome = error.outcome;
      this.#report.error = error.cause;
    }
    return this.#report;
  }

  /** The next step; false if there is none. */
  async #step(): Promise<boolean> {
    const [copy, edits] = await this.#store.read(async (tx) => [tx.copy, await tx.count("edits")] as const);
    if (copy.remaining) await this.#fetch(copy, copy.remaining);
    else if (copy.sending) await this.#push(copy);
    else if (!copy.whole) await this.#pull(copy);
    else if (!edits || !(await this.#store.write((tx) => form(tx, this.#most, this.#full)))) {
      // An edit that waits for a pull is helped by one; not so one that waits for room.
      if (this.#pulled && (this.#full || !edits)) return false;
      await this.#pull(copy);
    }
    return true;
  }

  async #push(copy: Copy): Promise<void> {
    const push = await this.#store.read(async (tx) => (tx.copy.answers === copy.answers ? await body(tx) : null));
    if (!push) return;
    const answer = await this.#ask(copy, (call) => this.#client.push(push, call), async (error) => {
      if (error.code === "quota_exceeded") this.#full = error;
      else if (error.code === "invalid_cursor" || (error.status !== 400 && error.status !== 413)) return false;
      else this.#most = Math.max(1, push.changes.length >> 1);
      await this.#apply(copy, (tx) => unform(tx, error.problem));
      return true;
    });
    if (!answer) return;
    this.#pulled = false;
    // There may be room now.
    this.#full = undefined;
    const booked = await this.#apply(copy, (tx) => book(tx, answer));
    this.#report.pushed += booked?.applied ?? 0;
    this.#report.conflicts += booked?.conflicts ?? 0;
  }

  async #pull(copy: Copy): Promise<void> {
    const { cursor, etag } = copy;
    const where = { limit: PAGE, ...scope(copy), ...(cursor !== null && { since: cursor }), ...(etag !== null && { etag }) };
    const page = await this.#ask(copy, (call) => this.#client.changes({ ...where, ...call }), async (error) => {
      // There is no such space yet: a push will make it.
      if (error.status !== 404) return false;
      await this.#apply(copy, async (tx) => void (tx.copy.whole = true));
      this.#pulled = true;
      return true;
    });
    if (page === undefined) return;
    if (page === null ? etag === null : page.has_more && page.cursor === cursor) throw nowhere();
    if (page === null) {
      this.#pulled = true;
      return;
    }
    const right = await this.#apply(copy, (tx) => takePage(tx, page));
    if (right === undefined) return;
    this.#report.pulled += page.changes.length;
    if (right) {
      this.#pulled = !page.has_more;
      return;
    }
    if (this.#differed) throw new Ended("wrong");
    this.#differed = true;
    await this.#repair(await this.#store.read(async (tx) => tx.copy));
  }

  async #fetch(copy: Copy, remaining: number[]): Promise<void> {
    const asked = nextRuns(remaining);
    const { runs } = asked;
    const page = await this.#ask(copy, (call) => this.#client.fetch({ runs, limit: FETCHED_AT_ONCE, ...scope(copy), ...call }));
    if (page?.has_more && page.next !== null && page.next <= (runs[0] as number) + 1) throw nowhere();
    if (page && (await this.#apply(copy, (tx) => takeFetched(tx, page, asked).then(() => true)))) {
      this.#report.pulled += page.changes.length;
    }
  }

  /** Compares with the server's manifest; the steps that follow transfer the difference. */
  async #repair(copy: Copy, why?: ResyncRequired): Promise<void> {
    if (++this.#report.repairs > MOST_REPAIRS) throw new Ended("unavailable", why);
    this.#pulled = false;
    const manifest = await this.#ask(copy, (call) => this.#client.manifest({ ...scope(copy), ...call }));
    // Of another epoch than the 410, or the copy? History broke between the two answers, and nobody has said yet how
    // much of it is shared: what is held will be asked about again.
    const epoch = why?.epoch ?? (copy.cursor && epochOf(copy.cursor));
    if (!manifest || manifest.epoch !== epoch) return;
    await this.#apply(copy, (tx) => takeManifest(tx, manifest, why));
  }

  #holdsRecords(): Promise<boolean> {
    return this.#store.read(async (tx) => (await tx.count("records")) > 0);
  }

  /** Applies an answer, unless another one was applied since it was asked for: then it is thrown away. */
  #apply<T>(asked: Copy, body: (tx: Tx) => Promise<T>): Promise<T | undefined> {
    return this.#store.write(async (tx) => {
      if (tx.copy.answers !== asked.answers) return undefined;
      tx.copy.answers++;
      return body(tx);
    });
  }

  /**
   * Asks the server, again and again where that may help. Undefined if the answer was an error that has been seen to:
   * by `trouble`, which says whether it has, or by the repair that a 410 asks for.
   */
  async #ask<T>(
    copy: Copy,
    request: (call: { signal?: AbortSignal }) => Promise<T>,
    trouble?: (error: StrandlineError) => Promise<boolean>,
  ): Promise<T | undefined> {
    const { signal, tries = 5 } = this.#options;
    for (let attempt = 0; ; attempt++) {
      try {
        return await request(signal ? { signal } : {});
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof StrandlineError) || isTransient(error)) {
          const retryAfter = error instanceof StrandlineError ? (error.retryAfter ?? 0) : 0;
          if (attempt + 1 >= tries || retryAfter > LONGEST_WAIT) throw new Ended("unavailable", error);
          await sleep(backoff(attempt, retryAfter), signal);
          continue;
        }
        if (error instanceof ResyncRequired) return void (await this.#repair(copy, error));
        if (error.status === 404 && (copy.cursor !== null || (await this.#holdsRecords()))) throw new Ended("gone", error);
        if (await trouble?.(error)) return undefined;
        throw new Ended(error.status === 401 || error.status === 403 ? "denied" : "refused", error);
      }
    }
  }
}

/** How a sync ends that would ask the same again, for ever. */
function nowhere(): Ended {
  return new Ended("refused", new Error("the server's answer leads nowhere"));
}

function scope({ collections }: Copy): { collections?: string[] } {
  return collections ? { collections } : {};
}
