/** What the figures mean, apart from how they are drawn: windows, ages in bins, and who stands where. */

import type { Client, Forecast, Space, Stats } from "./api.ts";
import { seconds } from "./words.ts";

const STOPS = ["0s", "1h", "3h", "6h", "12h", "1d", "2d", "3d", "5d", "7d", "10d", "14d", "21d", "30d", "45d", "60d", "90d", "120d", "180d", "270d", "365d", "forever"];

/** Ages that are told apart where there is little room. */
const COARSE = new Set(["1h", "6h", "1d", "3d", "7d", "14d", "30d", "60d", "90d", "180d", "365d"]);

/** The windows that the slider stops at, ascending, `present` among them as it is written. */
export function stops(present: string): string[] {
  const others = STOPS.filter((stop) => seconds(stop) !== seconds(present));
  // Twice `forever` would be no number.
  return [...others, present].sort((a, b) => (seconds(a) < seconds(b) ? -1 : 1));
}

/** Tombstones of an age from `from` up to `to`; null for no bound. */
export interface Bin {
  from: string | null;
  to: string | null;
  tombstones: number;
}

/** The youngest first. The server counts those that are at least so old. With `coarse` some ages are passed over. */
export function bins({ tombstones, tombstone_ages }: Pick<Stats, "tombstones" | "tombstone_ages">, coarse = false): Bin[] {
  const ages = tombstone_ages.filter(({ older_than }) => seconds(older_than) > 0 && (!coarse || COARSE.has(older_than)));
  const older = [{ older_than: null, tombstones }, ...ages];
  return older.map(({ older_than: from, tombstones: all }, at) => {
    const next = older[at + 1];
    return { from, to: next?.older_than ?? null, tombstones: Math.max(0, all - (next?.tombstones ?? 0)) };
  });
}

/** Where an age lies on an axis on which every bin is 1 wide; within a bin by the logarithm. */
export function place(age: number, bins: Bin[]): number {
  if (age === Infinity) return bins.length;
  const at = bins.findLastIndex(({ from }) => from === null || seconds(from) <= age);
  const { from, to } = bins[at]!;
  if (from === null) return to === null ? 0.5 : at + age / seconds(to);
  const begin = seconds(from);
  // The last one has no end: ten times its beginning will do.
  const end = to === null ? begin * 10 : seconds(to);
  return at + Math.min(1, Math.log(age / begin) / Math.log(end / begin));
}

/** How a client is served when it comes back: with changes, or only by a repair. */
export type Standing = "served" | "falls" | "behind";

/** How each client stands now, and would stand after the purge of `forecast`. */
export function standings(clients: Client[], stats: Pick<Space, "horizon"> & { collections?: { collection: string; horizon: number }[] }, forecast: Forecast | undefined): Map<string, Standing> {
  const named = new Set(forecast?.clients);
  // Only the first hundred have names there.
  const cut = forecast !== undefined && forecast.clients_behind > named.size;
  return new Map(
    clients.map((client) => {
      const own = stats.collections?.filter(({ collection }) => client.collections?.includes(collection));
      const horizon = client.collections ? Math.max(0, ...(own ?? []).map(({ horizon }) => horizon)) : stats.horizon;
      if (client.rev < horizon) return [client.client, "behind"];
      const falls = named.has(client.client) || (cut && !client.collections && client.rev < forecast.horizon);
      return [client.client, falls ? "falls" : "served"];
    }),
  );
}

/** Anonymous pulls that would certainly have met a horizon there. */
export function anonymousBehind(stats: Pick<Stats, "anonymous" | "head">, horizon: number): number {
  const kept = stats.head - horizon;
  return stats.anonymous.filter(({ behind_from }) => behind_from > kept).reduce((sum, { pulls }) => sum + pulls, 0);
}
