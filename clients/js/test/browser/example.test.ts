/** examples/todo.html, as somebody uses it who has two tabs and two devices. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { FaultProxy, isPull } from "../bench/proxy.ts";
import { Server } from "../bench/server.ts";
import { Browser, Site, whyNot } from "./chromium.ts";

/** Where to leave pictures of the page, if anywhere. */
const PICTURES = process.env["STRANDLINE_SCREENSHOTS"];

describe("the example page", { skip: whyNot() }, () => {
  let browser: Browser;
  let server: Server;
  let proxy: FaultProxy;
  let site: Site;
  const faults: string[] = [];

  before(async () => {
    site = await Site.start({}, new URL("../../../../examples/", import.meta.url));
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

  async function visit(space: string, device = "1"): Promise<Page> {
    const page = await browser.context.newPage();
    page.setDefaultTimeout(20_000);
    page.on("pageerror", (error) => faults.push(String(error)));
    await page.setViewportSize({ width: 720, height: 760 });
    await page.goto(`${site.url}/todo.html?server=${encodeURIComponent(proxy.url)}&space=${space}&device=${device}`);
    return page;
  }

  const says = (page: Page, text: string | RegExp) => page.getByRole("status").filter({ hasText: text }).waitFor();
  const picture = async (page: Page, name: string) => PICTURES && page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
  const titleOf = (page: Page, title: string) => page.getByLabel(`Done: ${title}`, { exact: true });

  async function add(page: Page, title: string): Promise<void> {
    await page.getByLabel("What is to be done").fill(title);
    await page.getByRole("button", { name: "Add" }).click();
    await titleOf(page, title).waitFor();
  }

  async function rename(page: Page, from: string, to: string): Promise<void> {
    const row = page.getByRole("listitem").filter({ has: titleOf(page, from) });
    await row.getByLabel("Title").fill(to);
    await row.getByLabel("Title").press("Enter");
    await titleOf(page, to).waitFor();
  }

  test("two tabs and another device are live", async () => {
    const [first, second, phone] = [await visit("live"), await visit("live"), await visit("live", "2")];
    await picture(first, "empty");
    // There is no such space yet, and no feed of it.
    await says(first, "In sync");
    await add(first, "Look at the tide table");
    await add(first, "Wax the boots");
    await add(second, "Bread, cheese, oranges");
    for (const page of [first, second, phone]) {
      await titleOf(page, "Wax the boots").waitFor();
      await titleOf(page, "Bread, cheese, oranges").waitFor();
    }
    await titleOf(phone, "Look at the tide table").check();
    await first.locator("li.done").waitFor();
    await says(first, /^Live$/);
    await picture(first, "live");
    await first.getByRole("button", { name: "Delete: Wax the boots" }).click();
    await titleOf(phone, "Wax the boots").waitFor({ state: "detached" });
    await Promise.all([first, second, phone].map((page) => page.close()));
  });

  test("offline by choice and by accident, edits wait, come back, and what lost is listed and restored", async () => {
    const [laptop, phone] = [await visit("conflict"), await visit("conflict", "2")];
    await says(laptop, "In sync");
    await add(laptop, "Milk");
    await add(laptop, "Rope, 20 m");
    await titleOf(phone, "Rope, 20 m").waitFor();
    await phone.getByRole("switch", { name: "Work offline" }).check();
    await says(phone, "Working offline");
    await rename(phone, "Milk", "Oat milk");
    await add(phone, "Sand shovel");
    await says(phone, "Working offline, 2 edits waiting");
    await picture(phone, "working-offline");
    await rename(laptop, "Milk", "Goat milk");
    await says(laptop, /^Live$/);
    await phone.getByRole("switch", { name: "Work offline" }).uncheck();
    await phone.getByRole("button", { name: "Restore mine" }).waitFor();
    await titleOf(laptop, "Sand shovel").waitFor();
    await says(phone, /^Live$/);
    await picture(phone, "conflict");
    await phone.emulateMedia({ colorScheme: "dark" });
    await picture(phone, "conflict-dark");
    await phone.setViewportSize({ width: 360, height: 720 });
    await picture(phone, "conflict-narrow");
    await phone.getByRole("button", { name: "Restore mine" }).click();
    await titleOf(laptop, "Oat milk").waitFor();
    await phone.getByRole("heading", { name: "Edited elsewhere as well" }).waitFor({ state: "hidden" });

    await browser.context.setOffline(true);
    await says(laptop, "Offline");
    await add(laptop, "Written at sea");
    await says(laptop, "Offline, 1 edit waiting");
    await browser.context.setOffline(false);
    await titleOf(phone, "Written at sea").waitFor();
    await says(laptop, /^Live$/);
    await Promise.all([laptop, phone].map((page) => page.close()));
  });

  test("it opens while the API cannot be reached, with all that it holds", async () => {
    const page = await visit("reload");
    await says(page, "In sync");
    await add(page, "Keep me");
    await says(page, /^Live$/);
    proxy.offline = true;
    await page.reload();
    await titleOf(page, "Keep me").waitFor();
    await add(page, "Me too");
    await says(page, "Offline, 1 edit waiting");
    proxy.offline = false;
    await says(page, /^Live$/);
    assert.equal((await server.records("reload", "todos")).size, 2);
    await page.close();
  });

  test("a server that wants a token gets one", async () => {
    proxy.answer((request) => request.method === "GET" && isPull(request), 401, { "Access-Control-Allow-Origin": site.url });
    const page = await visit("token");
    await says(page, "Access denied");
    await picture(page, "denied");
    await page.getByLabel("Access token").fill("secret");
    await page.getByRole("button", { name: "Go on" }).click();
    await says(page, "In sync");
    assert.equal(proxy.requests.at(-1)?.headers.authorization, "Bearer secret");
    await page.close();
  });

  test("nothing was thrown on the way", () => assert.deepEqual(faults, []));
});
