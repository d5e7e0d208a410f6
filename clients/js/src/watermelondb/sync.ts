/** The entry: which syncs run, who shares them, and what the app is told when they are over. */

import type { Database } from "@nozbe/watermelondb";
import { StrandlineClient } from "../client.js";
import type { ClientOptions } from "../transport.js";
import { type Conflict, Ledger } from "./ledger.js";
import { Outbox, type PushLimits, type Rejected, type Rejection } from "./push.js";
import { Run, type SyncResult } from "./run.js";
import { type TableChoice, Tables } from "./tables.js";

/** What a sync needs to know. */
export interface StrandlineSyncOptions extends Omit<ClientOptions, "name"> {
  /** The database: a copy of one space, for as long as it is not reset. */
  database: Database;
  /**
   * The tables that take part, by default all; as an object, each with the name of its collection where that is another.
   * Names of collections are of `a-z`, `0-9`, `_` and `-`. Rows of other tables are left alone.
   */
  tables?: TableChoice;
  /** How operators see this client in the server's list, with a random part behind it. Default: `watermelondb`. */
  label?: string;
  /** Is told of each edit that the server's version overruled: at least once, and also after a crash in between. */
  onConflict?: (conflict: Conflict) => void | Promise<void>;
  /** Is told of each row that the server will not take as it is (too large, say). It is tried again once it changes. */
  onRejected?: (rejection: Rejection) => void | Promise<void>;
  /** Records a page, 1 to 10,000; by default the server's choice. */
  pageSize?: number;
  /** How much goes into one push, each of which is applied as a whole or not at all. Default: 1,000 rows and 512 KiB. */
  pushLimits?: PushLimits;
  /** Ends the sync before its next request. */
  signal?: AbortSignal;
}

/** A sync that callers may still join. */
interface Open {
  space: string;
  run?: Run;
  result?: Promise<SyncResult>;
}

/** What each database is doing. */
interface Station {
  rejected: Rejected;
  open?: Open | undefined;
  /** Settles when the last sync that was begun is over. */
  idle: Promise<unknown>;
}

const stations = new WeakMap<Database, Station>();

/**
 * Brings the database and its space together: pulls what changed, settles conflicts (the server wins, and
 * `onConflict` hears of what that cost), pushes what was edited here.
 *
 * May be called at any time. Calls while a sync runs share it, and it does not end before what they had edited is pushed.
 * It throws what came in the way: `NetworkError` without a connection, `StrandlineError` for what the server said (401,
 * 403, 429, 503 and others). Whatever was not settled then is as it was, and the next sync goes on with it.
 */
export function strandlineSync(options: StrandlineSyncOptions): Promise<SyncResult> {
  const { database, space } = options;
  const station: Station = stations.get(database) ?? { rejected: new Map(), idle: Promise.resolve() };
  stations.set(database, station);
  if (station.open?.result && station.open.space === space) {
    if (station.open.run?.late) station.open.run.again = true;
    return station.open.result;
  }
  const open: Open = { space };
  // One at a time: `synchronize` fails if another one has pulled meanwhile.
  open.result = station.idle.then(() => sync(options, station, open));
  station.open = open;
  station.idle = open.result.catch(() => {});
  return open.result;
}

async function sync(options: StrandlineSyncOptions, station: Station, open: Open): Promise<SyncResult> {
  const { database, space, label = "watermelondb", pushLimits = { changes: 1000, bytes: 512 << 10 }, pageSize, signal } = options;
  try {
    const tables = new Tables(database, options.tables);
    const ledger = await Ledger.open(database, space, label);
    const client = () => new StrandlineClient({ ...options, name: ledger.name });
    const outbox = new Outbox(client, tables, ledger, station.rejected, pushLimits, signal);
    const run = new Run({ database, tables, ledger, outbox, client, pageSize, signal });
    open.run = run;
    const failure = await failureOf(async () => {
      await outbox.settle(await ledger.lastPulledAt());
      await run.go();
    });
    // Nobody joins a run that does not go round any more: while the app is being told, edits may be made.
    if (station.open === open) station.open = undefined;
    run.result.conflicts.push(...ledger.conflicts);
    for (const conflict of ledger.conflicts) await options.onConflict?.(conflict);
    // Without the callback there is only the result, and a sync that throws has none: then they wait for one that has.
    if (options.onConflict || !failure) await ledger.list([]);
    for (const rejection of run.result.rejected) await options.onRejected?.(rejection);
    if (failure) throw failure.error;
    return run.result;
  } finally {
    if (station.open === open) station.open = undefined;
  }
}

/** What a step throws, if it does: the app is told of what was settled before that happened. */
async function failureOf(step: () => Promise<void>): Promise<{ error: unknown } | undefined> {
  try {
    await step();
    return undefined;
  } catch (error) {
    return { error };
  }
}
