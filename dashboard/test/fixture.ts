/**
 * A space as it is after weeks, which no test can wait for: answered to the page in the server's place, by rules that
 * are the server's in small.
 */

import type { Page } from "playwright-core";
import type { Client, Forecast, Policy, Space } from "../src/api.ts";
import { seconds } from "../src/words.ts";

const DAY = 86_400;
/** Ages in seconds of the tombstones, and how many there are. */
const TOMBSTONES: [age: number, count: number, rev: number][] = [
  [900, 12, 48_200],
  [5 * 3600, 140, 47_900],
  [20 * 3600, 320, 46_800],
  [2.5 * DAY, 1_150, 44_000],
  [6 * DAY, 2_300, 41_200],
  [10 * DAY, 1_900, 37_500],
  [18 * DAY, 3_600, 31_000],
  [27 * DAY, 2_800, 24_400],
];
const HEAD = 48_211;

const CLIENTS: [name: string, rev: number, seen: number, agent: string | null, collections?: string[]][] = [
  ["phone-anna", 48_211, 40, "Strandline/0.1 (iOS 19)"],
  ["phone-ben", 48_205, 300, "Strandline/0.1 (Android 17)"],
  ["laptop-carla", 48_150, 3_000, null],
  ["kiosk-lobby", 48_211, 15, "strandline-js/0.1"],
  ["kiosk-harbour", 47_100, 11 * 3600, "strandline-js/0.1"],
  ["tablet-dock-3", 43_990, 2.6 * DAY, "strandline-js/0.1", ["berths", "tides"]],
  ["warehouse-scanner", 40_100, 6.5 * DAY, "Strandline/0.1 (Android 12)"],
  ["reporting", 36_000, 11 * DAY, "curl/8.14"],
  ["boat-wave-dancer", 24_100, 27.5 * DAY, "Strandline/0.1 (iOS 17)"],
  ["laptop-dora", 11_000, 64 * DAY, null],
];

export class Fixture {
  policy: Policy = { retention: "30d", hold_for_clients: false, max_retention: "180d" };
  horizon = 21_650;
  forgotten = new Set<string>();
  purged = Infinity;
  /** Tombstones that the compactor is due to purge. */
  purgeable = 0;
  /** What was asked for besides reading, in order. */
  readonly asked: string[] = [];
  /** Paths that fail, and how. */
  readonly failing = new Map<string, { status: number; title: string; detail: string }>();

  #left = () => TOMBSTONES.filter(([age]) => age < this.purged);

  space(): Space {
    return {
      space: "harbour",
      epoch: "k3f9q2",
      head: HEAD,
      horizon: this.horizon,
      records: 18_440,
      tombstones: this.#left().reduce((sum, [, count]) => sum + count, 0),
      retention: this.policy.retention,
      created_at: "2026-01-10T08:00:00.000000Z",
      modified_at: ago(35),
    };
  }

  clients(): Client[] {
    const known = CLIENTS.filter(([name]) => !this.forgotten.has(name)).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return known.map(([client, rev, seen, agent, collections]) => ({
      client,
      cursor: `k3f9q2.${rev}`,
      rev,
      behind: HEAD - rev,
      last_seen: ago(seen),
      agent,
      ...(collections && { collections }),
    }));
  }

  forecast(window: string): Forecast {
    const gone = this.#left().filter(([age]) => age >= seconds(window));
    const tombstones = gone.reduce((sum, [, count]) => sum + count, 0);
    const horizon = Math.max(this.horizon, ...gone.map(([, , rev]) => rev));
    const behind = this.clients().filter(({ rev }) => rev < horizon);
    return {
      window,
      tombstones,
      bytes: tombstones * 41,
      horizon,
      clients_behind: behind.length,
      clients: behind.map(({ client }) => client),
      resync_bytes: behind.reduce((sum, { behind }) => sum + 52_000 + behind * 60, 0),
      download_bytes: behind.length * 18_440 * 310,
    };
  }

  #stats(): object {
    const ages = ["0s", "1h", "3h", "6h", "12h", "1d", "2d", "3d", "5d", "7d", "14d", "21d", "30d", "45d", "60d", "90d", "180d", "365d"];
    const older = (window: string) => this.#left().filter(([age]) => age >= seconds(window)).reduce((sum, [, count]) => sum + count, 0);
    const history = Array.from({ length: 97 }, (_, at) => {
      const left = 96 - at;
      const head = HEAD - left * 26 - (left > 40 ? 300 : 0);
      return { at: ago(left * 1800), head, horizon: this.horizon - Math.floor(left / 12) * 240, records: 18_440 - left * 9, tombstones: 12_222 - left * 14 + Math.floor(left / 12) * 160 };
    });
    const { head, horizon, records, tombstones } = this.space();
    return {
      space: "harbour",
      head,
      horizon,
      records,
      tombstones,
      record_bytes: records * 260,
      tombstone_bytes: tombstones * 41,
      collections: [
        { collection: "berths", head, horizon: Math.min(horizon, 21_650), records, tombstones, record_bytes: 0, tombstone_bytes: 0 },
        { collection: "tides", head: 200, horizon: 0, records: 0, tombstones: 0, record_bytes: 0, tombstone_bytes: 0 },
      ],
      tombstone_ages: ages.map((window) => ({ older_than: window, tombstones: older(window) })),
      history,
      anonymous: [
        { behind_from: 0, behind_to: 0, pulls: 5_210, last_seen: ago(2) },
        { behind_from: 1, behind_to: 9, pulls: 1_830, last_seen: ago(9) },
        { behind_from: 10, behind_to: 99, pulls: 920, last_seen: ago(70) },
        { behind_from: 100, behind_to: 999, pulls: 310, last_seen: ago(700) },
        { behind_from: 1_000, behind_to: 9_999, pulls: 44, last_seen: ago(7_000) },
        { behind_from: 10_000, behind_to: 99_999, pulls: 7, last_seen: ago(90_000) },
      ],
    };
  }

  #state(): object {
    const { head, horizon, tombstones } = this.space();
    const pins = this.clients().filter(({ rev }) => rev < 24_400);
    return {
      ...this.policy,
      rule: this.policy.hold_for_clients ? "hold_for_clients" : "retention",
      detail: this.policy.hold_for_clients
        ? "a tombstone older than the retention is kept because a known client still has to hear of it"
        : `no tombstone is older than ${this.policy.retention}, the retention`,
      head,
      horizon,
      tombstones,
      purgeable: this.purgeable,
      oldest_tombstone: ago(27 * DAY),
      pinned_by: pins.map(({ client, rev, last_seen }) => ({ client, rev, last_seen })),
    };
  }

  #answer(method: string, path: string, query: URLSearchParams, body: any): object | undefined {
    switch (`${method} ${path}`) {
      case "GET /v1/spaces":
        return { spaces: [this.space(), ...OTHERS], after: null };
      case "GET /v1/spaces/harbour":
        return this.space();
      case "GET /v1/spaces/harbour/stats":
        return this.#stats();
      case "GET /v1/spaces/harbour/clients":
        return { clients: this.clients(), after: null };
      case "GET /v1/spaces/harbour/retention":
        return this.policy;
      case "PUT /v1/spaces/harbour/retention":
        return (this.policy = { ...this.policy, ...body });
      case "GET /v1/spaces/harbour/retention/state":
        return this.#state();
      case "GET /v1/spaces/harbour/retention/plan":
        return { plan: (query.get("windows") ?? "").split(",").map((window) => this.forecast(window)) };
      case "POST /v1/spaces/harbour/compact": {
        const { tombstones, bytes, horizon, clients_behind } = this.forecast(this.policy.retention);
        const before = this.horizon;
        [this.horizon, this.purged] = [horizon, seconds(this.policy.retention)];
        return { purged: tombstones, bytes, horizon_before: before, horizon, clients_behind };
      }
    }
    if (method === "DELETE") this.forgotten.add(decodeURIComponent(path.split("/").at(-1)!));
    return undefined;
  }

  /** Answers the page's requests from now on. Its events come by {@link tell}. */
  async attend(page: Page): Promise<void> {
    await page.addInitScript({ content: EVENTS });
    await page.route("**/v1/spaces**", async (route) => {
      const request = route.request();
      const { pathname, searchParams } = new URL(request.url());
      if (request.method() !== "GET") this.asked.push(`${request.method()} ${pathname} ${request.postData() ?? ""}`.trim());
      const failure = this.failing.get(`${request.method()} ${pathname}`);
      if (failure) return route.fulfill({ status: failure.status, contentType: "application/problem+json", body: JSON.stringify({ type: "about:blank", ...failure }) });
      const body = this.#answer(request.method(), pathname, searchParams, request.postDataJSON());
      return body ? route.fulfill({ json: body }) : route.fulfill({ status: 204 });
    });
  }

  /** Has an event arrive. */
  async tell(page: Page, event: string, data: object): Promise<void> {
    await page.evaluate(([event, data]) => (globalThis as any).told.dispatchEvent(new MessageEvent(event!, { data: data! })), [event, JSON.stringify(data)]);
  }
}

/** In place of the browser's own: events arrive when the test says so. As text, since what transpiles the tests adds to functions. */
const EVENTS = `globalThis.EventSource = class extends EventTarget {
  static CLOSED = 2;
  readyState = 1;
  constructor() {
    super();
    globalThis.told = this;
    setTimeout(() => this.dispatchEvent(new Event("open")));
  }
  close() {}
};`;

const ago = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString();

const OTHERS: Space[] = [
  ["acme-eu", 812_400, 644_012, 402_118, 120_441, "90d", 4],
  ["acme-us", 2_410_990, 2_399_871, 901_222, 9_902, "7d", 1],
  ["archive-2024", 90_112, 0, 88_001, 2_111, "forever", 86_400 * 240],
  ["demo", 12, 0, 9, 1, "30d", 7_200],
  ["sandbox", 0, 0, 0, 0, "24h", 86_400 * 3],
].map(([space, head, horizon, records, tombstones, retention, age]) => ({ space, head, horizon, records, tombstones, retention, epoch: "aaaaaa", created_at: ago(86_400 * 300), modified_at: ago(age as number) }) as Space);
