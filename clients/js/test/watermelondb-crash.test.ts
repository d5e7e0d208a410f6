/** A device that is switched off, or a user who writes, in the middle of a sync. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { assertSettled, bench, given, todos } from "./watermelondb/bench.ts";
import { Device } from "./watermelondb/device.ts";

const TIMESTAMP = "__watermelon_last_pulled_at";

/** Rows of each kind, edited on both sides. Returns what has to be listed in the end, by id. */
async function givenEdits(a: Device): Promise<string[]> {
  const { server, space } = bench;
  for (const id of ["same", "mine", "theirs", "both", "gone", "edited-gone", "deleted", "deleted-edited"]) await server.put(space, "todos", id, { title: id });
  await a.sync();
  await a.create("new", { title: "new" });
  for (const id of ["mine", "both", "edited-gone"]) await a.edit(id, { title: `${id} of a` });
  for (const id of ["deleted", "deleted-edited"]) await a.delete(id);
  for (const id of ["theirs", "both", "deleted-edited"]) await server.put(space, "todos", id, { title: `${id} of others` });
  for (const id of ["gone", "edited-gone"]) await server.delete(space, "todos", id);
  return ["both", "deleted-edited", "edited-gone"];
}

const EXPECTED = {
  same: "same",
  mine: "mine of a",
  theirs: "theirs of others",
  both: "both of others",
  "deleted-edited": "deleted-edited of others",
  new: "new",
};

/** Syncs with the device switched off before its write number `n`; gives false if it had fewer. */
async function crashes(a: Device, n: number): Promise<boolean> {
  a.switchOffAfter(n);
  const ended = await a.sync().then(
    () => undefined,
    (error: unknown) => error,
  );
  const { isOff } = a;
  if (isOff) assert.ok(/switched off/.test(String(ended)), String(ended));
  else assert.equal(ended, undefined);
  await a.restart();
  return isOff;
}

const TROUBLES = {
  "a delta": async () => {},
  "a full pull behind the horizon": async () => bench.server.purge(bench.space),
  "a full pull after history broke": async () => {
    const backup = await bench.server.backup();
    await bench.server.put(bench.space, "todos", "lost", { title: "lost" });
    await bench.server.restore(backup);
  },
};

for (const [name, trouble] of Object.entries(TROUBLES)) {
  test(`switched off at each write in turn of a sync with ${name}: the next one ends right, and every lost edit is listed`, async () => {
    let writes = 0;
    for (let n = 0; ; n++) {
      const [a] = (await given(1)) as [Device];
      const listed = await givenEdits(a);
      await trouble();
      const crashed = await crashes(a, n);
      await a.sync();
      await assertSettled(a);
      assert.deepEqual(await todos(a), EXPECTED);
      assert.deepEqual([...new Set(a.conflicts.map(({ id }) => id))], listed, `switched off before write ${n}`);
      if (!crashed) break;
      writes = n + 1;
    }
    assert.ok(writes >= 8, `only ${writes} writes`);
  });
}

test("torn between epoch and revision: whichever number is left, its history is known", async () => {
  const { server } = bench;
  const [a] = (await given(1)) as [Device];
  for (let at = 0; at < 5; at++) await server.put(bench.space, "todos", `${at}`, { title: `${at}` });
  await a.sync();
  const backup = await server.backup();
  await server.put(bench.space, "todos", "lost", { title: "lost" });
  await a.sync();
  await server.restore(backup);
  // As far in the new history as the device was in the old one: its revision alone would say that it has everything.
  await server.put(bench.space, "todos", "after", { title: "after" });

  const writes: string[] = [];
  a.onWrite = (what) => void writes.push(what);
  const { disk } = a;
  await a.sync();
  a.onWrite = undefined;
  const order = writes.filter((what) => what === "strandline" || what === "rows" || what === TIMESTAMP);
  assert.deepEqual(order, ["strandline", "rows", TIMESTAMP], "the history before the rows, the number last");

  for (const between of ["rows", TIMESTAMP]) {
    const b = await Device.start({ url: bench.proxy.url, space: bench.space }, { disk });
    b.switchOffAfter(writes.indexOf(between));
    await assert.rejects(b.sync());
    await b.restart();
    assert.equal((await b.sync()).full, true);
    await assertSettled(a, b);
  }
});

test("a number whose history was lost counts as none", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "1", { title: "one" });
  await a.sync();
  await a.database.localStorage.remove("strandline" as never);
  await bench.server.delete(bench.space, "todos", "1");
  assert.equal((await a.sync()).full, true);
  await assertSettled(a);
});

test("a database that another backend had synced begins with everything, and keeps its new rows", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "1", { title: "one" });
  await a.database.adapter.setLocal(TIMESTAMP, String(Date.now()));
  await a.create("2", { title: "two" });
  assert.equal((await a.sync()).full, true);
  await assertSettled(a);
  assert.deepEqual(await todos(a), { 1: "one", 2: "two" });
});

test("a first sync that was cut off after its rows keeps no ghost of what was deleted since", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "1", { title: "one" });
  const writes: string[] = [];
  a.onWrite = (what) => {
    writes.push(what);
    if (what === "rows") a.switchOffAfter(1);
  };
  await assert.rejects(a.sync());
  assert.deepEqual(writes.slice(-2), ["rows", TIMESTAMP]);
  a.onWrite = undefined;
  await a.restart();
  assert.equal((await a.rows()).size, 1);
  await bench.server.delete(bench.space, "todos", "1");
  await a.sync();
  await assertSettled(a);
});

/** Runs `step` when the sync has looked at the rows, and before it writes them. */
function inBetween(a: Device, step: () => Promise<unknown>): void {
  const read = a.database.read.bind(a.database);
  a.database.read = async (work, description) => {
    const answer = await read(work, description);
    if (description !== "strandline-prepare") return answer;
    a.database.read = read;
    await step();
    return answer;
  };
}

for (const theirs of [{ title: "theirs", note: null }, null]) {
  test(`an edit between the look at the rows and their writing is judged all the same, ${theirs ? "against an edit" : "against a deletion"}`, async () => {
    const [a] = (await given(1)) as [Device];
    await bench.server.put(bench.space, "todos", "1", { title: "one" });
    await a.sync();
    if (theirs) await bench.server.put(bench.space, "todos", "1", theirs);
    else await bench.server.delete(bench.space, "todos", "1");
    inBetween(a, () => a.edit("1", { note: "mine" }));
    await a.sync();
    assert.deepEqual(a.conflicts, [{ table: "todos", id: "1", mine: { note: "mine" }, theirs }]);
    await assertSettled(a);
  });
}

test("a deletion between the look at the rows and their writing does not take an edit that nobody here saw", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "1", { title: "one" });
  await a.sync();
  await bench.server.put(bench.space, "todos", "1", { title: "theirs" });
  inBetween(a, () => a.delete("1"));
  await a.sync();
  assert.deepEqual(a.conflicts, [{ table: "todos", id: "1", mine: null, theirs: { title: "theirs", note: null } }]);
  await assertSettled(a);
  assert.deepEqual(await todos(a), { 1: "theirs" });
});

test("the conflicts of a pull that never reached the rows are none", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "1", { title: "one" });
  await a.sync();
  await a.edit("1", { title: "mine" });
  await bench.server.put(bench.space, "todos", "1", { title: "theirs" });
  const abort = new AbortController();
  inBetween(a, async () => abort.abort(new Error("the user left")));
  await assert.rejects(a.sync({ signal: abort.signal }), /the user left/);
  assert.deepEqual([a.conflicts, await todos(a)], [[], { 1: "mine" }]);
  await a.sync();
  assert.equal(a.conflicts.length, 1);
  await assertSettled(a);
});
