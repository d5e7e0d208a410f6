/** The example of docs/rxdb.md, run as it is written there. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { examplesOf, runExample } from "./bench/example.ts";
import { Server } from "./bench/server.ts";

const examples = examplesOf("docs/rxdb.md");
let server: Server;
before(async () => (server = await Server.start()));
after(() => server.close());

test("the example is one, and under 30 lines", () => {
  assert.equal(examples.length, 1);
  assert.ok(examples[0]!.split("\n").length <= 30);
});

test("the example writes and syncs", async () => {
  const printed = await runExample(examples[0]!, server.url, (text) => text.includes("in sync"));
  assert.ok(printed.includes("[ 'Look at the tide table' ]"), printed);
  const todos = await server.records("team-7", "todos");
  assert.deepEqual([...todos.values()], [{ title: "Look at the tide table" }]);
});
