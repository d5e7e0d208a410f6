/** The live sync, and the example of the documentation. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type LiveOptions, strandlineLive } from "../src/watermelondb/index.ts";
import { isEvents, isPush } from "./bench/proxy.ts";
import { assertSettled, bench, given, todos } from "./watermelondb/bench.ts";
import type { Device } from "./watermelondb/device.ts";

/** Waits until something is so; a live sync that does not get there is the failure. */
async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 8000; !(await holds()); ) {
    assert.ok(Date.now() < end, `not within 8 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Runs a program until it says something of this kind. */
async function said(program: string, what: RegExp): Promise<string | undefined> {
  // LokiJS saves every half a second for as long as it lives: it does not end by itself.
  const child = spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "inherit"], timeout: 20_000 });
  let output = "";
  for await (const piece of child.stdout) {
    output += piece;
    if (what.test(output)) child.kill();
  }
  return what.exec(output)?.[0];
}

const live = (device: Device, more: Partial<LiveOptions> = {}) => strandlineLive({ ...device.options, debounce: 10, ...more });
const shows = (device: Device, expected: object) => async () => JSON.stringify(await todos(device)) === JSON.stringify(expected);

test("live: what one device writes, the other shows; also after the connection broke", async () => {
  const [a, b] = (await given(2)) as [Device, Device];
  await bench.server.put(bench.space, "todos", "1", { title: "one" });
  const errors: unknown[] = [];
  const running = [live(a), live(b, { onError: (error) => void errors.push(error) })];
  await until("both show the first", async () => (await shows(a, { 1: "one" })()) && (await shows(b, { 1: "one" })()));
  await a.edit("1", { title: "two" });
  await until("b shows the edit of a", shows(b, { 1: "two" }));
  await b.delete("1");
  await until("a shows the deletion of b", shows(a, {}));

  bench.proxy.cut();
  await a.create("2", { title: "after the cut" });
  await until("b shows what came after the cut", shows(b, { 2: "after the cut" }));
  bench.proxy.unavailable(isPush);
  await a.edit("2", { title: "in the end" });
  await until("b shows what was pushed at the second try", shows(b, { 2: "in the end" }));
  await until("a knows that it was pushed", async () => (await a.unpushed()).length === 0);
  await Promise.all(running.map((each) => each.stop()));
  await assertSettled(a, b);

  const before = bench.proxy.requests.length;
  await bench.server.put(bench.space, "todos", "2", { title: "unheard" });
  await a.edit("2", { title: "unsaid" });
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.equal(bench.proxy.requests.length, before, "a stopped sync is silent");
});

test("live: a sync of its own does not wake it for ever", async () => {
  const [a] = (await given(1)) as [Device];
  await bench.server.put(bench.space, "todos", "1", { title: "one" });
  const running = live(a);
  await until("it shows the first", shows(a, { 1: "one" }));
  await until("it listens", async () => bench.proxy.requests.some(isEvents));
  await a.edit("1", { title: "two" });
  await until("it has pushed", async () => bench.proxy.requests.some(isPush));
  await new Promise((resolve) => setTimeout(resolve, 150));
  const settled = bench.proxy.requests.length;
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.equal(bench.proxy.requests.length, settled);
  assert.ok(settled < 14, `${settled} requests`);
  await running.stop();
});

test("the example of docs/watermelondb.md runs as it is written, bundled as an app is", async () => {
  await given(0);
  const page = await readFile(new URL("../docs/watermelondb.md", import.meta.url), "utf8");
  const example = /```js\n([\s\S]*?\n)```/.exec(page)?.[1] as string;
  assert.ok(example.trimEnd().split("\n").length < 30);
  const directory = await mkdtemp(join(tmpdir(), "strandline-example-"));
  try {
    const file = join(directory, "example.js");
    await writeFile(file, example);
    const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
    const bundle = await build({
      entryPoints: [file],
      bundle: true,
      platform: "node",
      format: "esm",
      write: false,
      logLevel: "error",
      nodePaths: [here("../node_modules")],
      alias: { "strandline/watermelondb": here("../src/watermelondb/index.ts") },
      define: { "process.env.NODE_ENV": '"production"' },
      // The address in the example stands for the server's; everything else is as it is written.
      banner: { js: `import { createRequire } from "node:module"; const require = createRequire(import.meta.url); const go = globalThis.fetch; globalThis.fetch = (url, init) => go(String(url).replace("https://sync.example.org", "${bench.proxy.url}"), init);` },
    });
    const program = join(directory, "bundle.mjs");
    await writeFile(program, bundle.outputFiles[0]?.text as string);
    assert.equal(await said(program, /^pushed.*/m), "pushed 1, pulled 0");
    assert.deepEqual([...(await bench.server.records("team-7", "todos")).values()], [{ title: "Buy milk", done: false }]);
  } finally {
    await rm(directory, { recursive: true });
  }
});
