/** Syncs as things happen: on the server, by its event stream, and here, by the rows that the app writes. */

import { backoff, sleep } from "../backoff.js";
import { StrandlineClient } from "../client.js";
import { isTransient, ResyncRequired, StrandlineError } from "../errors.js";
import type { SyncResult } from "./run.js";
import { type StrandlineSyncOptions, strandlineSync } from "./sync.js";
import { Tables } from "./tables.js";

/** What a live sync needs to know. */
export interface LiveOptions extends StrandlineSyncOptions {
  /** Is told of each sync that went well. */
  onSync?: (result: SyncResult) => void;
  /** Is told of each sync that did not. Transient troubles (`isTransient`) are tried again by themselves. */
  onError?: (error: unknown) => void;
  /** Milliseconds to wait for more edits before they are pushed. Default: 100. */
  debounce?: number;
}

/** A live sync. */
export interface LiveSync {
  /** Ends it. Resolves when the sync that was running is over. */
  stop(): Promise<void>;
}

/**
 * Keeps the database and its space together until it is stopped: syncs at once, whenever something in these collections
 * changes on the server, and whenever the app has written. Needs a `fetch` that streams (browsers, Node; in React Native
 * pass one that does).
 */
export function strandlineLive(options: LiveOptions): LiveSync {
  const { database, debounce = 100, onSync, onError } = options;
  const tables = new Tables(database, options.tables);
  const abort = new AbortController();
  const { signal } = abort;
  const end = () => abort.abort(options.signal?.reason ?? new Error("the live sync was stopped"));
  if (options.signal?.aborted) end();
  options.signal?.addEventListener("abort", end);

  let timer: ReturnType<typeof setTimeout> | undefined;
  let running: Promise<void> = Promise.resolve();
  let failures = 0;
  let notBefore = 0;
  const soon = (ms: number) => {
    clearTimeout(timer);
    if (!signal.aborted) timer = setTimeout(() => (running = sync()), Math.max(ms, notBefore - Date.now()));
  };
  const sync = async () => {
    try {
      const result = await strandlineSync({ ...options, signal });
      failures = 0;
      onSync?.(result);
    } catch (error) {
      if (signal.aborted) return;
      onError?.(error);
      const retryAfter = error instanceof StrandlineError ? (error.retryAfter ?? 0) : 0;
      notBefore = Date.now() + retryAfter * 1000;
      if (isTransient(error)) soon(backoff(failures++, retryAfter));
    }
  };

  const unwatch = tables.all.map(({ name }) =>
    database.get(name).experimentalSubscribe((changes) => {
      // What a sync writes itself is marked as synced; a deletion is not told from a row that the server took away.
      if (changes.some(({ record, type }) => type === "destroyed" || record.syncStatus !== "synced")) soon(debounce);
    }),
  );
  const listening = listen(new StrandlineClient(options), tables.collections, signal, () => soon(0), onError);
  soon(0);
  return {
    async stop() {
      end();
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", end);
      for (const each of unwatch) each();
      await Promise.all([listening, running]);
    },
  };
}

/** Calls `wake` at every event, and whenever the stream (re)opens: what happened before that it may have missed. */
async function listen(
  client: StrandlineClient,
  collections: string[],
  signal: AbortSignal,
  wake: () => void,
  onError?: (error: unknown) => void,
): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      const onOpen = () => {
        attempt = 0;
        wake();
      };
      for await (const _ of client.events({ since: "now", collections, signal, onOpen })) wake();
    } catch (error) {
      if (signal.aborted) return;
      // The stream's own place was lost, not the copy's: that one the next sync finds out about.
      if (!(error instanceof ResyncRequired)) onError?.(error);
      await sleep(backoff(attempt), signal).catch(() => {});
    }
  }
}
