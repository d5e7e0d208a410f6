/** The local side of a repair: compare, and fetch the difference (PROTOCOL-CLIENT.md §6, PROTOCOL.md §6). */

import { Checksum } from "../checksum.js";
import type { ResyncRequired } from "../errors.js";
import { compareRuns, runsAbove, stretches, takeRuns } from "../runs.js";
import type { FetchPage, Manifest } from "../types.js";
import { forget, learn } from "./learn.js";
import type { Tx } from "./store.js";

/** Revisions that are asked for at once. */
export const FETCHED_AT_ONCE = 5000;

/** Takes the manifest: what the server has not is stale from now on, what is missing remains to be fetched. */
export async function takeManifest(tx: Tx, manifest: Manifest, why: ResyncRequired | undefined): Promise<void> {
  const { copy } = tx;
  if (why?.reason === "epoch" || why?.reason === "ahead") await forgetHistory(tx, why.sharedRev);
  const known = await knownRevs(tx);
  const { missing, foreign } = compareRuns(manifest.runs, known.map(({ rev }) => rev));
  const foreigners = new Set(foreign);
  const stale = new Set((await tx.all("records", null, "stale")).map(({ rev }) => rev));
  tx.sum = new Checksum();
  for (const { rev, name } of known) {
    const isForeign = foreigners.has(rev);
    if (!isForeign) tx.sum.add(rev);
    if (isForeign === stale.has(rev)) continue;
    const record = await tx.get("records", name);
    if (!record) continue;
    if (isForeign) record.stale = 1;
    else delete record.stale;
    tx.put("records", record);
  }
  copy.remaining = missing.length ? missing : null;
  copy.doubtful = [];
  copy.cursor = manifest.cursor as string;
  if (copy.sending && copy.sending.cursor !== null) copy.sending.cursor = copy.cursor;
  copy.whole = false;
  copy.etag = null;
}

/** What to fetch next. */
export function nextRuns(remaining: number[]): { runs: number[]; last: number } {
  return takeRuns(remaining, FETCHED_AT_ONCE);
}

/** Takes records that were fetched, of the revisions that were asked for. */
export async function takeFetched(tx: Tx, page: FetchPage, { runs, last }: ReturnType<typeof nextRuns>): Promise<void> {
  await learn(tx, page.changes);
  // The answer does not say of which epoch it is.
  tx.copy.doubtful.push(runs);
  const upTo = page.has_more && page.next !== null ? page.next - 1 : last;
  const left = runsAbove(tx.copy.remaining ?? [], upTo);
  tx.copy.remaining = left.length ? left : null;
}

/**
 * Forgets what is of another history: revisions above the shared one, and those that were fetched when it had been broken
 * already, maybe. An edit based on them is based on nothing that the server knows.
 */
async function forgetHistory(tx: Tx, sharedRev: number): Promise<void> {
  const broken = [[sharedRev + 1, Infinity] as [number, number], ...tx.copy.doubtful.flatMap((runs) => [...stretches(runs)])];
  for (const [first, last] of broken) await forget(tx, first - 1, last);
  for (const table of ["edits", "sending"] as const) {
    for (const row of await tx.all(table)) {
      const { base } = row;
      if (base && broken.some(([first, last]) => first <= base && base <= last)) tx.put(table, { ...row, base: 0 });
    }
  }
}

/**
 * Revision and name of every record that has one, in order. A revision that two records claim is of neither: the server
 * gave it to one, and nobody here knows to which.
 */
async function knownRevs(tx: Tx): ReturnType<Tx["revs"]> {
  const known = (await tx.revs()).filter(({ rev }) => rev > 0);
  const doubles = new Set(known.flatMap(({ rev }, at) => (rev === known[at - 1]?.rev ? rev : [])));
  for (const rev of doubles) await forget(tx, rev - 1, rev);
  return known.filter(({ rev }) => !doubles.has(rev));
}
