/** The README's examples, run as they are written there. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Server } from "./bench/server.ts";

const root = new URL("..", import.meta.url);
const examples = [...readFileSync(new URL("README.md", root), "utf8").matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code as string);

let server: Server;
before(async () => (server = await Server.start()));
after(() => server.close());

/** Runs an example until it has printed what is looked for. Only the server's address is another one than it says. */
async function run(code: string, enough: (printed: string) => boolean): Promise<string> {
  const elsewhere = `const real = fetch; globalThis.fetch = (url, init) => real(url.replace("http://127.0.0.1:7878", ${JSON.stringify(server.url)}), init);`;
  const preload = `data:text/javascript,${encodeURIComponent(elsewhere)}`;
  const child = spawn(process.execPath, ["--import", "fake-indexeddb/auto", "--import", preload, "--input-type=module"], {
    cwd: fileURLToPath(root),
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.stdin.end(code);
  let printed = "";
  const timer = setTimeout(() => child.kill(), 20_000);
  for await (const piece of child.stdout) {
    printed += piece;
    if (enough(printed)) break;
  }
  clearTimeout(timer);
  child.kill();
  await ended;
  return printed;
}

test("examples are under 30 lines", () => {
  assert.equal(examples.length, 2);
  for (const code of examples) assert.ok(code.split("\n").length < 30);
});

test("the offline example writes, waits and syncs", async () => {
  const line = "[ 'Look at the tide table' ] ok";
  const printed = await run(examples[0]!, (text) => text.includes(line));
  assert.ok(printed.includes("[ 'Look at the tide table (waiting)' ]"), printed);
  assert.ok(printed.includes(line), printed);
  const todos = await server.records("team-7", "todos");
  assert.deepEqual([...todos.values()], [{ title: "Look at the tide table", done: false }]);
});

test("the client's example reads what there is and what comes", async () => {
  let written: Promise<unknown> | undefined;
  const printed = await run(examples[1]!, (text) => {
    if (text.includes("Wax the boots")) written ??= server.put("team-7", "todos", "b", {});
    return text.includes("1 changes");
  });
  await written;
  assert.match(printed, /^\d+ a { title: 'Wax the boots' }$/m);
  assert.match(printed, /^1 changes$/m);
});
