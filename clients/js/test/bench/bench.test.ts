/** The bench itself: a fault that does not happen would make every other test pass for nothing. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { FaultProxy, isPull, isPush } from "./proxy.ts";
import { Server } from "./server.ts";

let server: Server;
let proxy: FaultProxy;

before(async () => {
  server = await Server.start();
  proxy = await FaultProxy.start(server);
});
after(async () => {
  await proxy.close();
  await server.close();
});

function push(id: string): Promise<Response> {
  return fetch(`${proxy.url}/v1/spaces/bench/push`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ changes: [{ collection: "todos", id, data: { id } }] }),
  });
}

const pull = (): Promise<Response> => fetch(`${proxy.url}/v1/spaces/bench/changes`);
const ids = async (): Promise<string[]> => [...(await server.records("bench", "todos")).keys()].sort();

test("without a fault, requests and answers pass", async () => {
  const answer = await (await push("a")).json();
  assert.equal(answer.results[0].status, "applied");
  assert.equal((await (await pull()).json()).changes.length, 1);
  assert.ok(proxy.bytes.up > 0 && proxy.bytes.down > 0);
});

test("a dropped answer is lost after the push was applied", async () => {
  proxy.dropAnswer(isPush);
  await assert.rejects(push("b"));
  assert.deepEqual(await ids(), ["a", "b"]);
});

test("a reset push never reaches the server", async () => {
  proxy.reset(isPush);
  await assert.rejects(push("c"));
  assert.deepEqual(await ids(), ["a", "b"]);
});

test("offline cuts and refuses, and ends", async () => {
  proxy.offline = true;
  await assert.rejects(pull());
  proxy.offline = false;
  assert.equal((await pull()).status, 200);
});

test("an unavailable server says when to come back", async () => {
  proxy.unavailable(isPull, 2);
  const response = await pull();
  assert.equal(response.status, 503);
  assert.equal(response.headers.get("retry-after"), "2");
  assert.equal((await pull()).status, 200);
});

test("a held answer was read before what came after it", async () => {
  const held = proxy.holdAnswer(isPull);
  const answer = pull();
  await held.arrived;
  await server.put("bench", "todos", "d", {});
  held.release();
  assert.equal((await (await answer).json()).head, 2);
});

test("a held request is read when it is released", async () => {
  const held = proxy.holdRequest(isPull);
  const answer = pull();
  await held.arrived;
  await server.put("bench", "todos", "e", {});
  held.release();
  assert.equal((await (await answer).json()).head, 4);
});

test("a killed server comes back with what it acknowledged", async () => {
  await server.kill();
  await assert.rejects(push("x"));
  await server.restart();
  assert.deepEqual(await ids(), ["a", "b", "d", "e"]);
});

test("a restored backup is another epoch, and a purge raises the horizon", async () => {
  const before = await server.call("GET", "/v1/spaces/bench");
  const backup = await server.backup();
  await server.put("bench", "todos", "lost", {});
  await server.restore(backup);
  const restored = await server.call("GET", "/v1/spaces/bench");
  assert.notEqual(restored.epoch, before.epoch);
  assert.equal(restored.head, before.head);

  await server.delete("bench", "todos", "a");
  await server.purge("bench");
  assert.equal((await server.call("GET", "/v1/spaces/bench")).horizon, restored.head + 1);
});
