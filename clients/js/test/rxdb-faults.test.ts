/** RxDB through a network that fails: lost answers, overtaken pages, restarts in the worst moment. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { isPull, isPush, type Match } from "./bench/proxy.ts";
import type { Device } from "./rxdb/device.ts";
import { Stage, until } from "./rxdb/stage.ts";

const stage = Stage.set();

/** The device comes to its end in this moment: what is under way is lost. */
async function killed(device: Device): Promise<void> {
  await device.close();
}

test("two devices edit offline and come back", async () => {
  const [a, b] = await stage.twoDevices("x");
  stage.proxy.offline = true;
  await a.put("a", "from a");
  await b.put("b", "from b");
  await a.edit("x", "from a");
  await b.edit("x", "from b");
  await pause(50);
  stage.proxy.offline = false;
  await Promise.all([a.equals(stage.server), b.equals(stage.server)]);
  await Promise.all([a.equals(stage.server), b.equals(stage.server)]);
  const { x, ...others } = await stage.titles();
  assert.deepEqual(others, { a: "from a", b: "from b" });
  assert.deepEqual([...a.conflicts, ...b.conflicts].map(({ document }) => document.title), [x === "from a" ? "from b" : "from a"]);
});

test("a push whose answer was lost happens once", async () => {
  const a = await stage.deviceWith(["x"]);
  stage.proxy.dropAnswer(isPush);
  await a.put("y", "new");
  await a.equals(stage.server);
  assert.deepEqual(stage.proxy.requests.filter(isPush).map((push) => JSON.parse(push.body).seq), [1, 1]);
  assert.deepEqual(a.conflicts, []);
});

test("an insert whose answer was lost does not rise again after it was deleted and forgotten", async () => {
  const a = await stage.deviceWith(["x"]);
  stage.proxy.dropAnswer(isPush);
  const again = stage.proxy.holdRequest(isPush);
  const putting = a.put("y", "new");
  await again.arrived;
  await putting;
  await stage.server.delete(stage.space, "todos", "y");
  await stage.server.purge(stage.space);
  again.release();
  await a.equals(stage.server);
  assert.deepEqual(await stage.titles(), { x: "x" });
  assert.deepEqual(a.conflicts.map(({ id }) => id), ["y"]);
});

test("nor when the device was restarted in between", async () => {
  const a = await stage.deviceWith(["x"]);
  const lost = stage.proxy.holdAnswer(isPush);
  await a.put("y", "new");
  await lost.arrived;
  await killed(a);
  lost.release();
  await stage.server.delete(stage.space, "todos", "y");
  await stage.server.purge(stage.space);
  await a.open();
  await a.equals(stage.server);
  assert.deepEqual(await stage.titles(), { x: "x" });
  assert.deepEqual(a.conflicts.map(({ id }) => id), ["y"]);
  await a.put("y", "made anew, knowingly");
  await a.equals(stage.server);
  assert.equal((await stage.titles())["y"], "made anew, knowingly");
});

test("nor when what is pushed after the restart has other edits before it", async () => {
  const a = await stage.deviceWith(["x"], { pushBatchSize: 1 });
  const lost = stage.proxy.holdAnswer((request) => isPush(request) && request.body.includes('"y"'));
  await a.put("y", "new");
  await lost.arrived;
  await killed(a);
  lost.release();
  await stage.server.delete(stage.space, "todos", "y");
  await stage.server.purge(stage.space);
  await a.openOffline();
  await a.edit("x", "edited");
  await a.close();
  stage.proxy.answer(isPush, 503);
  await a.open();
  await pause(30);
  await a.restart();
  await a.equals(stage.server);
  assert.deepEqual(await stage.titles(), { x: "edited" });
});

test("an edit of what was pushed without an answer is made on it", async () => {
  const a = await stage.deviceWith(["x"]);
  const lost = stage.proxy.holdAnswer(isPush);
  await a.put("y", "first");
  await lost.arrived;
  await killed(a);
  lost.release();
  await a.openOffline();
  await a.edit("y", "second");
  await a.close();
  await a.open();
  await a.equals(stage.server);
  assert.equal((await stage.titles())["y"], "second");
  assert.deepEqual(a.conflicts, []);
});

test("the first edit after a restart is no conflict", async () => {
  const a = await stage.deviceWith(["x"]);
  await a.restart();
  await a.edit("x", "two");
  await a.equals(stage.server);
  assert.equal((await stage.titles())["x"], "two");
  assert.deepEqual(a.conflicts, []);
});

test("an edit after a restart does not overwrite what was edited elsewhere, even if RxDB skipped it", async () => {
  const a = await stage.deviceWith(["x"]);
  await a.close();
  await a.openOffline();
  await a.edit("x", "from here");
  await stage.server.put(stage.space, "todos", "x", { title: "from there" });
  await stage.server.put(stage.space, "todos", "z", { title: "so that there is a checkpoint" });
  // The page comes first, and the document in it is skipped, as it has an edit.
  stage.proxy.unavailable(isPush, 60);
  a.replicate();
  await a.replication.startPromise;
  await a.replication.internalReplicationState!.streamQueue.down;
  await killed(a);
  await a.open();
  await a.equals(stage.server);
  assert.equal((await stage.titles())["x"], "from there");
  assert.deepEqual(a.conflicts.map(({ document }) => document.title), ["from here"]);
});

test("an edit from elsewhere on top of ours is not skipped when it is pulled before our answer", async () => {
  const a = await stage.deviceWith(["x"]);
  const answer = stage.proxy.holdAnswer(isPush);
  // RxDB delays the pulls of events while it pushes, but not one that has begun.
  const pull = stage.proxy.holdRequest(isPull);
  a.replication.reSync();
  await pull.arrived;
  await a.edit("x", "from here");
  await answer.arrived;
  await stage.server.put(stage.space, "todos", "x", { title: "on top of it" });
  pull.release();
  await pause(50);
  answer.release();
  await a.equals(stage.server);
  assert.deepEqual(await a.titles(), { x: "on top of it" });
  assert.deepEqual(a.conflicts, []);
});

test("a page that was read before an own push does not bring back what it replaced", async () => {
  const a = await stage.deviceWith(["x"]);
  const seen: string[] = [];
  const subscription = a.todos.findOne("x").$.subscribe((document) => void seen.push(document!.title));
  // The page with the echo of the first edit is overtaken by the second edit.
  const page = stage.proxy.holdAnswer(isPull);
  await a.edit("x", "two");
  await page.arrived;
  await a.edit("x", "three");
  await until(async () => (await stage.titles())["x"] === "three", "it is pushed");
  page.release();
  await a.equals(stage.server);
  subscription.unsubscribe();
  assert.deepEqual(seen, ["x", "two", "three"]);
});

test("a state that RxDB read before a pull deleted it is not pushed", async () => {
  await stage.newSpace("ghost", "x");
  const a = await stage.device({ pullBatchSize: 1, pushBatchSize: 1, autoStart: false });
  const own = ["own1", "own2", "own3", "own4", "own5", "own6"];
  for (const id of own) await a.put(id, id);
  // RxDB reads four batches ahead of what is pushed: beside the last own one, the ghost.
  const isLast: Match = (request) => isPush(request) && request.body.includes("own6");
  stage.proxy.unavailable(isPush);
  stage.proxy.unavailable(isLast, 1);
  const secondPage = stage.proxy.holdRequest((request) => isPull(request) && request.path.includes("since="));
  await a.replication.start();
  await until(async () => "ghost" in (await a.titles()), "it is stored");
  await until(() => stage.proxy.requests.some(isLast), "the last push waits");
  await stage.server.delete(stage.space, "todos", "ghost");
  secondPage.release();
  await until(async () => !("ghost" in (await a.titles())), "its deletion is stored");
  assert.equal(stage.proxy.requests.filter(isLast).length, 1);
  await a.equals(stage.server);
  assert.deepEqual(Object.keys(await stage.titles()), [...own, "x"]);
  assert.ok(!stage.proxy.requests.some((request) => isPush(request) && request.body.includes("ghost")));
});

test("a deletion that is pulled before its document is stored deletes it", async () => {
  const a = await stage.deviceWith(["x"], { pullBatchSize: 1 });
  const spinUp = a.slowDisk();
  stage.proxy.forget();
  // By what it asks for, and not by how many there were: one may have been under way.
  const isPullFrom = (rev: number): Match => (request) => isPull(request) && new RegExp(`since=[a-z0-9]+\\.${rev}\\b`).test(request.path);
  const second = stage.proxy.holdRequest(isPullFrom(2));
  await stage.server.put(stage.space, "todos", "y", { title: "soon gone" });
  await second.arrived;
  await stage.server.put(stage.space, "todos", "z", { title: "stays" });
  await stage.server.delete(stage.space, "todos", "y");
  second.release();
  await until(() => stage.proxy.requests.some(isPullFrom(4)), "the deletion is pulled");
  assert.deepEqual(Object.keys(await a.titles()), ["x"]);
  spinUp();
  await a.equals(stage.server);
  assert.deepEqual(Object.keys(await a.titles()), ["x", "z"]);
  assert.deepEqual(a.errors, []);
});

test("an unavailable server is asked again when it says so", async () => {
  const a = await stage.deviceWith(["x"]);
  stage.proxy.unavailable(isPush, 1);
  stage.proxy.forget();
  const start = Date.now();
  await a.put("y", "new");
  await a.equals(stage.server);
  assert.ok(Date.now() - start >= 1000);
  assert.deepEqual(stage.proxy.requests.filter(isPush).map(({ status }) => status), [503, 200]);
});

test("a server that was killed and comes back is found", async () => {
  const a = await stage.deviceWith(["x"]);
  await stage.server.kill();
  await a.put("y", "new");
  await pause(50);
  await stage.server.restart();
  await a.equals(stage.server);
});

for (const status of [401, 403]) {
  test(`a token that is answered with ${status} ends the replication, and what was not pushed stays`, async () => {
    const a = await stage.deviceWith(["x"]);
    stage.proxy.answer(isPush, status);
    const ended = new Promise<void>((resolve) => a.replication.canceled$.subscribe((canceled) => canceled && resolve()));
    await a.put("y", "new");
    await ended;
    assert.match(JSON.stringify(a.errors), new RegExp(`"message":"${status} `));
    // What was under way when it ended arrives; nothing after that.
    await pause(100);
    stage.proxy.forget();
    await pause(200);
    assert.deepEqual(stage.proxy.requests, []);
    await a.restart();
    await a.equals(stage.server);
    assert.equal((await stage.titles())["y"], "new");
  });
}

test("a space that is full ends nothing: deletions go through, and the rest when there is room", async () => {
  const a = await stage.deviceWith(["x", "y"]);
  await stage.server.bound(stage.space, 2);
  await a.todos.bulkUpsert(["1", "2"].map((id) => ({ id, title: "new" })));
  await until(() => a.errors.length > 1, "it was refused, and tried again");
  assert.match(JSON.stringify(a.errors), /quota_exceeded/);
  assert.deepEqual((await a.unsynced()).sort(), ["1", "2"]);

  // Deleted later, and behind what RxDB tries again and again.
  await a.delete("y");
  await until(async () => !("y" in (await stage.titles())), "the deletion went through");
  assert.deepEqual((await a.unsynced()).sort(), ["1", "2"]);
  await a.delete("2");
  await a.equals(stage.server);
  assert.deepEqual(Object.keys(await stage.titles()), ["1", "x"]);
  assert.deepEqual(a.conflicts, []);
});

test("a pause in the middle of a push loses nothing", async () => {
  const a = await stage.deviceWith(["x"]);
  await stage.server.put(stage.space, "todos", "x", { title: "from there" });
  const answer = stage.proxy.holdAnswer(isPush);
  await a.todos.bulkUpsert([
    { id: "x", title: "from here" },
    { id: "y", title: "new" },
  ]);
  await answer.arrived;
  await a.replication.pause();
  answer.release();
  await pause(50);
  await a.replication.start();
  await a.equals(stage.server);
  assert.deepEqual(await stage.titles(), { x: "from there", y: "new" });
  assert.ok(a.conflicts.some(({ document }) => document.title === "from here"));
});

test("a device that pushed and was restarted before its first pull ended keeps nothing that was deleted meanwhile", async () => {
  await stage.newSpace("x");
  for (let n = 0; n < 20; n++) stage.proxy.answer(isPull, 503);
  const a = await stage.device();
  await a.put("y", "new");
  await until(async () => "y" in (await stage.titles()), "it is pushed");
  await pause(20);
  await killed(a);
  stage.proxy.calm();
  await stage.server.delete(stage.space, "todos", "y");
  await stage.server.purge(stage.space);
  await a.open();
  await a.equals(stage.server);
  assert.deepEqual(await a.titles(), { x: "x" });
});

test("what was stored from the server when the device was killed is not pushed back", async () => {
  const a = await stage.deviceWith(["x"]);
  const { metaInstance } = a.replication.internalReplicationState!.input;
  // Killed after the documents of a page were written, before RxDB noted that the server has them.
  const write = metaInstance.bulkWrite.bind(metaInstance);
  metaInstance.bulkWrite = async (rows, context) =>
    context === "replication-down-write-meta" || context === "replication-set-checkpoint"
      ? { error: [] }
      : write(rows, context);
  stage.proxy.unavailable(isPush, 60);
  await stage.server.put(stage.space, "todos", "y", { title: "soon gone" });
  await stage.server.put(stage.space, "todos", "x", { title: "two" });
  await until(async () => "y" in (await a.titles()), "it is stored");
  await killed(a);
  stage.proxy.calm();
  await stage.server.delete(stage.space, "todos", "y");
  await stage.server.put(stage.space, "todos", "x", { title: "three" });
  await stage.server.purge(stage.space);
  await a.open();
  await a.equals(stage.server);
  assert.deepEqual(await stage.titles(), { x: "three" });
});

test("a copy of the database takes a name of its own", async () => {
  const a = await stage.deviceWith(["x"]);
  await a.put("y", "one");
  await a.equals(stage.server);
  const name = stage.proxy.requests.find(isPush)!.headers["strandline-client"] as string;
  await fetch(`${stage.server.url}/v1/spaces/${stage.space}/push`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Strandline-Client": name },
    body: JSON.stringify({ changes: [], seq: 100 }),
  });
  stage.proxy.forget();
  await a.edit("y", "two");
  await a.equals(stage.server);
  assert.deepEqual(a.conflicts, []);
  assert.equal((await stage.titles())["y"], "two");
  const names = stage.proxy.requests.filter(isPush).map((push) => push.headers["strandline-client"]);
  assert.equal(names[0], name);
  assert.notEqual(names[1], name);
});

test("a name and its numbers outlive a restart", async () => {
  const a = await stage.deviceWith(["x"], { name: "kitchen" });
  await a.put("y", "one");
  await a.equals(stage.server);
  await a.restart();
  await a.put("z", "one");
  await a.equals(stage.server);
  const pushes = stage.proxy.requests.filter(isPush);
  assert.deepEqual(pushes.map((push) => JSON.parse(push.body).seq), [1, 2]);
  assert.match(pushes[0]!.headers["strandline-client"] as string, /^kitchen-/);
  assert.equal(pushes[1]!.headers["strandline-client"], pushes[0]!.headers["strandline-client"]);
});

test("tabs that replicate side by side push under names of their own", async () => {
  const a = await stage.deviceWith(["x"], { waitForLeadership: false });
  const b = await a.tab();
  try {
    await Promise.all([a.put("a", "from a"), b.put("b", "from b")]);
    await Promise.all([a.edit("x", "from a"), b.put("c", "from b")]);
    await a.equals(stage.server);
    await b.equals(stage.server);
    assert.deepEqual(await stage.titles(), { a: "from a", b: "from b", c: "from b", x: "from a" });
    assert.deepEqual([...a.conflicts, ...b.conflicts], []);
  } finally {
    await b.close();
  }
});

test("a record that is larger than any request may be does not hold up the rest", async () => {
  const a = await stage.deviceWith(["x"]);
  await a.replication.pause();
  await a.put("huge", "#".repeat(20 * 1024 * 1024));
  await a.put("y", "small");
  await a.replication.start();
  await a.equals(stage.server);
  assert.deepEqual(await stage.titles(), { x: "x", y: "small" });
  assert.deepEqual(a.conflicts.map(({ id, problem }) => [id, problem?.code]), [["huge", "too_large"]]);
});
