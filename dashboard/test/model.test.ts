import assert from "node:assert/strict";
import { test } from "node:test";
import type { Client, Forecast } from "../src/api.ts";
import { anonymousBehind, bins, place, standings, stops } from "../src/model.ts";
import { ago, bytes, count, seconds, span } from "../src/words.ts";

test("the slider has the present window among its stops, as it is written", () => {
  assert.deepEqual(stops("30d").slice(0, 3), ["0s", "1h", "3h"]);
  assert.equal(stops("30d").at(-1), "forever");
  assert.equal(stops("30d").length, stops("forever").length);
  const weeks = stops("5w");
  assert.deepEqual(weeks.slice(weeks.indexOf("5w") - 1, weeks.indexOf("5w") + 2), ["30d", "5w", "45d"]);
  // A week is seven days: no second stop.
  assert.ok(stops("1w").includes("1w") && !stops("1w").includes("7d"));
});

const AGES = [
  { older_than: "1h", tombstones: 7 },
  { older_than: "1d", tombstones: 5 },
  { older_than: "30d", tombstones: 0 },
];

test("what is at least so old becomes what is just so old", () => {
  const made = bins({ tombstones: 10, tombstone_ages: [{ older_than: "0s", tombstones: 10 }, ...AGES] });
  assert.deepEqual(made, [
    { from: null, to: "1h", tombstones: 3 },
    { from: "1h", to: "1d", tombstones: 2 },
    { from: "1d", to: "30d", tombstones: 5 },
    { from: "30d", to: null, tombstones: 0 },
  ]);
  for (const [window, at] of [["0s", 0], ["30m", 0.5], ["1h", 1], ["1d", 2], ["30d", 3], ["300d", 4], ["3000d", 4], ["forever", 4]] as const) {
    assert.equal(place(seconds(window), made), at, window);
  }
  const coarse = bins({ tombstones: 10, tombstone_ages: [...AGES.slice(0, 1), { older_than: "3h", tombstones: 6 }, ...AGES.slice(1)] }, true);
  assert.deepEqual(coarse, made, "what is counted so can be passed over");
  assert.equal(place(60, bins({ tombstones: 0, tombstone_ages: [] })), 0.5);
});

const client = (name: string, rev: number, collections?: string[]): Client => ({ client: name, cursor: null, rev, behind: 100 - rev, last_seen: "2026-11-22T20:00:00Z", agent: null, ...(collections && { collections }) });
const forecast = (horizon: number, clients: string[], behind = clients.length): Forecast => ({ window: "7d", tombstones: 1, bytes: 1, horizon, clients_behind: behind, clients, resync_bytes: 0, download_bytes: 0 });

test("who is behind already does not fall behind", () => {
  const clients = [client("a", 5), client("b", 20), client("c", 90)];
  const found = standings(clients, { horizon: 10 }, forecast(50, ["a", "b"]));
  assert.deepEqual([...found], [["a", "behind"], ["b", "falls"], ["c", "served"]]);
  assert.deepEqual([...standings(clients, { horizon: 10 }, undefined)].map(([, standing]) => standing), ["behind", "served", "served"]);
});

test("a client is behind by the horizons of what it asks for", () => {
  const stats = { horizon: 50, collections: [{ collection: "todos", horizon: 50 }, { collection: "notes", horizon: 0 }] };
  const clients = [client("a", 20, ["notes"]), client("b", 20, ["notes", "todos"])];
  assert.deepEqual([...standings(clients, stats, forecast(60, ["b"]))], [["a", "served"], ["b", "behind"]]);
});

test("of more than a hundred the names are told by their revisions", () => {
  const found = standings([client("a", 20), client("b", 30), client("c", 70)], { horizon: 10 }, forecast(50, ["a"], 2));
  assert.deepEqual([...found.values()], ["falls", "falls", "served"]);
});

test("of those without a name, only what is certain is counted", () => {
  const bucket = (behind_from: number, behind_to: number, pulls: number) => ({ behind_from, behind_to, pulls, last_seen: "" });
  const anonymous = [bucket(0, 0, 1), bucket(1, 99, 10), bucket(100, 999, 100)];
  assert.equal(anonymousBehind({ head: 100, anonymous }, 50), 100);
  assert.equal(anonymousBehind({ head: 100, anonymous }, 0), 0);
});

test("numbers are said as people say them", () => {
  assert.deepEqual([0, 1, 999, 1_000, 12_345, 345_678, 9_876_543].map(bytes), ["0 bytes", "1 byte", "999 bytes", "1 kB", "12.3 kB", "346 kB", "9.9 MB"]);
  assert.deepEqual(["0s", "1h", "30d", "2w", "forever"].map(span), ["0 seconds", "1 hour", "30 days", "2 weeks", "forever"]);
  assert.deepEqual([count(1, "client"), count(1_200, "client")], ["1 client", "1,200 clients"]);
  const now = Date.parse("2026-11-22T20:00:00Z");
  for (const [time, words] of [["2026-11-22T20:00:10Z", "just now"], ["2026-11-22T19:58:00Z", "2 minutes ago"], ["2026-11-22T17:00:00Z", "3 hours ago"], ["2026-11-21T20:00:00Z", "1 day ago"]] as const) {
    assert.equal(ago(time, now), words);
  }
});
