import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { OfflineSpace, type Status } from "../../src/index.ts";
import { FaultProxy, isAny, isEvents, isPull, isPush } from "../bench/proxy.ts";
import { Server } from "../bench/server.ts";

let server: Server;
let proxy: FaultProxy;
let spaces = 0;
let open: OfflineSpace[] = [];
before(async () => {
  server = await Server.start();
  proxy = await FaultProxy.start(server);
});
after(async () => {
  await proxy.close();
  await server.close();
});
afterEach(async () => {
  await Promise.all(open.map((space) => space.close()));
  open = [];
  proxy.calm();
  proxy.forget();
});

const newSpace = () => `live-${spaces++}`;

async function device(space: string, database = `${space}-${open.length}`): Promise<OfflineSpace> {
  const made = await OfflineSpace.open({ url: proxy.url, space, database });
  open.push(made);
  return made;
}

/** Waits for what is bound to happen. */
async function until(what: string, happens: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end; ) {
    if (await happens()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`waited in vain: ${what}`);
}

const title = async (space: OfflineSpace, id: string) => (await space.get("todos", id))?.data["title"];

test("two devices that are live see what the other does", async () => {
  const name = newSpace();
  const [laptop, phone] = [await device(name), await device(name)];
  await laptop.put("todos", "a", { title: "milk" });
  laptop.start();
  await until("the laptop has made the space", () => laptop.status.live && laptop.status.pending === 0);
  phone.start();
  await until("the phone has it", async () => (await title(phone, "a")) === "milk");
  await phone.put("todos", "a", { title: "oat milk" });
  await until("the laptop has the phone's edit", async () => (await title(laptop, "a")) === "oat milk");
  await laptop.delete("todos", "a");
  await until("it is gone on the phone", async () => (await phone.list("todos")).length === 0);
  assert.equal(laptop.status.outcome, "ok");
});

test("offline is noticed, edits wait, and it goes on by itself", async () => {
  const name = newSpace();
  await server.put(name, "todos", "a", { title: "milk" });
  const space = await device(name);
  space.start();
  await until("it is live", () => space.status.live);
  proxy.offline = true;
  await until("it has noticed", () => !space.status.live && space.status.outcome === "unavailable");
  await space.put("todos", "a", { title: "oat milk" });
  assert.equal(space.status.pending, 1);
  assert.equal(await title(space, "a"), "oat milk");
  await server.put(name, "todos", "b", { title: "bread" });
  proxy.offline = false;
  await until("it is back", async () => space.status.pending === 0 && (await title(space, "b")) === "bread");
});

test("tabs tell each other, and the edits of one are pushed by the one that listens", async () => {
  const name = newSpace();
  const [first, second] = [await device(name, name), await device(name, name)];
  const heard: string[] = [];
  second.subscribe(({ changed }) => heard.push(...changed.map(({ id }) => id)));
  first.start();
  await first.put("todos", "a", { title: "milk" });
  await until("the other tab has heard", () => heard.includes("a"));
  assert.equal(await title(second, "a"), "milk");
  await second.put("todos", "b", { title: "bread" });
  await until("the first tab pushes what the second has edited", () => second.status.pending === 0);
  assert.deepEqual([...(await server.records(name, "todos")).keys()].sort(), ["a", "b"]);
  const statuses: Status[] = [];
  second.subscribe(({ status }) => statuses.push(status));
  await server.put(name, "todos", "c", {});
  await until("the other tab knows how it went", () => statuses.some(({ outcome, syncing }) => outcome === "ok" && !syncing));
});

test("two tabs that sync at once without locks are both right", async () => {
  const name = newSpace();
  const [first, second] = [await device(name, name), await device(name, name)];
  await first.put("todos", "a", { title: "milk" });
  const held = proxy.holdAnswer(isPush);
  const slow = first.sync();
  await held.arrived;
  const fast = await second.sync();
  assert.equal(fast.outcome, "ok");
  held.release();
  assert.equal((await slow).outcome, "ok");
  assert.deepEqual([...(await server.records(name, "todos"))], [["a", { title: "milk" }]]);
  assert.deepEqual((await first.list("todos")).map(({ id, pending }) => [id, pending]), [["a", false]]);
  assert.equal((await first.conflicts()).length, 0);
});

test("a busy server is left alone for as long as it says", async () => {
  const name = newSpace();
  const space = await device(name);
  proxy.unavailable(isAny, 1);
  const begun = Date.now();
  assert.equal((await space.sync()).outcome, "ok");
  assert.ok(Date.now() - begun >= 1000);
  proxy.unavailable(isAny, 3600);
  const { outcome } = await space.sync();
  assert.equal(outcome, "unavailable", "an hour is not waited out");
});

test("without the right to, live updates end, and can be started again", async () => {
  const name = newSpace();
  const space = await device(name);
  proxy.answer(isPull, 401);
  space.start();
  await until("it has given up", () => space.status.outcome === "denied");
  const asked = proxy.requests.length;
  await space.put("todos", "a", {});
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(proxy.requests.length, asked);
  space.start();
  await until("it is pushed", () => space.status.pending === 0);
});

test("a space that is full does not end live updates: it is told, and tried again", async () => {
  const name = newSpace();
  await server.put(name, "todos", "a", { title: "milk" });
  await server.bound(name, 1);
  const space = await device(name);
  await space.put("todos", "b", { title: "bread" });
  space.start();
  await until("it has been refused", () => space.status.outcome === "refused");
  assert.equal((space.status.trouble as { code?: string } | null)?.code ?? "quota_exceeded", "quota_exceeded");
  assert.equal(await title(space, "a"), "milk");
  assert.equal(space.status.pending, 1);
  await server.bound(name, 2);
  await until("it is pushed", () => space.status.pending === 0);
});

test("a feed that breaks is opened again, and a resync on it is a repair", async () => {
  const name = newSpace();
  await server.put(name, "todos", "a", {});
  const space = await device(name);
  space.start();
  await until("it is live", () => space.status.live);
  await server.delete(name, "todos", "a");
  await until("it is gone", async () => (await space.list("todos")).length === 0);
  proxy.offline = true;
  await server.put(name, "todos", "b", { title: "bread" });
  await server.delete(name, "todos", "b");
  await server.put(name, "todos", "c", { title: "cheese" });
  await server.purge(name);
  proxy.offline = false;
  await until("it has repaired itself", async () => (await title(space, "c")) === "cheese");
  await until("it is live again", () => space.status.live);
  assert.ok(proxy.requests.filter(isEvents).length >= 2);
});

test("stop ends everything, in the middle of whatever it is", async () => {
  const space = await device(newSpace());
  const held = proxy.holdRequest(isPull);
  space.start();
  await held.arrived;
  await space.stop();
  held.release();
  assert.equal(space.status.live, false);
});

test("verify finds a damaged copy, and repairs it if asked", async () => {
  const name = newSpace();
  await server.put(name, "todos", "a", { title: "milk" });
  await server.put(name, "todos", "b", { title: "bread" });
  const space = await device(name, name);
  await space.sync();
  assert.equal((await space.verify()).right, true);
  const database = await new Promise<IDBDatabase>((resolve) => {
    const request = indexedDB.open(name);
    request.onsuccess = () => resolve(request.result);
  });
  await new Promise((resolve) => {
    const transaction = database.transaction("records", "readwrite");
    transaction.objectStore("records").delete(["todos", "a"]);
    transaction.oncomplete = resolve;
  });
  database.close();
  const found = await space.verify();
  assert.deepEqual([found.right, found.report.outcome], [false, "wrong"]);
  const repaired = await space.verify({ repair: true });
  assert.deepEqual([repaired.right, repaired.report.outcome, repaired.report.repairs], [false, "ok", 1]);
  assert.equal(await title(space, "a"), "milk");
  assert.equal((await space.verify()).right, true);
});

test("what the server would refuse is refused here", async () => {
  const space = await device(newSpace());
  for (const id of ["", "a\u0007", "\ud800", "ü".repeat(129)]) await assert.rejects(space.put("todos", id, {}), TypeError);
  for (const data of [[], null, 7, "text"]) await assert.rejects(space.put("todos", "a", data as object), TypeError);
  await assert.rejects(space.put("No Collection", "a", {}), TypeError);
  await space.put("todos", "ü".repeat(128), { left: undefined, date: new Date(0) });
  assert.deepEqual((await space.list("todos"))[0]?.data, { date: "1970-01-01T00:00:00.000Z" });
});

test("a copy keeps to its choice of collections", async () => {
  const name = newSpace();
  await server.put(name, "others", "x", {});
  await server.put(name, "todos", "a", {});
  const options = { url: proxy.url, space: name, database: name };
  const space = await OfflineSpace.open({ ...options, collections: ["todos"] });
  open.push(space);
  assert.equal((await space.sync()).outcome, "ok");
  assert.equal((await space.list("others")).length, 0);
  await assert.rejects(space.put("others", "y", {}), TypeError);
  await assert.rejects(OfflineSpace.open(options), TypeError);
});

test("a copy that is deleted while it is open is not made anew under its old name", async () => {
  const name = newSpace();
  const space = await device(name, name);
  await space.put("todos", "a", {});
  await new Promise((resolve) => (indexedDB.deleteDatabase(name).onsuccess = resolve));
  await assert.rejects(space.put("todos", "b", {}));
  const anew = await device(name, name);
  assert.deepEqual(await anew.list("todos"), []);
});
