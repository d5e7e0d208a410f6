/** RxDB with the real server: both directions, conflicts, and what the server does not take. */
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { replicateStrandline } from "../src/rxdb/index.ts";
import { FaultProxy, isEvents, isPull, isPush } from "./bench/proxy.ts";
import { Server } from "./bench/server.ts";
import { Device, type DeviceOptions, titlesOf } from "./rxdb/device.ts";

let server: Server;
let proxy: FaultProxy;
let spaces = 0;
let space: string;
const open: Device[] = [];

before(async () => {
  server = await Server.start("--max-record-bytes", "8KiB", "--max-push-bytes", "64KiB");
  proxy = await FaultProxy.start(server);
});
afterEach(async () => {
  proxy.calm();
  for (const device of open.splice(0)) await device.close();
  proxy.forget();
});
after(async () => {
  await proxy.close();
  await server.close();
});

/** Devices of a space of their own. */
async function devices(count: number, options: Partial<DeviceOptions> = {}): Promise<Device[]> {
  space = `space-${++spaces}`;
  for (let at = 0; at < count; at++) open.push(await Device.start({ url: proxy.url, space, ...options }));
  return open.slice(-count);
}

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + 8000; !(await condition()); await pause(10)) {
    assert.ok(Date.now() < end, `waited in vain until ${what}`);
  }
}

test("writes, edits and deletions travel to the other device, live", async () => {
  const [a, b] = (await devices(2)) as [Device, Device];
  await a.put("milk", "buy milk");
  await until(async () => (await b.titles())["milk"] === "buy milk", "the other device has it");
  await b.edit("milk", "buy oat milk");
  await until(async () => (await a.titles())["milk"] === "buy oat milk", "the edit is back");
  await a.delete("milk");
  await until(async () => !("milk" in (await b.titles())), "the deletion is there");
  for (const device of [a, b]) await device.equals(server);
  assert.deepEqual([...a.conflicts, ...b.conflicts, ...a.errors, ...b.errors], []);
});

test("a record has its id as its name, not in its data", async () => {
  const [a] = (await devices(1)) as [Device];
  await a.put("x", "one");
  await a.equals(server);
  assert.deepEqual((await server.records(space, "todos")).get("x"), { title: "one" });
  await server.put(space, "todos", "y", { title: "two", _rev: "3-x", _deleted: true, _meta: {}, _attachments: {} });
  await a.equals(server);
  assert.deepEqual(await a.titles(), { x: "one", y: "two" });
});

test("edits of one record in a row make no conflict, and none costs a second request", async () => {
  const [a] = (await devices(1)) as [Device];
  await a.put("x", "0");
  await a.equals(server);
  proxy.forget();
  for (let n = 1; n <= 5; n++) {
    await a.edit("x", String(n));
    await a.sync();
  }
  await a.equals(server);
  assert.deepEqual(await titlesOf(server, space), { x: "5" });
  assert.deepEqual(a.conflicts, []);
  assert.equal(proxy.requests.filter(isPush).length, 5);
});

test("the server wins a conflict, and what it discards is listed", async () => {
  const [a, b] = (await devices(2)) as [Device, Device];
  await a.put("x", "one");
  await a.equals(server);
  await b.equals(server);
  await b.replication.pause();
  await a.edit("x", "from a");
  await a.equals(server);
  await b.edit("x", "from b");
  await b.replication.start();
  await b.equals(server);
  assert.deepEqual(await b.titles(), { x: "from a" });
  const { reason, id, document, server: theirs } = b.conflicts[0]!;
  assert.deepEqual([b.conflicts.length, reason, id, document.title, theirs.title], [1, "conflict", "x", "from b", "from a"]);
});

test("an edit of what was deleted elsewhere is listed, and does not bring it back", async () => {
  const [a, b] = (await devices(2)) as [Device, Device];
  await a.put("x", "one");
  await a.equals(server);
  await b.equals(server);
  await b.replication.pause();
  await a.delete("x");
  await a.equals(server);
  await b.edit("x", "edited");
  await b.replication.start();
  await b.equals(server);
  assert.deepEqual(await b.titles(), {});
  assert.deepEqual(b.conflicts.map(({ document, server }) => [document.title, server._deleted]), [["edited", true]]);
});

test("a deletion of what was edited elsewhere is undone, and listed", async () => {
  const [a, b] = (await devices(2)) as [Device, Device];
  await a.put("x", "one");
  await a.equals(server);
  await b.equals(server);
  await b.replication.pause();
  await a.edit("x", "edited");
  await a.equals(server);
  await b.delete("x");
  await b.replication.start();
  await b.equals(server);
  assert.deepEqual(await b.titles(), { x: "edited" });
  assert.deepEqual(b.conflicts.map(({ document }) => document._deleted), [true]);
});

test("of two records made under one id, the first stays", async () => {
  const [a, b] = (await devices(2)) as [Device, Device];
  await b.sync();
  await b.replication.pause();
  await a.put("x", "from a");
  await a.equals(server);
  await b.put("x", "from b");
  await b.replication.start();
  await b.equals(server);
  assert.deepEqual(await b.titles(), { x: "from a" });
  assert.equal(b.conflicts.length, 1);
});

test("a record that was made and deleted before anybody was told is none, unless somebody else has made it", async () => {
  const [a] = (await devices(1)) as [Device];
  await server.put(space, "todos", "first", { title: "so that there is a space" });
  await a.equals(server);
  await a.replication.pause();
  await a.put("x", "one");
  await a.delete("x");
  await a.put("y", "here");
  await a.delete("y");
  await server.put(space, "todos", "y", { title: "there" });
  await a.replication.start();
  await a.equals(server);
  assert.deepEqual(await a.titles(), { first: "so that there is a space", y: "there" });
});

test("a deleted record can be made anew, even when nobody remembers it", async () => {
  const [a, b] = (await devices(2)) as [Device, Device];
  await a.put("x", "one");
  await a.equals(server);
  await a.delete("x");
  await a.equals(server);
  await a.put("x", "two");
  await a.equals(server);
  await a.delete("x");
  await a.equals(server);
  await server.purge(space);
  await a.put("x", "three");
  await a.equals(server);
  await b.equals(server);
  assert.deepEqual(await b.titles(), { x: "three" });
  assert.deepEqual(a.conflicts, []);
});

test("many records come in small pages, while others are deleted", async () => {
  const [a] = (await devices(1, { pullBatchSize: 7, pushBatchSize: 9 })) as [Device];
  for (let n = 0; n < 100; n++) await server.put(space, "todos", `r${n}`, { title: String(n) });
  const held = proxy.holdAnswer((request) => isPull(request) && request.path.includes("since="));
  const syncing = a.sync();
  await held.arrived;
  for (let n = 0; n < 100; n += 3) await server.delete(space, "todos", `r${n}`);
  held.release();
  await syncing;
  await a.equals(server);
  await a.replication.pause();
  await a.todos.bulkInsert(Array.from({ length: 100 }, (_, n) => ({ id: `own${n}`, title: String(n) })));
  await a.replication.start();
  await a.equals(server);
  assert.equal(Object.keys(await a.titles()).length, 166);
  assert.deepEqual(a.errors, []);
});

test("a record that the server does not take is listed and goes back; the rest passes", async () => {
  const [a] = (await devices(1)) as [Device];
  await a.put("x", "small");
  await a.equals(server);
  await a.replication.pause();
  await a.edit("x", "#".repeat(10_000));
  await a.put("y", "#".repeat(100_000));
  await a.put("z".repeat(300), "an id that is too long");
  await a.put("tab\tbed", "an id with a control character");
  await a.put("fine", "fine");
  await a.replication.start();
  await a.equals(server);
  assert.deepEqual(await a.titles(), { fine: "fine", x: "small" });
  const listed = a.conflicts.map(({ reason, id, problem }) => [reason, id.slice(0, 3), problem?.code]);
  assert.deepEqual(listed.sort(), [
    ["rejected", "tab", "invalid_request"],
    ["rejected", "x", "too_large"],
    ["rejected", "y", "too_large"],
    ["rejected", "zzz", "invalid_request"],
  ]);
  await a.edit("x", "smaller");
  await a.put("y", "small too");
  await a.equals(server);
  assert.deepEqual(await titlesOf(server, space), { fine: "fine", x: "smaller", y: "small too" });
});

test("an edit is not replaced before the app has stored the conflict", async () => {
  const stored: string[] = [];
  let failures = 1;
  const onConflict: DeviceOptions["onConflict"] = async ({ document }) => {
    await pause(20);
    if (failures-- > 0) throw new Error("the app's disk is busy");
    stored.push(`${document.title}, while it shows ${(await a.titles())["x"]}`);
  };
  const [a] = (await devices(1, { onConflict })) as [Device];
  await a.put("x", "one");
  await a.equals(server);
  await a.replication.pause();
  await server.put(space, "todos", "x", { title: "there" });
  await a.edit("x", "here");
  await a.replication.start();
  await a.equals(server);
  assert.deepEqual(stored, ["here, while it shows here"]);
});

test("a collection that is quiet does not fall behind what was deleted in others", async () => {
  const [a] = (await devices(1)) as [Device];
  await a.put("x", "one");
  await a.equals(server);
  await a.close();
  await server.put(space, "notes", "n", {});
  await server.delete(space, "notes", "n");
  await server.purge(space);
  proxy.forget();
  await a.open();
  await a.equals(server);
  assert.deepEqual(proxy.requests.filter((request) => request.status === 410), []);
});

test("the replications of a space share one stream, and each hears of its own collection", async () => {
  const [a] = (await devices(1)) as [Device];
  await server.put(space, "todos", "first", { title: "so that there is a space" });
  await a.equals(server);
  proxy.forget();
  const b = await Device.start({ url: proxy.url, space, collection: "others" });
  open.push(b);
  await b.sync();
  await until(() => proxy.requests.some(isEvents), "the stream was made anew for both");
  const streams = proxy.requests.filter(isEvents);
  assert.deepEqual(streams.map((stream) => new URL(stream.path, proxy.url).searchParams.get("collections")), ["others,todos"]);
  await pause(50);
  proxy.forget();
  await server.put(space, "others", "o", { title: "for b" });
  await until(async () => "o" in (await b.titles()), "b has it");
  assert.ok(proxy.requests.filter(isPull).every((pull) => pull.path.includes("collections=others")));
  await b.close();
  open.pop();
  await until(() => proxy.requests.some(isEvents), "the stream is for the one that is left");
});

test("a name that the server does not take is refused at once", async () => {
  const [a] = (await devices(1)) as [Device];
  const replicate = () => replicateStrandline(a.todos, { url: proxy.url, space, collection: "Todos" });
  assert.throws(replicate, /the server takes no collection named Todos/);
});
