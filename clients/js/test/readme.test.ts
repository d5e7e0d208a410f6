/** The README's examples, run as they are written there. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { examplesOf, runExample } from "./bench/example.ts";
import { Server } from "./bench/server.ts";

const examples = examplesOf("README.md");

let server: Server;
before(async () => (server = await Server.start()));
after(() => server.close());

test("examples are under 30 lines", () => {
  assert.equal(examples.length, 4);
  // These two are run where they are explained.
  assert.equal(examples[2], examplesOf("docs/rxdb.md")[0]);
  assert.equal(examples[3], examplesOf("docs/watermelondb.md")[0]);
  for (const code of examples) assert.ok(code.split("\n").length < 30);
});

test("the offline example writes, waits and syncs", async () => {
  const line = "[ 'Look at the tide table' ] ok";
  const printed = await runExample(examples[0]!, server.url, (text) => text.includes(line));
  assert.ok(printed.includes("[ 'Look at the tide table (waiting)' ]"), printed);
  assert.ok(printed.includes(line), printed);
  const todos = await server.records("team-7", "todos");
  assert.deepEqual([...todos.values()], [{ title: "Look at the tide table", done: false }]);
});

test("the client's example reads what there is and what comes", async () => {
  let written: Promise<unknown> | undefined;
  const printed = await runExample(examples[1]!, server.url, (text) => {
    if (text.includes("Wax the boots")) written ??= server.put("team-7", "todos", "b", {});
    return text.includes("1 changes");
  });
  await written;
  assert.match(printed, /^\d+ a { title: 'Wax the boots' }$/m);
  assert.match(printed, /^1 changes$/m);
});
