/** A pull as WatermelonDB wants it: one answer, in which each record stands once. */

import type { StrandlineClient } from "../client.js";
import { ResyncRequired, StrandlineError } from "../errors.js";
import type { Change } from "../types.js";
import type { Sight } from "./judge.js";
import type { Position } from "./ledger.js";
import type { Tables } from "./tables.js";

/** How often a full pull is begun anew when a purge or a restore overtakes it. */
const ATTEMPTS = 5;

/** What changed, or all there is. */
export interface Pulled {
  changes: Change[];
  /** The whole cursor at which this ends; null when there is no space yet. */
  cursor: string | null;
  /** The changes are all there is: whatever is not among them is not on the server. */
  full: boolean;
  sight: Sight;
  /** How many live records the server has. */
  count?: number | undefined;
}

/** How to pull. */
export interface PullOptions {
  pageSize?: number | undefined;
  signal?: AbortSignal | undefined;
  /** Take all there is, even if a delta would do. */
  full?: boolean;
}

/**
 * Pulls from `position`; or, where that does not lead to the present any more, all there is.
 *
 * Why not the cheaper repair of PROTOCOL.md §6: it names ghosts by their revisions, and WatermelonDB keeps none beside
 * its rows, so that nobody could say which row a revision is. A column for it would have to be in every app's schema.
 */
export async function pull(client: StrandlineClient, tables: Tables, position: Position | undefined, options: PullOptions): Promise<Pulled> {
  let sight: Sight = { seen: position?.rev ?? 0, broken: false };
  let epoch = position?.epoch;
  if (position?.cursor && position.shape === tables.shape && !options.full) {
    try {
      return { ...(await pages(client, tables, position.cursor, options)), full: false, sight };
    } catch (error) {
      if (!(error instanceof ResyncRequired)) throw error;
      sight = sightAfter(error, position.rev);
      epoch = error.epoch;
    }
  }
  for (let attempt = 1; ; attempt++) {
    try {
      const all = await pages(client, tables, undefined, options);
      // Nobody said what another epoch than this one shares with the history that the rows are of.
      const strange = position !== undefined && !all.cursor.startsWith(`${epoch}.`);
      return { ...all, full: true, sight: strange ? { seen: 0, broken: true } : sight };
    } catch (error) {
      if (error instanceof ResyncRequired && attempt < ATTEMPTS) continue;
      // No space yet: there is nothing to pull, and the first push makes it. To whoever has a cursor it is gone, or out
      // of reach: nothing here may be thrown away for that.
      const absent = error instanceof StrandlineError && error.code === "not_found" && !position?.epoch;
      if (!absent) throw error;
      return { changes: [], cursor: null, full: false, sight };
    }
  }
}

function sightAfter(error: ResyncRequired, rev: number): Sight {
  return { seen: Math.min(rev, error.sharedRev), broken: error.reason === "epoch" || error.reason === "ahead" };
}

/** All pages from a cursor to the head, as one: a record that moved on while they were read counts in its last state. */
async function pages(client: StrandlineClient, tables: Tables, since: string | undefined, { pageSize, signal }: PullOptions) {
  const latest = new Map<string, Change>();
  for (;;) {
    const page = await client.changes({
      since,
      collections: tables.collections,
      ...(pageSize && { limit: pageSize }),
      ...(signal && { signal }),
    });
    if (!page) throw new Error("304 to a request without If-None-Match");
    for (const change of page.changes) latest.set(`${change.collection}/${change.id}`, change);
    since = page.cursor;
    if (!page.has_more) return { changes: [...latest.values()], cursor: page.cursor, count: page.count };
  }
}
