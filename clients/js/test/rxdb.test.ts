/** RxDB with the real server: both directions, conflicts, and what the server does not take. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { replicateStrandline } from "../src/rxdb/index.ts";
import { isEvents, isPull, isPush } from "./bench/proxy.ts";
import type { DeviceOptions } from "./rxdb/device.ts";
import { Stage, until } from "./rxdb/stage.ts";

const stage = Stage.set("--max-record-bytes", "8KiB", "--max-push-bytes", "64KiB");

test("writes, edits and deletions travel to the other device, live", async () => {
  const [a, b] = await stage.twoDevices();
  await a.put("milk", "buy milk");
  await until(async () => (await b.titles())["milk"] === "buy milk", "the other device has it");
  await b.edit("milk", "buy oat milk");
  await until(async () => (await a.titles())["milk"] === "buy oat milk", "the edit is back");
  await a.delete("milk");
  await until(async () => !("milk" in (await b.titles())), "the deletion is there");
  for (const device of [a, b]) await device.equals(stage.server);
  assert.deepEqual([...a.conflicts, ...b.conflicts, ...a.errors, ...b.errors], []);
});

test("a record has its id as its name, not in its data", async () => {
  const a = await stage.deviceWith([]);
  await a.put("x", "one");
  await a.equals(stage.server);
  assert.deepEqual((await stage.server.records(stage.space, "todos")).get("x"), { title: "one" });
  await stage.server.put(stage.space, "todos", "y", { title: "two", _rev: "3-x", _deleted: true, _meta: {}, _attachments: {} });
  await a.equals(stage.server);
  assert.deepEqual(await a.titles(), { x: "one", y: "two" });
});

test("edits of one record in a row make no conflict, and none costs a second request", async () => {
  const a = await stage.deviceWith([]);
  await a.put("x", "0");
  await a.equals(stage.server);
  stage.proxy.forget();
  for (let n = 1; n <= 5; n++) {
    await a.edit("x", String(n));
    await a.sync();
  }
  await a.equals(stage.server);
  assert.deepEqual(await stage.titles(), { x: "5" });
  assert.deepEqual(a.conflicts, []);
  assert.equal(stage.proxy.requests.filter(isPush).length, 5);
});

test("the server wins a conflict, and what it discards is listed", async () => {
  const [a, b] = await stage.twoDevices();
  await a.put("x", "one");
  await a.equals(stage.server);
  await b.equals(stage.server);
  await b.replication.pause();
  await a.edit("x", "from a");
  await a.equals(stage.server);
  await b.edit("x", "from b");
  await b.replication.start();
  await b.equals(stage.server);
  assert.deepEqual(await b.titles(), { x: "from a" });
  const { reason, id, document, server: theirs } = b.conflicts[0]!;
  assert.deepEqual([b.conflicts.length, reason, id, document.title, theirs.title], [1, "conflict", "x", "from b", "from a"]);
});

test("an edit of what was deleted elsewhere is listed, and does not bring it back", async () => {
  const [a, b] = await stage.twoDevices();
  await a.put("x", "one");
  await a.equals(stage.server);
  await b.equals(stage.server);
  await b.replication.pause();
  await a.delete("x");
  await a.equals(stage.server);
  await b.edit("x", "edited");
  await b.replication.start();
  await b.equals(stage.server);
  assert.deepEqual(await b.titles(), {});
  assert.deepEqual(b.conflicts.map(({ document, server }) => [document.title, server._deleted]), [["edited", true]]);
});

test("a deletion of what was edited elsewhere is undone, and listed", async () => {
  const [a, b] = await stage.twoDevices();
  await a.put("x", "one");
  await a.equals(stage.server);
  await b.equals(stage.server);
  await b.replication.pause();
  await a.edit("x", "edited");
  await a.equals(stage.server);
  await b.delete("x");
  await b.replication.start();
  await b.equals(stage.server);
  assert.deepEqual(await b.titles(), { x: "edited" });
  assert.deepEqual(b.conflicts.map(({ document }) => document._deleted), [true]);
});

test("of two records made under one id, the first stays", async () => {
  const [a, b] = await stage.twoDevices();
  await b.sync();
  await b.replication.pause();
  await a.put("x", "from a");
  await a.equals(stage.server);
  await b.put("x", "from b");
  await b.replication.start();
  await b.equals(stage.server);
  assert.deepEqual(await b.titles(), { x: "from a" });
  assert.equal(b.conflicts.length, 1);
});

test("a record that was made and deleted before anybody was told is none, unless somebody else has made it", async () => {
  const a = await stage.deviceWith([]);
  await stage.server.put(stage.space, "todos", "first", { title: "so that there is a space" });
  await a.equals(stage.server);
  await a.replication.pause();
  await a.put("x", "one");
  await a.delete("x");
  await a.put("y", "here");
  await a.delete("y");
  await stage.server.put(stage.space, "todos", "y", { title: "there" });
  await a.replication.start();
  await a.equals(stage.server);
  assert.deepEqual(await a.titles(), { first: "so that there is a space", y: "there" });
});

test("a deleted record can be made anew, even when nobody remembers it", async () => {
  const [a, b] = await stage.twoDevices();
  await a.put("x", "one");
  await a.equals(stage.server);
  await a.delete("x");
  await a.equals(stage.server);
  await a.put("x", "two");
  await a.equals(stage.server);
  await a.delete("x");
  await a.equals(stage.server);
  await stage.server.purge(stage.space);
  await a.put("x", "three");
  await a.equals(stage.server);
  await b.equals(stage.server);
  assert.deepEqual(await b.titles(), { x: "three" });
  assert.deepEqual(a.conflicts, []);
});

test("many records come in small pages, while others are deleted", async () => {
  const a = await stage.deviceWith([], { pullBatchSize: 7, pushBatchSize: 9 });
  for (let n = 0; n < 100; n++) await stage.server.put(stage.space, "todos", `r${n}`, { title: String(n) });
  const held = stage.proxy.holdAnswer((request) => isPull(request) && request.path.includes("since="));
  const syncing = a.sync();
  await held.arrived;
  for (let n = 0; n < 100; n += 3) await stage.server.delete(stage.space, "todos", `r${n}`);
  held.release();
  await syncing;
  await a.equals(stage.server);
  await a.replication.pause();
  await a.todos.bulkInsert(Array.from({ length: 100 }, (_, n) => ({ id: `own${n}`, title: String(n) })));
  await a.replication.start();
  await a.equals(stage.server);
  assert.equal(Object.keys(await a.titles()).length, 166);
  assert.deepEqual(a.errors, []);
});

test("a replication that is not live gets everything in one go, past pages of deletions of what it never had", async () => {
  const a = await stage.deviceWith(["x"], { pullBatchSize: 5 });
  await a.close();
  for (let n = 0; n < 12; n++) await stage.server.put(stage.space, "todos", `gone${n}`, { title: "soon gone" });
  for (let n = 0; n < 12; n++) {
    await stage.server.delete(stage.space, "todos", `gone${n}`);
    await stage.server.put(stage.space, "todos", `new${n}`, { title: "new" });
  }
  await a.openOffline();
  await a.edit("x", "edited");
  a.replicate({ live: false });
  await a.replication.awaitInitialReplication();
  assert.deepEqual(await a.titles(), await stage.titles());
  assert.equal((await stage.titles())["x"], "edited");
  assert.equal(Object.keys(await a.titles()).length, 13);
});

test("a record that the server does not take is listed and goes back; the rest passes", async () => {
  const a = await stage.deviceWith([]);
  await a.put("x", "small");
  await a.equals(stage.server);
  await a.replication.pause();
  await a.edit("x", "#".repeat(10_000));
  await a.put("y", "#".repeat(100_000));
  await a.put("z".repeat(300), "an id that is too long");
  await a.put("tab\tbed", "an id with a control character");
  await a.put("fine", "fine");
  await a.replication.start();
  await a.equals(stage.server);
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
  await a.equals(stage.server);
  assert.deepEqual(await stage.titles(), { fine: "fine", x: "smaller", y: "small too" });
});

test("an edit is not replaced before the app has stored the conflict", async () => {
  const stored: string[] = [];
  let failures = 1;
  const onConflict: DeviceOptions["onConflict"] = async ({ document }) => {
    await pause(20);
    if (failures-- > 0) throw new Error("the app's disk is busy");
    stored.push(`${document.title}, while it shows ${(await a.titles())["x"]}`);
  };
  const a = await stage.deviceWith([], { onConflict });
  await a.put("x", "one");
  await a.equals(stage.server);
  await a.replication.pause();
  await stage.server.put(stage.space, "todos", "x", { title: "there" });
  await a.edit("x", "here");
  await a.replication.start();
  await a.equals(stage.server);
  assert.deepEqual(stored, ["here, while it shows here"]);
});

test("a collection that is quiet does not fall behind what was deleted in others", async () => {
  const a = await stage.deviceWith([]);
  await a.put("x", "one");
  await a.equals(stage.server);
  await a.close();
  await stage.server.put(stage.space, "notes", "n", {});
  await stage.server.delete(stage.space, "notes", "n");
  await stage.server.purge(stage.space);
  stage.proxy.forget();
  await a.open();
  await a.equals(stage.server);
  assert.deepEqual(stage.proxy.requests.filter((request) => request.status === 410), []);
});

test("the replications of a space share one stream, and each hears of its own collection", async () => {
  const a = await stage.deviceWith([]);
  await stage.server.put(stage.space, "todos", "first", { title: "so that there is a space" });
  await a.equals(stage.server);
  stage.proxy.forget();
  const b = await stage.device({ collection: "others" });
  await b.sync();
  await until(() => stage.proxy.requests.some((request) => isEvents(request) && request.path.includes("others")), "the stream was made anew for both");
  // The one that the first made for itself may still have been on its way.
  const streams = stage.proxy.requests.filter(isEvents).map((stream) => new URL(stream.path, stage.proxy.url).searchParams.get("collections"));
  assert.deepEqual(streams.filter((collections) => collections !== "todos"), ["others,todos"]);
  await pause(50);
  stage.proxy.forget();
  await stage.server.put(stage.space, "others", "o", { title: "for b" });
  await until(async () => "o" in (await b.titles()), "b has it");
  assert.ok(stage.proxy.requests.filter(isPull).every((pull) => pull.path.includes("collections=others")));
  await b.close();
  await until(() => stage.proxy.requests.some(isEvents), "the stream is for the one that is left");
});

test("a name that the server does not take is refused at once", async () => {
  const a = await stage.deviceWith([]);
  const replicate = () => replicateStrandline(a.todos, { url: stage.proxy.url, space: stage.space, collection: "Todos" });
  assert.throws(replicate, /the server takes no collection named Todos/);
});
