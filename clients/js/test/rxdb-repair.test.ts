/** RxDB with a server that has forgotten its checkpoint, or has another history than it had. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { isPull, isPush, type SeenRequest } from "./bench/proxy.ts";
import { Stage, until } from "./rxdb/stage.ts";

const stage = Stage.set();

/** What is pushed from here on, as `id` or `-id` for a deletion. */
function pushed(): string[] {
  const pushes = stage.proxy.requests.filter(isPush).flatMap((push) => JSON.parse(push.body).changes);
  return [...new Set(pushes.map((change: { id: string; deleted?: boolean }) => (change.deleted ? `-${change.id}` : change.id)))];
}

const isWhole = (request: SeenRequest): boolean => isPull(request) && !request.path.includes("since=");

for (const options of [{}, { pullBatchSize: 2, pushBatchSize: 1 }]) {
  test(`a device behind the horizon drops what is gone and keeps what is its own ${JSON.stringify(options)}`, async () => {
    const a = await stage.deviceWith(["kept", "ghost", "edited ghost", "deleted ghost", "edited", "changed", "both"], options);
    await a.close();
    for (const id of ["ghost", "edited ghost", "deleted ghost"]) await stage.server.delete(stage.space, "todos", id);
    await stage.server.put(stage.space, "todos", "changed", { title: "changed there" });
    await stage.server.put(stage.space, "todos", "both", { title: "both there" });
    await stage.server.put(stage.space, "todos", "new", { title: "new" });
    await stage.server.purge(stage.space);
    await a.openOffline();
    await a.edit("edited ghost", "edited here");
    await a.delete("deleted ghost");
    await a.edit("edited", "edited here");
    await a.edit("both", "both here");
    await a.put("own", "own");
    await a.close();
    stage.proxy.forget();
    await a.open();
    await a.equals(stage.server);
    assert.ok(stage.proxy.requests.some(({ status }) => status === 410));
    assert.deepEqual(await a.titles(), {
      both: "both there",
      changed: "changed there",
      edited: "edited here",
      kept: "kept",
      new: "new",
      own: "own",
    });
    assert.deepEqual(a.conflicts.map(({ document }) => document.title).sort(), ["both here", "edited here"]);
    assert.deepEqual(pushed().sort(), ["-deleted ghost", "both", "edited", "edited ghost", "own"]);
  });
}

test("a device that is behind the horizon while it runs repairs itself too", async () => {
  const a = await stage.deviceWith(["x", "ghost"]);
  stage.proxy.offline = true;
  await stage.server.delete(stage.space, "todos", "ghost");
  await stage.server.purge(stage.space);
  await a.put("own", "own");
  stage.proxy.offline = false;
  await a.equals(stage.server);
  assert.deepEqual(Object.keys(await a.titles()), ["own", "x"]);
  assert.deepEqual(a.conflicts, []);
});

test("a repair that finds nothing is not made again", async () => {
  const a = await stage.deviceWith(["x"]);
  await a.close();
  await stage.server.put(stage.space, "todos", "y", { title: "y" });
  await stage.server.delete(stage.space, "todos", "y");
  await stage.server.purge(stage.space);
  await a.open();
  await a.equals(stage.server);
  assert.ok(stage.proxy.requests.some(isWhole));
  await a.close();
  stage.proxy.forget();
  await a.open();
  await a.equals(stage.server);
  assert.ok(!stage.proxy.requests.some(isWhole));
});

test("a device that was killed in the middle of a repair makes it again", async () => {
  const a = await stage.deviceWith(["x", "ghost"]);
  await a.close();
  await stage.server.delete(stage.space, "todos", "ghost");
  await stage.server.put(stage.space, "todos", "y", { title: "y" });
  await stage.server.purge(stage.space);
  const whole = stage.proxy.holdAnswer(isWhole);
  await a.open();
  await whole.arrived;
  await a.close();
  whole.release();
  await a.open();
  await a.equals(stage.server);
  assert.deepEqual(Object.keys(await a.titles()), ["x", "y"]);
  assert.deepEqual(pushed(), []);
});

test("what is pushed and what is edited while a repair is made is not lost in it", async () => {
  const a = await stage.deviceWith(["x", "ghost"]);
  await a.close();
  await stage.server.delete(stage.space, "todos", "ghost");
  await stage.server.purge(stage.space);
  const whole = stage.proxy.holdAnswer(isWhole);
  await a.open();
  await whole.arrived;
  await a.put("own", "own");
  await a.edit("x", "edited");
  await until(async () => (await stage.titles())["x"] === "edited", "it is pushed");
  whole.release();
  await a.equals(stage.server);
  assert.deepEqual(await a.titles(), { own: "own", x: "edited" });
  assert.deepEqual(a.conflicts, []);
});

test("a restored server takes back what it lost, and what was not pushed is pushed", async () => {
  const a = await stage.deviceWith(["x", "y", "edited"]);
  const backup = await stage.server.backup();
  await a.put("lost", "lost");
  await a.edit("x", "lost too");
  await a.delete("y");
  await a.equals(stage.server);
  await a.close();
  await a.openOffline();
  await a.edit("edited", "edited here");
  await a.edit("lost", "edited here");
  await a.put("own", "own");
  await a.close();
  await stage.server.restore(backup);
  stage.proxy.forget();
  await a.open();
  await a.equals(stage.server);
  assert.deepEqual(await a.titles(), { edited: "edited here", own: "own", x: "x", y: "y" });
  assert.deepEqual(a.conflicts.map(({ id }) => id), ["lost"]);
});

test("a restored server is noticed while the device runs, whoever asks first", async () => {
  for (const first of [isPull, isPush]) {
    const a = await stage.deviceWith(["x", "y"]);
    const backup = await stage.server.backup();
    await a.edit("x", "lost");
    await a.equals(stage.server);
    stage.proxy.offline = true;
    await stage.server.restore(backup);
    await stage.server.put(stage.space, "todos", "foreign", { title: "in the new history" });
    const held = stage.proxy.holdRequest(first === isPull ? isPush : isPull);
    stage.proxy.offline = false;
    await a.edit("y", "edited here");
    a.replication.reSync();
    await until(() => stage.proxy.requests.some((request) => first(request) && request.status !== undefined), "it has asked");
    held.release();
    await a.equals(stage.server);
    assert.deepEqual(await a.titles(), { foreign: "in the new history", x: "x", y: "edited here" });
    await stage.clear();
  }
});

test("a record that was pushed, never pulled, and lost in a restore is not kept", async () => {
  const a = await stage.deviceWith(["x"]);
  // The push is answered, and its echo does not get through: the checkpoint lies below what both histories share.
  for (let n = 0; n < 50; n++) stage.proxy.answer(isPull, 503);
  const backup = await stage.server.backup();
  await a.put("lost", "lost");
  await until(async () => "lost" in (await stage.titles()), "it is pushed");
  await a.replication.internalReplicationState!.streamQueue.up;
  await a.close();
  await stage.server.restore(backup);
  stage.proxy.calm();
  await a.open();
  await a.equals(stage.server);
  assert.deepEqual(await a.titles(), { x: "x" });
});

test("a space that was deleted takes nothing away from the device", async () => {
  const a = await stage.deviceWith(["x"]);
  await stage.server.call("DELETE", `/v1/spaces/${stage.space}`);
  a.replication.reSync();
  await until(() => a.errors.length > 0, "it is told");
  assert.deepEqual(await a.titles(), { x: "x" });
  assert.match(JSON.stringify(a.errors), /404 not_found/);
});

test("what is pushed, deleted and forgotten before a repair reads the server is a ghost too", async () => {
  const a = await stage.deviceWith(["x", "ghost"]);
  await a.close();
  await stage.server.delete(stage.space, "todos", "ghost");
  await stage.server.purge(stage.space);
  const whole = stage.proxy.holdRequest(isWhole);
  await a.open();
  await whole.arrived;
  await a.put("own", "own");
  await until(async () => "own" in (await stage.titles()), "it is pushed");
  await stage.server.delete(stage.space, "todos", "own");
  await stage.server.purge(stage.space);
  whole.release();
  await a.equals(stage.server);
  assert.deepEqual(await a.titles(), { x: "x" });
});

test("an edit made on a version that was lost does not overwrite the one that has its revision now", async () => {
  const a = await stage.deviceWith(["x"]);
  const backup = await stage.server.backup();
  await a.edit("x", "lost");
  await a.equals(stage.server);
  stage.proxy.offline = true;
  await stage.server.restore(backup);
  await stage.server.put(stage.space, "todos", "x", { title: "in the new history" });
  const pull = stage.proxy.holdRequest(isPull);
  stage.proxy.offline = false;
  await a.edit("x", "edited");
  await until(() => a.conflicts.length > 0, "it is refused");
  pull.release();
  await a.equals(stage.server);
  assert.deepEqual(await a.titles(), { x: "in the new history" });
  assert.deepEqual(a.conflicts.map(({ document }) => document.title), ["edited"]);
});

test("a page that is still being stored when a repair begins leaves no ghost", async () => {
  const a = await stage.deviceWith(["x"], { pullBatchSize: 1 });
  const spinUp = a.slowDisk();
  stage.proxy.forget();
  const second = stage.proxy.holdRequest((request) => isPull(request) && stage.proxy.requests.filter(isPull).length === 2);
  await stage.server.put(stage.space, "todos", "ghost", { title: "ghost" });
  await second.arrived;
  await stage.server.delete(stage.space, "todos", "ghost");
  await stage.server.purge(stage.space);
  second.release();
  await until(() => stage.proxy.requests.some(({ status }) => status === 410), "it has to repair itself");
  await pause(100);
  spinUp();
  await a.equals(stage.server);
  assert.deepEqual(await a.titles(), { x: "x" });
});

test("what is pushed while a repair waits, and lost in a restore before it goes on, is a ghost", async () => {
  const a = await stage.deviceWith(["x", "y"]);
  const backup = await stage.server.backup();
  await a.close();
  await stage.server.delete(stage.space, "todos", "y");
  await stage.server.purge(stage.space);
  const whole = stage.proxy.holdRequest(isWhole);
  await a.open();
  await whole.arrived;
  await a.put("own", "own");
  await until(async () => "own" in (await stage.titles()), "it is pushed");
  await stage.server.restore(backup);
  whole.release();
  await a.equals(stage.server);
  assert.deepEqual(await a.titles(), { x: "x", y: "y" });
});
