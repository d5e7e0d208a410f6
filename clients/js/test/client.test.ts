import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import {
  type Change,
  type Checkpoint,
  NetworkError,
  type Page,
  PushRefused,
  ResyncRequired,
  StrandlineClient,
  StrandlineError,
} from "../src/index.ts";
import { Server } from "./bench/server.ts";

let server: Server;
let spaces = 0;
before(async () => (server = await Server.start()));
after(() => server.close());

/** A client of a new space. */
const given = (more: object = {}) => new StrandlineClient({ url: server.url, space: `space-${spaces++}`, ...more });
const todo = (id: string, title: string) => ({ collection: "todos", id, data: { title } });

/** A server that answers as it is told. */
async function pretender(answer: (url: string) => { status?: number; headers?: Record<string, string>; body: string; cut?: boolean }) {
  const pretending = createServer((request, response) => {
    const { status = 200, headers, body, cut } = answer(request.url as string);
    response.writeHead(status, headers);
    response.write(body, () => (cut ? response.destroy() : response.end()));
  });
  await new Promise<void>((resolve) => pretending.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(pretending.address() as AddressInfo).port}`;
  return { client: new StrandlineClient({ url, space: "demo" }), stop: () => pretending.close() };
}

test("a push is pulled back, and an up-to-date poll is null", async () => {
  const client = given();
  const answer = await client.push({ changes: [todo("a", "milk"), todo("b", "bread")] });
  assert.deepEqual(answer.results.map((result) => result.status), ["applied", "applied"]);
  const page = (await client.changes()) as Page;
  assert.equal(page.cursor, answer.cursor);
  assert.equal(page.count, 2);
  assert.deepEqual(page.changes[0]?.data, { title: "milk" });
  assert.equal(await client.changes({ since: page.cursor, etag: page.etag as string }), null);
  assert.equal((await client.space()).checksum, page.checksum);
});

test("pages go on from their cursors, over the collections asked for", async () => {
  const client = given();
  await client.push({ changes: [todo("a", "1"), todo("b", "2"), { collection: "others", id: "c", data: {} }] });
  const first = (await client.changes({ limit: 1, collections: ["todos"] })) as Page;
  assert.equal(first.has_more, true);
  const second = (await client.changes({ since: first.cursor, collections: ["todos"] })) as Page;
  assert.deepEqual(second.changes.map((change) => change.id), ["b"]);
  assert.equal(second.count, 2);
});

test("lines end with the checkpoint that has count and checksum", async () => {
  const client = given();
  await client.push({ changes: [todo("a", "1"), todo("b", "2")] });
  const lines: (Change | Checkpoint)[] = [];
  for await (const line of client.lines()) lines.push(line);
  assert.equal(lines.length, 3);
  const last = lines[2] as Checkpoint;
  assert.equal(last.has_more, false);
  assert.equal(last.count, 2);
});

test("lines that are cut short throw", async () => {
  const body = '{"collection":"todos","id":"a","rev":1,"modified_at":"","deleted":true}\n{"cursor":"e.1"}\n';
  for (const cut of [false, true]) {
    const { client, stop } = await pretender(() => ({ body, cut }));
    await assert.rejects(async () => {
      for await (const line of client.lines()) assert.ok("cursor" in line || line.id === "a");
    }, NetworkError);
    stop();
  }
});

test("a refused push, a conflict and a failed precondition tell what the server has", async () => {
  const client = given();
  await client.put("todos", "a", { title: "milk" });
  await assert.rejects(client.push({ changes: [todo("a", "beer")], atomic: true }), (error) => {
    assert.ok(error instanceof PushRefused);
    assert.equal(error.status, 409);
    assert.equal(error.results[0]?.status, "conflict");
    return true;
  });
  await assert.rejects(client.put("todos", "a", {}, { ifAbsent: true }), (error) => {
    assert.ok(error instanceof StrandlineError);
    assert.equal(error.code, "precondition_failed");
    assert.deepEqual(error.problem.record?.data, { title: "milk" });
    return true;
  });
});

test("records are written, merged, listed and deleted, whatever their ids", async () => {
  const client = given();
  const made = await client.create("files", { size: 1 });
  const put = await client.put("files", "src/main.rs?#%", { size: 2 });
  const merged = await client.patch("files", put.id, { more: true }, { ifMatch: put.rev });
  assert.deepEqual(merged.data, { size: 2, more: true });
  assert.deepEqual(await client.record("files", put.id), merged);
  const ids = (await client.records("files", { limit: 10 })).records.map((record) => record.id);
  assert.deepEqual(ids, [made.id, put.id].sort());
  assert.equal((await client.delete("files", put.id, { ifUnmodifiedSince: new Date(Date.now() + 60_000) })).deleted, true);
  await assert.rejects(client.record("files", put.id), { code: "not_found", status: 404 });
  assert.throws(() => client.record("files", ".."), TypeError);
});

test("a manifest's revisions are fetched", async () => {
  const client = given();
  await client.push({ changes: [todo("a", "1"), todo("b", "2"), todo("c", "3")] });
  await client.delete("todos", "b");
  const manifest = await client.manifest();
  assert.deepEqual(manifest.runs, [0, 1, 1, 1]);
  assert.equal(manifest.count, 2);
  assert.match(manifest.cursor as string, /\.p$/);
  const page = await client.fetch({ runs: manifest.runs, limit: 1 });
  assert.equal(page.has_more, true);
  const rest = await client.fetch({ runs: manifest.runs, from: page.next as number });
  assert.deepEqual([...page.changes, ...rest.changes].map((change) => change.id), ["a", "c"]);
  const lines = [];
  for await (const change of client.fetchLines({ runs: manifest.runs })) lines.push(change.id);
  assert.deepEqual(lines, ["a", "c"]);
});

test("a plan says which of the known clients a purge would leave behind", async () => {
  const client = given();
  await client.push({ changes: [todo("a", "milk")] });
  const phone = new StrandlineClient({ url: server.url, space: `space-${spaces - 1}`, name: "phone" });
  const page = (await phone.changes()) as Page;
  await phone.changes({ since: page.cursor });
  await client.push({ changes: [{ collection: "todos", id: "a", base_rev: "*", deleted: true }] });
  const [known] = await client.clients();
  assert.deepEqual([known?.client, known?.cursor, known?.behind], ["phone", page.cursor, 1]);
  const [none, all] = await client.retentionPlan(["1d", "0s"]);
  assert.deepEqual([none?.window, none?.tombstones, none?.clients], ["1d", 0, []]);
  assert.deepEqual([all?.tombstones, all?.clients_behind, all?.clients], [1, 1, ["phone"]]);
  assert.equal((await client.setRetention({ retention: "0s", hold_for_clients: true, max_tombstones: 5 })).max_tombstones, 5);
  assert.equal((await client.compact()).purged, 0);
  assert.equal((await client.compact({ force: true })).clients_behind, 1);
});

test("a space is configured, compacted and deleted", async () => {
  const client = given();
  assert.equal((await client.configure({ retention: "7d" })).retention, "7d");
  assert.equal((await client.retention()).retention, "7d");
  assert.equal((await client.setRetention({ retention: "1d" })).retention, "1d");
  await client.put("todos", "a", {});
  await client.delete("todos", "a");
  assert.equal((await client.compact({ older_than: "0s", dry_run: true })).purged, 1);
  assert.equal((await client.compact({ older_than: "0s" })).horizon, 2);
  assert.ok((await client.spaces()).spaces.some((space) => space.space === client.spaceName));
  await client.deleteSpace();
  await assert.rejects(client.space(), { code: "not_found" });
});

test("a cursor of no use any more throws what a repair needs, as an answer and as an event", async () => {
  const client = given();
  const { rev } = await client.put("todos", "a", {});
  const { epoch } = await client.space();
  const expected = (error: unknown) => {
    assert.ok(error instanceof ResyncRequired);
    assert.deepEqual([error.status, error.reason, error.epoch, error.head, error.sharedRev], [410, "ahead", epoch, rev, 0]);
    return true;
  };
  await assert.rejects(client.changes({ since: `${epoch}.99` }), expected);
  await assert.rejects(client.events({ since: `${epoch}.99` }).next(), expected);
});

test("the live feed gives pages as things change, and ends with its caller's signal", async () => {
  const client = given();
  await client.put("todos", "a", {});
  const stop = new AbortController();
  let opened = 0;
  const feed = client.events({ since: "now", signal: stop.signal, onOpen: () => opened++ });
  const next = feed.next();
  while (opened === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await client.put("todos", "b", {});
  const { value: page } = (await next) as { value: Page };
  assert.deepEqual(page.changes.map((change) => change.id), ["b"]);
  const idle = feed.next();
  setTimeout(() => stop.abort(), 20);
  await assert.rejects(idle, { name: "AbortError" });
  assert.equal(opened, 1);
});

test("a live feed that breaks goes on from its last page", async () => {
  const asked: string[] = [];
  const page = (cursor: string) => `event: changes\nid: ${cursor}\ndata: {"changes":[],\ndata: "cursor":"${cursor}"}\n\n`;
  const { client, stop } = await pretender((url) => {
    asked.push(new URL(url, "http://x").searchParams.get("since") ?? "nothing");
    if (asked.length === 2) return { status: 503, headers: { "Retry-After": "0" }, body: "down" };
    // What is half there when the connection breaks is no event.
    return { body: `: hello\n${page(`e.${asked.length}`)}event: changes\ndata: {"cursor":"e.99"}\n`, cut: true };
  });
  const cursors: string[] = [];
  for await (const { cursor } of client.events({})) {
    cursors.push(cursor);
    if (cursors.length === 2) break;
  }
  assert.deepEqual(cursors, ["e.1", "e.3"]);
  assert.deepEqual(asked, ["nothing", "e.1", "e.1"]);
  stop();
});

test("errors that are not the server's own are told apart from its", async () => {
  const { client, stop } = await pretender((url) =>
    url.endsWith("/retention") ? { body: "<h1>Log in to this network</h1>" } : { status: 429, headers: { "Retry-After": "7" }, body: "<h1>" },
  );
  await assert.rejects(client.retention(), NetworkError);
  await assert.rejects(client.space(), (error) => {
    assert.ok(error instanceof StrandlineError);
    assert.deepEqual([error.status, error.code, error.retryAfter], [429, "unknown", 7]);
    return true;
  });
  stop();
  const nobody = new StrandlineClient({ url: "http://127.0.0.1:1", space: "demo" });
  await assert.rejects(nobody.space(), NetworkError);
});

test("a request says who asks, with a token that is asked for anew", async () => {
  const seen: (string | null)[] = [];
  let tokens = 0;
  const client = given({
    name: "laptop-7",
    token: async () => `token-${++tokens}`,
    fetch: (url: string, init: RequestInit) => {
      const headers = new Headers(init.headers);
      seen.push(headers.get("Strandline-Client"), headers.get("Authorization"));
      headers.delete("Authorization");
      return fetch(url, { ...init, headers });
    },
  });
  await client.push({ changes: [todo("a", "1")], seq: 1 });
  assert.equal((await client.push({ changes: [todo("a", "1")], seq: 1 })).duplicate, true);
  assert.deepEqual(seen, ["laptop-7", "Bearer token-1", "laptop-7", "Bearer token-2"]);
  assert.throws(() => given({ name: "two words" }), TypeError);
});
