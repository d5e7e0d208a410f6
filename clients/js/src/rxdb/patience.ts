/** What a replication does about errors: it waits, goes on, or ends. */

import { errorToPlainJson, newRxError } from "rxdb";
import type { RxReplicationState } from "rxdb/plugins/replication";
import { isOverQuota } from "../errors.js";
import { backoff, isTransient, sleep, StrandlineError } from "../index.js";
import type { Checkpoint } from "./index.js";

/** Thrown where a replication was cancelled in the middle of something: RxDB drops what was under way. */
export class Stopped extends Error {
  override name = "Stopped";
}

export class Patience<T> {
  readonly #replication: () => RxReplicationState<T, Checkpoint>;
  readonly #end = new AbortController();
  #alarm = new AbortController();

  constructor(replication: () => RxReplicationState<T, Checkpoint>) {
    this.#replication = replication;
  }

  /** Aborted when the replication ends: for requests. */
  get signal(): AbortSignal {
    return this.#end.signal;
  }

  end(): void {
    this.#end.abort(new Stopped());
    this.wake();
  }

  /** The server was reached, or the network is back: whoever waits tries again at once. */
  wake(): void {
    this.#alarm.abort();
    this.#alarm = new AbortController();
  }

  /**
   * Runs a request until it has an answer, with longer and longer pauses, as long as the trouble is one that passes.
   * `request` is told how often it has failed. Each failure is emitted on `error$`.
   */
  async run<R>(direction: "pull" | "push", request: (failures: number) => Promise<R>): Promise<R> {
    for (let failures = 0; ; failures++) {
      try {
        return await request(failures);
      } catch (error) {
        this.check();
        if (!isTransient(error)) throw error;
        this.#emit(direction, error);
        await this.#pause(failures, (error as StrandlineError).retryAfter);
        // RxDB knows what to do about a handler that fails while it is paused; not about one that returns.
        if (this.#replication().isPaused()) throw error;
      }
    }
  }

  /** Waits as long as the server asks for, and then for a time of its own choice, which ends early when somebody wakes it. */
  async #pause(failures: number, retryAfter = 0): Promise<void> {
    if (retryAfter) await sleep(retryAfter * 1000, this.signal);
    await sleep(backoff(failures), this.#alarm.signal).catch(() => {});
    this.check();
  }

  /** Throws `Stopped` once the replication was cancelled. */
  check(): void {
    this.#end.signal.throwIfAborted();
  }

  /**
   * Runs a handler of RxDB. A token that is not accepted ends the replication: trying again would not help, and RxDB
   * tries for ever. Whatever else a handler throws is emitted by RxDB, which calls it again after `retryTime`.
   */
  async guard<R>(direction: "pull" | "push", nothing: R, handler: () => Promise<R>): Promise<R> {
    try {
      return await handler();
    } catch (error) {
      if (error instanceof Stopped) return nothing;
      const isDenied = error instanceof StrandlineError && (error.status === 401 || error.status === 403);
      if (!isDenied || isOverQuota(error)) throw error;
      this.#emit(direction, error);
      // Not `cancel()`: it waits for a start that, in a replication that is not live, waits for this handler.
      await this.#replication()._cancel();
      return nothing;
    }
  }

  #emit(direction: "pull" | "push", error: unknown): void {
    const code = direction === "pull" ? "RC_PULL" : "RC_PUSH";
    this.#replication().subjects.error.next(newRxError(code, { errors: [errorToPlainJson(error as Error)], direction }));
  }
}
