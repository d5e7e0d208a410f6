/** `OfflineSpace` in Chromium: its IndexedDB, its Web Locks, its tabs, and its idea of being offline. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Page } from "playwright-core";
import type { OfflineSpace } from "../../src/index.ts";
import { FaultProxy, type Match } from "../bench/proxy.ts";
import { Server } from "../bench/server.ts";
import type { Case, runCase } from "../offline/vectors.ts";
import { Browser, Site, whyNot } from "./chromium.ts";

/** What is within reach in the page. */
declare global {
  var strandline: typeof import("../../src/index.ts");
  var space: OfflineSpace;
}

/** Preflights are not what is meant. */
const aPush: Match = ({ method, path }) => method === "POST" && path.includes("/push");
const aFetch: Match = ({ method, path }) => method === "POST" && path.includes("/fetch");

describe("in Chromium", { skip: whyNot() }, () => {
  let browser: Browser;
  let server: Server;
  let proxy: FaultProxy;
  let site: Site;
  let spaces = 0;

  before(async () => {
    const script = await build({
      entryPoints: [fileURLToPath(new URL("page.ts", import.meta.url))],
      bundle: true,
      format: "esm",
      write: false,
    });
    site = await Site.start({ "/": '<!doctype html><script type="module" src="page.js"></script>', "/page.js": script.outputFiles[0]!.text });
    server = await Server.start("--cors-origin", site.url);
    proxy = await FaultProxy.start(server);
    browser = await Browser.start();
  });
  after(async () => {
    await browser.close();
    await proxy.close();
    await server.close();
    site.close();
  });
  afterEach(async () => {
    proxy.calm();
    proxy.forget();
    await browser.context.setOffline(false);
    // The last page stays: without one, Chromium ends.
    await Promise.all(browser.context.pages().slice(1).map((page) => page.close()));
  });

  const newSpace = () => `browser-${spaces++}`;

  /** A new tab with a copy of the space open, as `space`. */
  async function tab(name: string, live = true): Promise<Page> {
    const page = await browser.context.newPage();
    await page.goto(site.url);
    await page.waitForFunction(() => "strandline" in globalThis);
    await page.evaluate(
      async ({ url, name, live }) => {
        globalThis.space = await strandline.OfflineSpace.open({ url, space: name });
        if (live) space.start();
      },
      { url: proxy.url, name, live },
    );
    return page;
  }

  const titles = (page: Page) =>
    page.evaluate(async () => Object.fromEntries((await space.list("todos")).map(({ id, data }) => [id, data["title"]])));
  const put = (page: Page, id: string, title: string) => page.evaluate(([id, title]) => space.put("todos", id!, { title }), [id, title]);
  const status = (page: Page) => page.evaluate(() => space.status);

  async function until(what: string, happens: () => Promise<boolean>): Promise<void> {
    for (const end = Date.now() + 20_000; Date.now() < end; ) {
      if (await happens()) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.fail(`waited in vain: ${what}`);
  }

  test("the vectors pass", async () => {
    const vectors = JSON.parse(readFileSync(new URL("../../../vectors/sync.json", import.meta.url), "utf8")) as Case[];
    const page = await browser.context.newPage();
    await page.goto(site.url);
    await page.waitForFunction(() => "runCase" in globalThis);
    for (const vector of vectors) {
      await page.evaluate((vector) => (globalThis as unknown as { runCase: typeof runCase }).runCase(vector, vector.name), vector);
    }
  });

  test("two tabs see each other's edits at once, and one of them syncs", async () => {
    const name = newSpace();
    const [first, second] = [await tab(name), await tab(name)];
    await put(second, "a", "milk");
    assert.deepEqual(await titles(first), { a: "milk" });
    await until("it is pushed", async () => (await status(second)).pending === 0);
    await server.put(name, "todos", "b", { title: "bread" });
    await until("the second tab has it", async () => (await titles(second))["b"] === "bread");
    const feeds = () => proxy.requests.filter(({ method, headers }) => method === "GET" && headers.accept === "text/event-stream").length;
    await until("one of them listens", async () => feeds() > 0);
    assert.equal(feeds(), 1);
    await first.close();
    await until("the second tab listens now", async () => feeds() === 2 && (await status(second)).live);
    await server.put(name, "todos", "c", { title: "cheese" });
    await until("and gets what is new", async () => (await titles(second))["c"] === "cheese");
  });

  test("offline, edits wait; online again, they are pushed by themselves", async () => {
    const name = newSpace();
    await server.put(name, "todos", "a", { title: "milk" });
    const page = await tab(name);
    await until("it is live", async () => (await status(page)).live);
    await browser.context.setOffline(true);
    await until("it has noticed", async () => !(await status(page)).live);
    await put(page, "a", "oat milk");
    await put(page, "b", "bread");
    assert.equal((await status(page)).pending, 2);
    await server.put(name, "todos", "c", { title: "cheese" });
    await browser.context.setOffline(false);
    await until("it is pushed", async () => (await status(page)).pending === 0);
    await until("and pulled", async () => (await titles(page))["c"] === "cheese");
    assert.deepEqual((await server.records(name, "todos")).get("a"), { title: "oat milk" });
  });

  test("a tab that is killed while its push is on its way loses nothing", async () => {
    const name = newSpace();
    const [first, second] = [await tab(name), await tab(name, false)];
    await until("it is live", async () => (await status(first)).outcome === "ok");
    const held = proxy.holdAnswer(aPush);
    await put(first, "a", "milk");
    await held.arrived;
    await put(first, "a", "oat milk");
    await first.close();
    held.release();
    const report = await second.evaluate(() => space.sync());
    assert.equal(report.outcome, "ok");
    assert.deepEqual([...(await server.records(name, "todos"))], [["a", { title: "oat milk" }]]);
    assert.equal((await status(second)).conflicts, 0);
    const pushes = proxy.requests.filter(aPush).map(({ body }) => JSON.parse(body));
    assert.deepEqual(pushes.map(({ seq }) => seq), [1, 1, 2], "the first was sent again as it was");
    assert.deepEqual(pushes[0], pushes[1]);
  });

  test("a tab that is killed in the middle of a repair is followed by the next, and by the next start of the browser", async () => {
    const name = newSpace();
    for (let n = 0; n < 20; n++) await server.put(name, "todos", `r${n}`, { title: `${n}` });
    const first = await tab(name, false);
    await first.evaluate(() => space.sync());
    await put(first, "r1", "edited offline");
    for (let n = 0; n < 15; n++) await server.delete(name, "todos", `r${n}`);
    for (let n = 20; n < 40; n++) await server.put(name, "todos", `r${n}`, { title: `${n}` });
    await server.purge(name);
    const held = proxy.holdAnswer(aFetch);
    void first.evaluate(() => space.sync()).catch(() => {});
    await held.arrived;
    await first.close();
    held.release();
    await browser.restart();
    const second = await tab(name, false);
    assert.equal((await titles(second))["r2"], "2", "what is stale is shown until the repair is over");
    const report = await second.evaluate(() => space.sync());
    assert.deepEqual([report.outcome, report.repairs], ["ok", 0], "the repair goes on where it was");
    const there = Object.fromEntries([...(await server.records(name, "todos"))].map(([id, data]) => [id, data["title"]]));
    assert.deepEqual(await titles(second), there);
    const conflicts = await second.evaluate(() => space.conflicts());
    assert.deepEqual(conflicts.map(({ id, mine }) => [id, mine.data?.["title"]]), [["r1", "edited offline"]]);
    assert.equal((await second.evaluate(() => space.verify())).right, true);
  });

  test("a large first sync is applied in bearable time", async () => {
    const name = newSpace();
    const changes = Array.from({ length: 20_000 }, (_, n) => ({ collection: "todos", id: `todo-${n}`, data: { title: `number ${n}`, done: false } }));
    for (let at = 0; at < changes.length; at += 10_000) await server.push(name, ...changes.slice(at, at + 10_000));
    const page = await tab(name, false);
    const begun = Date.now();
    const report = await page.evaluate(() => space.sync());
    const elapsed = Date.now() - begun;
    assert.deepEqual([report.outcome, report.pulled], ["ok", 20_000]);
    console.log(`20,000 records: ${elapsed} ms`);
    assert.ok(elapsed < 60_000);
  });
});
