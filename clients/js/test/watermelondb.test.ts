/** WatermelonDB against the real server: what must hold whatever the network and the users do. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { NetworkError, PushRefused, StrandlineClient, StrandlineError } from "../src/index.ts";
import { isPull, isPush } from "./bench/proxy.ts";
import { strandlineSync } from "../src/watermelondb/index.ts";
import { assertSettled, bench, given, todos } from "./watermelondb/bench.ts";
import { Device, OLD_SCHEMA } from "./watermelondb/device.ts";

const pushes = () => bench.proxy.requests.filter(isPush);
const bodies = () => pushes().map(({ body }) => JSON.parse(body));

test("created, updated and deleted rows go both ways", async () => {
  const [a, b] = (await given(2)) as [Device, Device];
  await a.create("1", { title: "milk", note: null });
  await a.create("2", { title: "bread" });
  await a.create("t", { label: "food" }, "tags");
  assert.deepEqual(await a.sync(), { pulled: 0, pushed: 3, full: false, conflicts: [], rejected: [] });
  assert.equal((await b.sync()).full, true);
  await assertSettled(a, b);

  await b.edit("1", { note: "oat" });
  await b.delete("2");
  assert.equal((await b.sync()).pushed, 2);
  await a.sync();
  await assertSettled(a, b);
  assert.deepEqual(await todos(a), { 1: "milk" });
});

test("an edited row is pushed as a patch of the edited columns, with the pull's revision as its base", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "1", { title: "milk", unknown: { deep: true } });
  await a.sync();
  await a.edit("1", { note: "oat" });
  await a.sync();
  const [{ changes, cursor, collections, seq, atomic }] = bodies();
  assert.deepEqual(changes, [{ collection: "todos", id: "1", base_rev: 1, patch: { note: "oat" } }]);
  assert.match(cursor, /^\w+\.1~\w+$/);
  assert.deepEqual([collections, seq, atomic], [["tags", "todos"], 1, true]);
  assert.deepEqual((await bench.server.records(bench.space, "todos")).get("1"), { title: "milk", unknown: { deep: true }, note: "oat" });
});

test("an edit after an own push is no conflict with it", async () => {
  const [a] = (await given(1)) as [Device];
  await a.create("1", { title: "one" });
  await a.sync();
  await a.edit("1", { title: "two" });
  await a.sync();
  await a.edit("1", { title: "three" });
  await a.sync();
  await assertSettled(a);
  assert.deepEqual(await todos(a), { 1: "three" });
  assert.deepEqual(a.conflicts, []);
});

for (const others of [false, true]) {
  test(`a row that is edited while its push is on its way is pushed again, as an update${others ? ", also if others write" : ""}`, async () => {
    const [a] = (await given(1)) as [Device];
    await bench.server.put(bench.space, "todos", "0", { title: "zero" });
    await a.sync();
    await a.create("1", { title: "one" });
    const held = bench.proxy.holdAnswer(isPush);
    const sync = a.sync();
    await held.arrived;
    await a.edit("1", { title: "two" });
    held.release();
    await sync;
    if (others) await bench.server.put(bench.space, "todos", "0", { title: "theirs" });
    await a.sync();
    await assertSettled(a);
    assert.deepEqual(pushes().map(({ status }) => status), [200, 200]);
    assert.equal((await todos(a))["1"], "two");
    assert.deepEqual(a.conflicts, []);
  });
}

test("the server wins, and the edit that this costs is listed", async () => {
  const [a, b] = (await given(2)) as [Device, Device];
  await a.create("1", { title: "milk", note: "cold" });
  await a.sync();
  await b.sync();
  await a.edit("1", { title: "from a" });
  await b.edit("1", { title: "from b", note: "warm" });
  await a.sync();
  const { conflicts } = await b.sync();
  assert.deepEqual(conflicts, [
    { table: "todos", id: "1", mine: { title: "from b", note: "warm" }, theirs: { title: "from a", note: "cold" } },
  ]);
  assert.deepEqual(b.conflicts, conflicts);
  await assertSettled(a, b);
});

test("without a callback, a conflict waits for a sync that ends well", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "1", { title: "one" });
  const sync = () => strandlineSync({ database: a.database, url: bench.proxy.url, space: bench.space });
  await sync();
  await a.edit("1", { title: "mine" });
  await a.create("2", { title: "two" });
  await bench.server.put(bench.space, "todos", "1", { title: "theirs" });
  bench.proxy.reset(isPush);
  await assert.rejects(sync(), NetworkError);
  await a.restart();
  assert.deepEqual((await sync()).conflicts.map(({ mine }) => mine), [{ title: "mine" }]);
  assert.deepEqual((await sync()).conflicts, []);
});

test("a callback that throws is told again", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "1", { title: "one" });
  await a.sync();
  await a.edit("1", { title: "mine" });
  await bench.server.put(bench.space, "todos", "1", { title: "theirs" });
  await assert.rejects(a.sync({ onConflict: () => Promise.reject(new Error("not now")) }), /not now/);
  await a.sync();
  assert.deepEqual(a.conflicts.map(({ mine }) => mine), [{ title: "mine" }]);
});

test("the same edit on both sides is no conflict", async () => {
  const [a, b] = (await given(2)) as [Device, Device];
  await a.create("1", { title: "milk" });
  await a.sync();
  await b.sync();
  await a.edit("1", { title: "same" });
  await b.edit("1", { title: "same" });
  await a.sync();
  await b.sync();
  await assertSettled(a, b);
  assert.deepEqual(b.conflicts, []);
});

test("a local deletion loses against an edit that its user had not seen", async () => {
  const [a, b] = (await given(2)) as [Device, Device];
  await a.create("1", { title: "milk" });
  await a.sync();
  await b.sync();
  await a.edit("1", { title: "edited" });
  await b.delete("1");
  await a.sync();
  await b.sync();
  assert.deepEqual(b.conflicts, [{ table: "todos", id: "1", mine: null, theirs: { title: "edited", note: null } }]);
  await assertSettled(a, b);
  assert.deepEqual(await todos(b), { 1: "edited" });
});

test("an edit loses against a deletion, and is listed", async () => {
  const [a, b] = (await given(2)) as [Device, Device];
  await a.create("1", { title: "milk" });
  await a.sync();
  await b.sync();
  await a.delete("1");
  await b.edit("1", { title: "edited" });
  await a.sync();
  await b.sync();
  assert.deepEqual(b.conflicts, [{ table: "todos", id: "1", mine: { title: "edited" }, theirs: null }]);
  await assertSettled(a, b);
});

test("a push that was refused is tried again after the pull", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "1", { title: "milk" });
  await a.sync();
  await a.edit("1", { title: "mine" });
  await a.create("2", { title: "bread" });
  const held = bench.proxy.holdRequest(isPush);
  const sync = a.sync();
  await held.arrived;
  await bench.server.put(bench.space, "todos", "1", { title: "theirs" });
  held.release();
  await sync;
  assert.deepEqual(pushes().map(({ status }) => status), [409, 200]);
  assert.deepEqual(a.conflicts, [{ table: "todos", id: "1", mine: { title: "mine" }, theirs: { title: "theirs", note: null } }]);
  await assertSettled(a);
});

test("a deletion is refused where others have edited the row since the pull", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "1", { title: "one" });
  await a.sync();
  await a.delete("1");
  const held = bench.proxy.holdRequest(isPush);
  const sync = a.sync();
  await held.arrived;
  await bench.server.put(bench.space, "todos", "1", { title: "theirs" });
  held.release();
  await sync;
  assert.deepEqual(a.conflicts, [{ table: "todos", id: "1", mine: null, theirs: { title: "theirs", note: null } }]);
  await assertSettled(a);
});

test("a push that is refused every time ends with the server's word", async () => {
  const [a] = (await given(1)) as [Device];
  await a.create("1", { title: "mine" });
  const refusal = JSON.stringify({ code: "push_refused", title: "", status: 409, results: [] });
  for (let at = 0; at < 6; at++) bench.proxy.answer(isPush, 409, {}, refusal);
  await assert.rejects(a.sync(), PushRefused);
  assert.equal(pushes().length, 6);
  await a.sync();
  await assertSettled(a);
});

test("an id that the server has under an old revision is settled by its word on the push", async () => {
  const [a] = (await given(1)) as [Device];
  for (const id of ["1", "2"]) await bench.server.put(bench.space, "todos", id, { title: "theirs" });
  await a.sync();
  await a.delete("2");
  await a.database.write(async () => (await a.database.get("todos").find("1")).destroyPermanently());
  await a.create("1", { title: "mine" });
  await a.sync();
  assert.deepEqual(a.conflicts, [{ table: "todos", id: "1", mine: { title: "mine" }, theirs: { title: "theirs", note: null } }]);
  await assertSettled(a);
});

test("a new row under an id that was deleted elsewhere meanwhile is a new record", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "0", { title: "zero" });
  await a.sync();
  await bench.server.put(bench.space, "todos", "settings", { title: "first" });
  await bench.server.delete(bench.space, "todos", "settings");
  await a.create("settings", { title: "second" });
  await a.sync();
  await assertSettled(a);
  assert.deepEqual(await todos(a), { 0: "zero", settings: "second" });
  assert.deepEqual(a.conflicts, []);
});

test("a new row under an id that another device was faster to take loses, and is listed", async () => {
  const [a, b] = (await given(2)) as [Device, Device];
  await a.create("settings", { title: "first" });
  await b.create("settings", { title: "second", note: "mine" });
  await a.sync();
  await b.sync();
  assert.deepEqual(b.conflicts, [
    { table: "todos", id: "settings", mine: { title: "second", note: "mine" }, theirs: { title: "first", note: null } },
  ]);
  await assertSettled(a, b);
});

test("an edit of what was pushed since the last pull is judged by what others did to it then", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "1", { title: "one" });
  await a.sync();
  await a.edit("1", { title: "two" });
  await a.sync();
  await a.edit("1", { title: "three" });
  await bench.server.put(bench.space, "todos", "1", { title: "theirs" });
  await a.sync();
  assert.deepEqual(a.conflicts, [{ table: "todos", id: "1", mine: { title: "three" }, theirs: { title: "theirs", note: null } }]);
  await assertSettled(a);
});

test("a deletion of what was pushed since the last pull goes through, unless others have edited it then", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "0", { title: "zero" });
  await a.sync();
  for (const id of ["1", "2"]) await a.create(id, { title: id });
  const held = bench.proxy.holdRequest(isPush);
  const sync = a.sync();
  await held.arrived;
  // In between: the answer's cursor is one under way, and own pushes come back.
  await bench.server.put(bench.space, "todos", "3", { title: "three" });
  held.release();
  await sync;
  for (const id of ["1", "2"]) await a.delete(id);
  await bench.server.put(bench.space, "todos", "2", { title: "theirs" });
  await a.sync();
  assert.deepEqual(a.conflicts, [{ table: "todos", id: "2", mine: null, theirs: { title: "theirs", note: null } }]);
  await assertSettled(a);
  assert.deepEqual(await todos(a), { 0: "zero", 2: "theirs", 3: "three" });
});

test("what was pushed since the last pull and lost by a restore is lost here too", async () => {
  // Only edits: a row too many would be noticed by its number.
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "1", { title: "one" });
  await a.sync();
  const backup = await bench.server.backup();
  await a.edit("1", { title: "lost" });
  await a.sync();
  await bench.server.restore(backup);
  await a.sync();
  await assertSettled(a);
  assert.deepEqual(await todos(a), { 1: "one" });
});

test("history that breaks between two pushes of one outbox is noticed by the second", async () => {
  const [a] = (await given(1)) as [Device];
  for (const id of ["1", "2"]) await bench.server.put(bench.space, "todos", id, { title: "old" });
  await a.sync();
  const backup = await bench.server.backup();
  for (const id of ["1", "2"]) await a.edit(id, { title: "new" });
  const held = bench.proxy.holdAnswer(isPush);
  const sync = a.sync({ pushLimits: { changes: 1, bytes: 1000 } });
  await held.arrived;
  await bench.server.restore(backup);
  held.release();
  await sync;
  await a.sync();
  await assertSettled(a);
  assert.deepEqual(Object.values(await todos(a)).sort(), ["new", "old"]);
});

test("pages are looped over, and a record that moves between them counts once", async () => {
  const [a] = (await given(1)) as [Device];
  for (let at = 0; at < 7; at++) await bench.server.put(bench.space, "todos", `${at}`, { title: `${at}` });
  const held = bench.proxy.holdAnswer(isPull);
  const sync = a.sync({ pageSize: 2 });
  await held.arrived;
  await bench.server.put(bench.space, "todos", "0", { title: "moved" });
  await bench.server.delete(bench.space, "todos", "1");
  held.release();
  await sync;
  await assertSettled(a);
  assert.ok(bench.proxy.requests.filter(isPull).length >= 4);
});

test("offline nothing changes, and everything is pushed once the network is back", async () => {
  const [a, b] = (await given(2)) as [Device, Device];
  await a.create("1", { title: "milk" });
  await a.sync();
  bench.proxy.offline = true;
  await a.edit("1", { title: "offline" });
  await a.create("2", { title: "bread" });
  await assert.rejects(a.sync(), NetworkError);
  assert.deepEqual((await a.unpushed()).sort(), ["1", "2"]);
  await a.restart();
  bench.proxy.offline = false;
  await a.sync();
  await b.sync();
  await assertSettled(a, b);
});

for (const status of [401, 403, 429, 503]) {
  test(`${status} comes out as it is and changes nothing, in a pull and in a push`, async () => {
    const [a] = (await given(1)) as [Device];
    await a.create("1", { title: "milk" });
    await a.sync();
    await a.edit("1", { title: "edited" });
    const rejects = () => assert.rejects(a.sync(), (error) => error instanceof StrandlineError && error.status === status);
    for (const match of [isPull, isPush]) {
      bench.proxy.answer(match, status);
      await rejects();
      assert.deepEqual(await a.unpushed(), ["1"]);
    }
    await a.sync();
    await assertSettled(a);
    assert.deepEqual(a.conflicts, []);
  });
}

test("an answer that was lost, with the row edited since: applied once, and no conflict", async () => {
  const [a, b] = (await given(2)) as [Device, Device];
  await a.create("1", { title: "one" });
  bench.proxy.dropAnswer(isPush);
  await assert.rejects(a.sync(), NetworkError);
  await a.edit("1", { title: "two" });
  await a.restart();
  await a.sync();
  await b.sync();
  await assertSettled(a, b);
  assert.deepEqual(await todos(b), { 1: "two" });
  assert.deepEqual(a.conflicts, []);
  const [first, again] = bodies();
  assert.deepEqual(again, first);
});

test("an insert whose answer was lost does not rise again after it was deleted and purged", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "0", { title: "there" });
  await a.create("1", { title: "one" });
  bench.proxy.dropAnswer(isPush);
  await assert.rejects(a.sync(), NetworkError);
  await bench.server.delete(bench.space, "todos", "1");
  await bench.server.purge(bench.space);
  assert.equal((await a.sync()).full, true);
  await assertSettled(a);
  assert.deepEqual(await todos(a), { 0: "there" });
});

test("the same, with history broken in between", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "0", { title: "there" });
  await a.sync();
  await bench.server.put(bench.space, "todos", "2", { title: "there too" });
  await a.create("1", { title: "one" });
  bench.proxy.dropAnswer(isPush);
  await assert.rejects(a.sync(), NetworkError);
  await bench.server.delete(bench.space, "todos", "1");
  await bench.server.purge(bench.space);
  const backup = await bench.server.backup();
  await bench.server.put(bench.space, "todos", "3", { title: "lost" });
  await bench.server.restore(backup);
  await a.sync();
  await assertSettled(a);
  assert.deepEqual(await todos(a), { 0: "there", 2: "there too" });
});

test("an insert whose answer was lost, deleted and purged, does not rise again though its cursor is void", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "0", { title: "zero" });
  await a.sync();
  for (const id of ["1", "2"]) await a.create(id, { title: id });
  const held = bench.proxy.holdRequest(isPush);
  const sync = a.sync({ pushLimits: { changes: 1, bytes: 1000 } });
  await held.arrived;
  // In between, so that the second push goes on from a cursor under way, which no restore leaves good.
  await bench.server.put(bench.space, "todos", "3", { title: "three" });
  const second = bench.proxy.holdRequest(isPush);
  held.release();
  await second.arrived;
  bench.proxy.offline = true;
  second.release();
  await assert.rejects(sync, NetworkError);
  bench.proxy.offline = false;
  const { changes } = bodies()[1];
  const client = new StrandlineClient({ url: bench.server.url, space: bench.space, name: pushes()[1]?.headers["strandline-client"] as string });
  await client.push(bodies()[1]);
  await bench.server.delete(bench.space, "todos", changes[0].id);
  await bench.server.purge(bench.space);
  await bench.server.restore(await bench.server.backup());
  await a.sync();
  await assertSettled(a);
  assert.deepEqual((await a.rows()).has(changes[0].id), false);
});

test("a push that was never carried out keeps its rows though history broke", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "0", { title: "zero" });
  const backup = await bench.server.backup();
  await bench.server.put(bench.space, "todos", "1", { title: "lost" });
  await a.create("2", { title: "two" });
  bench.proxy.reset(isPush);
  await assert.rejects(a.sync(), NetworkError);
  await bench.server.restore(backup);
  await a.sync();
  await assertSettled(a);
  assert.deepEqual(await todos(a), { 0: "zero", 2: "two" });
});

test("a push that was never carried out is sent as it was", async () => {
  const [a, b] = (await given(2)) as [Device, Device];
  await a.create("1", { title: "one" });
  bench.proxy.reset(isPush);
  await assert.rejects(a.sync(), NetworkError);
  await a.edit("1", { title: "two" });
  await a.sync();
  await b.sync();
  await assertSettled(a, b);
  assert.deepEqual(a.conflicts, []);
});

test("a device that was restored from its backup takes another name, and loses nothing", async () => {
  const [a] = (await given(1)) as [Device];
  await a.create("1", { title: "one" });
  await a.sync();
  const twin = await Device.start({ url: bench.proxy.url, space: bench.space }, { disk: a.disk });
  await a.create("2", { title: "of a" });
  await a.sync();
  await twin.create("3", { title: "of its twin" });
  await twin.sync();
  await a.sync();
  await assertSettled(a, twin);
  assert.equal(new Set(pushes().map(({ headers }) => headers["strandline-client"])).size, 2);
});

test("behind the horizon: ghosts go, their edits are listed, new rows stay", async () => {
  const [a] = (await given(1)) as [Device];
  for (const id of ["plain", "edited", "deleted", "stays", "both"]) await bench.server.put(bench.space, "todos", id, { title: id });
  await bench.server.put(bench.space, "tags", "tag", { label: "the table's only row" });
  await a.sync();
  for (const id of ["plain", "edited", "deleted"]) await bench.server.delete(bench.space, "todos", id);
  await bench.server.delete(bench.space, "tags", "tag");
  await bench.server.put(bench.space, "todos", "both", { title: "theirs" });
  await bench.server.purge(bench.space);
  await a.edit("edited", { title: "mine" });
  await a.edit("both", { title: "mine" });
  await a.edit("stays", { title: "kept" });
  await a.delete("deleted");
  await a.create("new", { title: "new" });
  bench.proxy.forget();
  const result = await a.sync({ pageSize: 2 });
  assert.equal(result.full, true);
  assert.deepEqual(a.conflicts, [
    { table: "todos", id: "both", mine: { title: "mine" }, theirs: { title: "theirs", note: null } },
    { table: "todos", id: "edited", mine: { title: "mine" }, theirs: null },
  ]);
  assert.deepEqual(await todos(a), { stays: "kept", both: "theirs", new: "new" });
  assert.deepEqual(bodies().flatMap(({ changes }) => changes.map(({ id }: { id: string }) => id)).sort(), ["new", "stays"]);
  await assertSettled(a);
});

test("a deletion that its user made of a version still in force goes through behind the horizon", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "1", { title: "one" });
  await bench.server.put(bench.space, "todos", "2", { title: "two" });
  await a.sync();
  await bench.server.delete(bench.space, "todos", "2");
  await bench.server.purge(bench.space);
  await a.delete("1");
  await a.sync();
  await assertSettled(a);
  assert.deepEqual(await todos(a), {});
  assert.deepEqual(a.conflicts, []);
});

test("a quiet collection's client does not resync for deletions in others", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "1", { title: "quiet" });
  await a.sync({ tables: ["todos"] });
  await bench.server.put(bench.space, "loud", "x", {});
  await bench.server.delete(bench.space, "loud", "x");
  await bench.server.purge(bench.space);
  assert.equal((await a.sync({ tables: ["todos"] })).full, false);
});

test("only the tables that take part are pulled and pushed, and the others stay marked", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "labels", "t", { label: "food" });
  await a.create("1", { title: "stays here" });
  await a.create("t2", { label: "drinks" }, "tags");
  await a.sync({ tables: { tags: "labels" } });
  assert.deepEqual([...(await bench.server.records(bench.space, "labels")).keys()].sort(), ["t", "t2"]);
  assert.deepEqual([...(await a.rows("tags")).keys()].sort(), ["t", "t2"]);
  assert.deepEqual(await a.unpushed(), ["1"]);
  await a.sync();
  assert.deepEqual([...(await bench.server.records(bench.space, "todos")).keys()], ["1"]);
});

test("a restored server: what it lost goes here too, unpushed edits stay or are listed", async () => {
  const [a, b] = (await given(2)) as [Device, Device];
  await a.create("1", { title: "one" });
  await a.create("2", { title: "two" });
  await a.create("4", { title: "four" });
  await a.sync();
  await b.sync();
  const backup = await bench.server.backup();
  await a.create("3", { title: "lost" });
  await a.edit("2", { title: "lost too" });
  await a.sync();
  await b.sync();
  await bench.server.restore(backup);
  await b.edit("1", { title: "kept" });
  await b.edit("2", { note: "based on what was lost" });
  await b.edit("3", { title: "edit of a ghost" });
  await b.create("5", { title: "new" });
  await b.delete("4");
  await b.sync();
  await a.sync();
  await assertSettled(a, b);
  assert.deepEqual(await todos(a), { 1: "kept", 2: "two", 5: "new" });
  assert.deepEqual(b.conflicts, [
    { table: "todos", id: "2", mine: { note: "based on what was lost" }, theirs: { title: "two", note: null } },
    { table: "todos", id: "3", mine: { title: "edit of a ghost" }, theirs: null },
  ]);
});

for (const choice of [undefined, ["todos"]]) {
  test(`what others wrote after a restore is news, though its revision is not${choice ? ", also if nobody said 410" : ""}`, async () => {
    const [a] = (await given(1)) as [Device];
    for (const id of ["1", "2"]) await bench.server.put(bench.space, "todos", id, { title: "old" });
    const backup = await bench.server.backup();
    for (const title of ["lost", "old"]) await bench.server.put(bench.space, "todos", "1", { title });
    await bench.server.put(bench.space, "todos", "2", { title: "lost" });
    await a.sync();
    await bench.server.restore(backup);
    await bench.server.put(bench.space, "todos", "1", { title: "theirs" });
    await a.edit("1", { title: "mine" });
    await a.sync(choice && { tables: choice });
    assert.deepEqual(a.conflicts, [{ table: "todos", id: "1", mine: { title: "mine" }, theirs: { title: "theirs", note: null } }]);
    await assertSettled(a);
  });
}

test("a version of the app that knows fewer columns erases none, and its update brings them", async () => {
  const [a] = (await given(1)) as [Device];
  const old = await Device.start({ url: bench.proxy.url, space: bench.space }, { schema: OLD_SCHEMA });
  await a.create("1", { title: "milk", note: "oat" });
  await a.sync();
  await old.sync();
  await old.edit("1", { title: "edited by the old" });
  await old.sync();
  await a.sync();
  await assertSettled(a);
  assert.deepEqual((await a.rows()).get("1"), { title: "edited by the old", note: "oat" });

  await old.edit("1", { title: "edited before the update" });
  await old.restart();
  assert.equal((await old.sync()).full, true);
  await a.sync();
  await assertSettled(a, old);
  assert.deepEqual((await old.rows()).get("1"), { title: "edited before the update", note: "oat" });
  assert.deepEqual(old.conflicts, []);
});

test("a row that is too large blocks no other, is told once, and goes through when it has shrunk", async () => {
  const [a, b] = (await given(2)) as [Device, Device];
  await a.create("big", { title: "x".repeat(1 << 20) });
  await a.create("2", { title: "bread" });
  const pushLimits = { changes: 10, bytes: 4 << 20 };
  assert.equal((await a.sync({ pushLimits })).pushed, 1);
  await a.sync({ pushLimits });
  assert.deepEqual(a.rejected.map(({ id, problem }) => [id, problem.code]), [["big", "too_large"]]);
  assert.deepEqual(await a.unpushed(), ["big"]);
  assert.deepEqual([...(await bench.server.records(bench.space, "todos")).keys()], ["2"]);
  await a.edit("big", { title: "small" });
  await a.sync();
  await b.sync();
  await assertSettled(a, b);
});

test("a space that is full takes what makes room, and the rest of the outbox waits", async () => {
  const [a, b] = (await given(2)) as [Device, Device];
  for (const id of ["1", "2", "3"]) await a.create(id, { title: id });
  await a.sync();
  await bench.server.bound(bench.space, 3);
  for (const id of ["4", "5"]) await a.create(id, { title: id });
  await bench.server.put(bench.space, "todos", "1", { title: "from there" });
  const full = (error: unknown) => error instanceof StrandlineError && error.code === "quota_exceeded";
  await assert.rejects(a.sync(), full);
  assert.equal((await todos(a))["1"], "from there");
  assert.deepEqual(await a.unpushed(), ["4", "5"]);

  // Deletions go through, also those that lie in another push than what is refused.
  for (const id of ["2", "3"]) await a.delete(id);
  await assert.rejects(a.sync({ pushLimits: { changes: 1, bytes: 1 << 20 } }), full);
  assert.deepEqual([...(await bench.server.records(bench.space, "todos")).keys()], ["1"]);
  assert.equal((await a.sync()).pushed, 2);
  await b.sync();
  await assertSettled(a, b);
  assert.deepEqual([a.conflicts, a.rejected], [[], []]);
});

test("a push without an answer that finds its space full was not carried out", async () => {
  const [a] = (await given(1)) as [Device];
  await a.create("1", { title: "one" });
  await a.sync();
  await a.create("2", { title: "two" });
  bench.proxy.reset(isPush);
  await assert.rejects(a.sync(), NetworkError);
  await bench.server.bound(bench.space, 1);
  await bench.server.put(bench.space, "todos", "1", { title: "from there" });
  await assert.rejects(a.sync(), StrandlineError);
  assert.equal((await todos(a))["1"], "from there");
  await bench.server.bound(bench.space, 2);
  await a.sync();
  await assertSettled(a);
});

test("a row that makes the whole push malformed blocks no other", async () => {
  const [a] = (await given(1)) as [Device];
  for (const id of ["1", "a\u0007b", "3", "4"]) await a.create(id, { title: id });
  await a.sync();
  assert.deepEqual(a.rejected.map(({ id, problem }) => [id, problem.code]), [["a\u0007b", "invalid_request"]]);
  assert.deepEqual([...(await bench.server.records(bench.space, "todos")).keys()].sort(), ["1", "3", "4"]);
});

test("a large outbox goes in several pushes, and a lost answer in their midst doubles nothing", async () => {
  const [a, b] = (await given(2)) as [Device, Device];
  for (let at = 0; at < 10; at++) await a.create(`${at}`, { title: `${at}` });
  const pushLimits = { changes: 3, bytes: 1 << 20 };
  bench.proxy.answer(isPush, 503);
  await assert.rejects(a.sync({ pushLimits }), StrandlineError);
  const held = bench.proxy.holdAnswer(isPush);
  const sync = a.sync({ pushLimits });
  await held.arrived;
  bench.proxy.dropAnswer(isPush);
  held.release();
  await assert.rejects(sync, NetworkError);
  await a.edit("0", { title: "edited" });
  await a.edit("4", { title: "edited" });
  await a.sync({ pushLimits });
  await b.sync();
  await assertSettled(a, b);
  assert.deepEqual(a.conflicts, []);
});

test("concurrent calls share one run, which does not end before their edits are pushed", async () => {
  const [a] = (await given(1)) as [Device];
  await a.create("1", { title: "one" });
  const held = bench.proxy.holdAnswer(isPush);
  const first = a.sync();
  const second = a.sync();
  await held.arrived;
  await a.create("2", { title: "two" });
  const third = a.sync();
  held.release();
  assert.equal(await second, await first);
  assert.equal(await third, await first);
  assert.equal(pushes().length, 2);
  await a.sync();
  await assertSettled(a);
});

test("what others put into data that is no column of ours stays on the server", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.push(bench.space, { collection: "todos", id: "1", data: JSON.parse('{"title":7,"id":"x","_status":"created","_changed":"title","__proto__":{"a":1}}') });
  await a.sync();
  assert.deepEqual(await a.rows(), new Map([["1", { title: "", note: null }]]));
  assert.deepEqual(await a.unpushed(), []);
});

test("a database is the copy of one space", async () => {
  const [a] = (await given(1)) as [Device];
  await a.create("1", { title: "one" });
  await a.sync();
  await assert.rejects(a.sync({ space: "another" }), /reset it/);
  await a.database.write(() => a.database.unsafeResetDatabase());
  await a.sync({ space: "another" });
  assert.equal((await a.rows()).size, 0);
});

test("a space that is gone leaves the copy as it is", async () => {
  const [a] = (await given(1)) as [Device];
  await a.create("1", { title: "one" });
  await a.sync();
  await a.sync();
  await bench.server.call("DELETE", `/v1/spaces/${bench.space}`);
  for (const more of [{}, { tables: ["todos"] }]) {
    await assert.rejects(a.sync(more), (error) => error instanceof StrandlineError && error.code === "not_found");
  }
  assert.deepEqual(await todos(a), { 1: "one" });
});

test("a copy that lost a row notices, and mends itself", async () => {
  const [a] = (await given(1)) as [Device];
  for (const id of ["1", "2"]) await bench.server.put(bench.space, "todos", id, { title: id });
  await a.sync();
  await a.database.write(async () => (await a.database.get("todos").find("1")).destroyPermanently());
  assert.equal((await a.sync()).full, true);
  await assertSettled(a);
  assert.equal((await a.sync()).full, false);
});

test("a fetch whose answers do not stream will do, as React Native's", async () => {
  const [a] = (await given(1)) as [Device];
  const unstreamed = async (...call: Parameters<typeof fetch>) => {
    const response = await fetch(...call);
    const { ok, status, statusText, headers } = response;
    return { ok, status, statusText, headers, text: () => response.text() } as Response;
  };
  await bench.server.put(bench.space, "todos", "1", { title: "milk" });
  await a.create("2", { title: "bread" });
  await a.sync({ fetch: unstreamed });
  await a.sync({ fetch: unstreamed });
  await assertSettled(a);
  await bench.server.call("DELETE", `/v1/spaces/${bench.space}`);
  await assert.rejects(a.sync({ fetch: unstreamed }), (error) => error instanceof StrandlineError && error.code === "not_found");
});
