/** The page over a space that is weeks old: every state of it, operated by keyboard. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { launch, Visit, whyNot } from "./browser.ts";
import { Fixture } from "./fixture.ts";
import { Server } from "./server.ts";

describe("the page", { skip: whyNot() }, () => {
  let browser: Browser;
  let server: Server;

  before(async () => {
    server = await Server.start();
    browser = await launch();
  });
  after(async () => {
    await browser.close();
    await server.close();
  });

  async function visit(path: string, fixture = new Fixture()): Promise<{ visit: Visit; page: Page; fixture: Fixture }> {
    const visit = await Visit.start(browser, server.url);
    await fixture.attend(visit.page);
    await visit.page.goto(server.url + path);
    return { visit, page: visit.page, fixture };
  }

  const slider = (page: Page) => page.getByRole("slider", { name: "Remember deletions for" });
  const falling = (page: Page) => page.locator(".names li").allInnerTexts();

  async function slideTo(page: Page, window: string): Promise<void> {
    await slider(page).focus();
    for (let presses = 0; presses < 30; presses++) {
      if ((await page.locator("output.window").innerText()) === window) return;
      await page.keyboard.press("ArrowLeft");
    }
    assert.fail(`the slider has no stop at ${window}`);
  }

  test("the list is searched, sorted, and leads to a space and back", async () => {
    const { visit: tab, page } = await visit("/");
    await page.getByText("6 spaces.").waitFor();
    await tab.state("list");
    const names = () => page.locator("tbody th").allInnerTexts();
    await page.getByRole("button", { name: "Tombstones" }).click();
    assert.deepEqual((await names()).slice(0, 2), ["acme-eu", "harbour"]);
    await page.getByRole("button", { name: "Tombstones" }).press("Enter");
    assert.equal((await names())[0], "sandbox");
    assert.equal(await page.getByRole("columnheader", { name: "Tombstones" }).getAttribute("aria-sort"), "ascending");
    await page.getByRole("searchbox", { name: "Search by name" }).fill("arb");
    assert.deepEqual(await names(), ["harbour"]);
    await page.getByText("1 of 6 spaces.").waitFor();
    await page.getByRole("link", { name: "harbour" }).press("Enter");
    await page.getByRole("heading", { level: 1, name: "harbour" }).waitFor();
    assert.equal(new URL(page.url()).search, "?space=harbour");
    await page.goBack();
    await page.getByRole("heading", { level: 1, name: "Spaces" }).waitFor();
    await tab.close();
  });

  test("the slider shows at once what a window would do, and to whom", async () => {
    const { visit: tab, page } = await visit("/?space=harbour");
    await slider(page).waitFor();
    await page.getByText("of 10 known clients").waitFor();
    await tab.state("space");
    await slideTo(page, "7 days");
    await tab.state("slider");
    assert.deepEqual((await falling(page)).map((name) => name.replace("✕ ", "")).toSorted(), ["boat-wave-dancer", "reporting"]);
    await tab.close();
  });
});
