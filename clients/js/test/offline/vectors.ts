/**
 * Runs the cases of clients/vectors/sync.json (PROTOCOL-CLIENT.md §9) on an `OfflineSpace`: in Node and, bundled, in a
 * browser. It needs nothing but a global IndexedDB.
 */

import { OfflineSpace } from "../../src/index.ts";

export interface Case {
  name: string;
  collections: string[] | null;
  steps: Step[];
}
type Step = Record<string, any>;
interface Exchange {
  ask: string;
  if_none_match?: string;
  body?: unknown;
  meanwhile?: Step[];
  answer: "lost" | { status: number; etag?: string; body?: unknown };
}

/** Runs one case in a database of its own; throws where the space differs from it. */
export async function runCase({ name, collections, steps }: Case, database: string): Promise<void> {
  let exchanges: Exchange[] = [];
  const open = () =>
    OfflineSpace.open({
      url: "http://server",
      space: "demo",
      database,
      ...(collections && { collections }),
      fetch: async (url, init = {}) => {
        const exchange = exchanges.shift();
        if (!exchange) throw new Failed(`${init.method} ${url}, which nothing was expected of`);
        compare("ask", asked(`${init.method} ${String(url).replace("http://server/v1/spaces/demo", "")}`), asked(exchange.ask));
        const headers = new Headers(init.headers);
        compare("If-None-Match", headers.get("If-None-Match"), exchange.if_none_match ?? null);
        if (!headers.get("Strandline-Client")) throw new Failed("the client has no name");
        compare("body", init.body ? JSON.parse(init.body as string) : null, exchange.body ?? null);
        for (const step of exchange.meanwhile ?? []) await take(step);
        if (exchange.answer === "lost") throw new TypeError("the connection broke");
        const { status, etag, body } = exchange.answer;
        return new Response(body ? JSON.stringify(body) : null, { status, headers: etag ? { ETag: etag } : {} });
      },
    });
  let space = await open();

  async function take(step: Step): Promise<void> {
    const [kind] = Object.keys(step).filter((key) => key !== "exchanges");
    const [collection, id, data] = Array.isArray(step[kind!]) ? step[kind!] : [];
    const conflict = async () => (await space.conflicts())[step[kind!]]!.key;
    if (kind === "put") await space.put(collection, id, data);
    else if (kind === "delete") await space.delete(collection, id);
    else if (kind === "see") compare(`see ${id}`, (await space.get(collection, id))?.data ?? null, data);
    else if (kind === "discard") await space.discardConflict(await conflict());
    else if (kind === "restore") await space.restoreConflict(await conflict());
    else if (kind === "state") compareState(await state(database), step["state"]);
    else if (kind === "restart") {
      await space.close();
      space = await open();
    } else if (kind === "sync") {
      exchanges = [...step["exchanges"]];
      const report = await space.sync({ tries: 1 });
      // A failed expectation inside `fetch` looks like a network that failed.
      for (let cause = report.error as Error | undefined; cause; cause = cause.cause as Error) if (cause instanceof Failed) throw cause;
      compare("outcome", report.outcome, step["sync"]);
      compare("exchanges that did not happen", exchanges, []);
    } else throw new Failed(`an unknown step: ${kind}`);
  }

  try {
    for (const [at, step] of steps.entries()) {
      await take(step).catch((error) => {
        throw new Failed(`${name}, step ${at + 1}: ${error.message}`, { cause: error });
      });
    }
  } finally {
    await space.close();
  }
}

class Failed extends Error {}

/** What is held, as the vectors write it. */
async function state(database: string): Promise<Record<string, unknown>> {
  const opened = await done(indexedDB.open(database));
  const all = (table: string) => done(opened.transaction(table).objectStore(table).getAll()) as Promise<any[]>;
  const inOrder = async (table: string) =>
    (await all(table)).sort((a, b) => a.order - b.order).map(({ order: _, follows, ...row }) => ({ ...row, follows: follows ?? false }));
  const [{ sending, ...copy }] = await all("copy");
  const changes = (await inOrder("sending")).map(({ follows: _, ...change }) => change);
  const found = {
    ...copy,
    records: (await all("records")).map(({ modified_at: _, stale, ...record }) => ({ ...record, stale: stale === 1 })),
    edits: await inOrder("edits"),
    sending: sending && { ...sending, changes },
    conflicts: (await all("conflicts")).map(({ key: _, problem: __, ...conflict }) => conflict),
  };
  opened.close();
  return found;
}

function compareState(found: Record<string, any>, expected: Record<string, any>): void {
  const byName = (a: any, b: any) => (`${a.collection} ${a.id}` < `${b.collection} ${b.id}` ? -1 : 1);
  for (const [key, value] of Object.entries(expected)) {
    if (key === "records") {
      compare(key, found[key].sort(byName), value.map((record: object) => ({ stale: false, ...record })).sort(byName));
    } else if (key === "edits") {
      compare(key, found[key], value.map((edit: object) => ({ follows: false, ...edit })));
    } else compare(key, found[key], value);
  }
}

/** The request's line with its parameters in one order. */
function asked(line: string): string {
  const [path, query = ""] = line.split("?");
  return `${path}?${query.split("&").map(decodeURIComponent).sort().join("&")}`;
}

function compare(what: string, found: unknown, expected: unknown): void {
  const [a, b] = [sorted(found), sorted(expected)];
  if (a !== b) throw new Failed(`${what}: found ${a}, expected ${b}`);
}

/** JSON with its keys in order. */
function sorted(value: unknown): string {
  return JSON.stringify(value, (_, part) =>
    part && typeof part === "object" && !Array.isArray(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part,
  );
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
