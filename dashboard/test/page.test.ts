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
    const { visit: tab, page, fixture } = await visit("/?space=harbour");
    await slider(page).waitFor();
    await page.getByText("of 10 known clients").waitFor();
    await tab.state("space");
    // Without the network: whatever the page asks for from here on fails.
    for (const path of ["", "/stats", "/clients", "/retention", "/retention/plan", "/retention/state"]) {
      fixture.failing.set(`GET /v1/spaces/harbour${path}`, { status: 503, title: "unavailable", detail: "the test allows none" });
    }
    await slideTo(page, "7 days");
    assert.deepEqual((await falling(page)).toSorted(), ["✕ boat-wave-dancer", "✕ reporting"]);
    assert.match((await slider(page).getAttribute("aria-valuetext")) ?? "", /^7 days: 8,300 tombstones purged, 340 kB freed, 3 clients behind$/);
    assert.equal(await page.locator("g.client [aria-label*='would fall behind']").count(), 2, "two marks are crosses now");
    await page.getByText("rises from 21,650").waitFor();
    await page.getByText(/The 3 clients that are then behind would transfer about 4\.6 MB to repair\. To download everything anew would be 17\.1 MB/).waitFor();
    await tab.state("slider");
    await slider(page).press("Home");
    assert.equal((await falling(page)).length, 6);
    await slider(page).press("End");
    assert.equal((await falling(page)).length, 0);
    await page.getByRole("button", { name: "Back to 30 days" }).press("Enter");
    assert.equal(await page.locator("output.window").innerText(), "30 days");
    await tab.close();
  });

  test("applying asks once, says what will happen, and then does it", async () => {
    const { visit: tab, page, fixture } = await visit("/?space=harbour");
    await slider(page).waitFor();
    await slideTo(page, "7 days");
    await page.getByRole("button", { name: "Apply 7 days…" }).press("Enter");
    const dialog = page.getByRole("dialog", { name: "Remember deletions for 7 days?" });
    await dialog.waitFor();
    const said = await dialog.innerText();
    for (const part of [
      "The retention of harbour changes from 30 days to 7 days.",
      "8,300 tombstones older than 7 days will be purged, which frees 340 kB. This cannot be undone.",
      "The horizon rises from 21,650 to 37,500.",
      "2 clients will have to repair: boat-wave-dancer, reporting.",
    ]) {
      assert.ok(said.includes(part), `${part}\nis not in\n${said}`);
    }
    await tab.state("dialog");
    // The harmless answer has the focus, and Escape means it too.
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Change nothing");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    assert.deepEqual(fixture.asked, []);
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Apply 7 days…", "the focus is back");
    await page.keyboard.press("Enter");
    await dialog.getByRole("checkbox", { name: "Purge now" }).press("Space");
    await dialog.getByRole("button", { name: "Apply 7 days" }).press("Enter");
    await page.getByText("Deletions are now remembered for 7 days. 8,300 tombstones purged, 340 kB freed. The horizon rose from 21,650 to 37,500.").waitFor();
    assert.deepEqual(fixture.asked, ['PUT /v1/spaces/harbour/retention {"retention":"7d"}', "POST /v1/spaces/harbour/compact {}"]);
    await page.getByRole("button", { name: "7 days is in force" }).waitFor();
    await page.getByText("3 more are behind already").waitFor();
    assert.equal(await slider(page).evaluate((slider) => slider === document.activeElement), true, "the button is no place for the focus any more");
    await tab.state("applied");
    await tab.close();
  });

  test("what is written meanwhile is seen at once, and the slider stays where it is", async () => {
    const { visit: tab, page, fixture } = await visit("/?space=harbour");
    await slider(page).waitFor();
    await slideTo(page, "14 days");
    await fixture.tell(page, "space", { ...fixture.space(), head: 48_999, records: 19_000 });
    await page.locator(".headline").getByText("48,999").waitFor();
    assert.equal(await page.locator("output.window").innerText(), "14 days");
    assert.equal(await slider(page).evaluate((slider) => slider === document.activeElement), true, "and keeps the focus");
    await fixture.tell(page, "gone", {});
    await page.getByRole("alert").getByText("This space was deleted").waitFor();
    await tab.state("gone");
    await tab.close();
  });

  test("a purge that goes on is seen to, with what is left and how fast it goes", async () => {
    const fixture = new Fixture();
    fixture.purgeable = 9_000;
    const { visit: tab, page } = await visit("/?space=harbour", fixture);
    await page.getByText("9,000 are due to be purged at the compactor's next run.").waitFor();
    Object.assign(fixture, { purgeable: 6_000, horizon: 24_400 });
    await fixture.tell(page, "space", fixture.space());
    await page.getByText(/Being purged now: 6,000 left, about [0-9,]+ a second, [0-9,]+ (second|minute)s? to go\./).waitFor();
    await tab.state("purging");
    Object.assign(fixture, { purgeable: 0, horizon: 31_000 });
    await fixture.tell(page, "space", fixture.space());
    await page.getByText("The purge is done.").waitFor();
    await tab.close();
  });

  test("who is where can be walked through by keyboard, and read as a table", async () => {
    const { visit: tab, page } = await visit("/?space=harbour");
    await slider(page).waitFor();
    await page.locator("g.client [tabindex='0']").focus();
    const named = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label"));
    assert.match((await named()) ?? "", /^(kiosk-lobby|phone-anna): 0 revisions behind, seen just now, catches up with changes$/);
    await page.keyboard.press("End");
    assert.match((await named()) ?? "", /^laptop-dora: 37,211 revisions behind, seen 64 days ago, is behind already, must repair$/);
    await page.keyboard.press("ArrowLeft");
    assert.match((await named()) ?? "", /^boat-wave-dancer/);
    await page.locator(".note").getByText("boat-wave-dancer").waitFor();
    for (const summary of await page.getByText("These numbers as a table").all()) await summary.press("Enter");
    await page.getByRole("row", { name: "7 days to 14 days 1,900" }).waitFor();
    await page.getByRole("row", { name: "10,000 to 99,999 7" }).waitFor();
    await tab.state("tables");
    await tab.close();
  });

  test("the rules are edited, and a client is forgotten", async () => {
    const { visit: tab, page, fixture } = await visit("/?space=harbour");
    await slider(page).waitFor();
    await page.getByLabel("Hold for clients").press("Space");
    await page.getByLabel("Most tombstones").fill("100000");
    await page.getByLabel("Most tombstones").press("Enter");
    await page.getByText("Saved: tombstones are held for clients for up to 180 days, at most 100,000 tombstones are kept.").waitFor();
    assert.deepEqual(fixture.asked.splice(0), ['PUT /v1/spaces/harbour/retention {"hold_for_clients":true,"max_retention":"180d","max_tombstones":100000}']);
    await page.getByText("A hold for clients").waitFor();
    await page.getByRole("button", { name: "Forget laptop-dora" }).last().press("Enter");
    await tab.state("forget");
    await page.getByRole("dialog").getByRole("button", { name: "Forget laptop-dora" }).press("Enter");
    await page.getByText("laptop-dora is forgotten.").waitFor();
    await page.getByText("of 9 known clients").waitFor();
    assert.deepEqual(fixture.asked, ["DELETE /v1/spaces/harbour/clients/laptop-dora"]);
    await tab.close();
  });

  test("what the server refuses is said in its words", async () => {
    const fixture = new Fixture();
    fixture.failing.set("GET /v1/spaces/harbour/retention/plan", { status: 503, title: "the server is busy", detail: "try again in a moment" });
    fixture.failing.set("PUT /v1/spaces/harbour/retention", { status: 507, title: "storage is full", detail: "nothing was changed" });
    const { visit: tab, page } = await visit("/?space=harbour", fixture);
    await page.getByRole("alert").getByText("What each window would do could not be loaded. The server is busy. Try again in a moment.").waitFor();
    await tab.state("trouble");
    fixture.failing.delete("GET /v1/spaces/harbour/retention/plan");
    await page.getByRole("button", { name: "Try again" }).press("Enter");
    await page.getByRole("alert").getByText("could not be loaded").waitFor({ state: "detached" });
    await slideTo(page, "1 day");
    await page.getByRole("button", { name: "Apply 1 day…" }).press("Enter");
    await page.getByRole("dialog").getByRole("button", { name: "Apply 1 day" }).press("Enter");
    await page.getByText("It could not be applied. Storage is full. Nothing was changed.").waitFor();
    await tab.close();
  });

  test("a name is a name, whatever it says", async () => {
    const fixture = new Fixture();
    const name = `<img src=x onerror="alert(1)">`;
    const clients = fixture.clients.bind(fixture);
    fixture.clients = () => [{ client: name, cursor: null, rev: 1, behind: 48_210, last_seen: new Date().toISOString(), agent: name }, ...clients()];
    const { visit: tab, page } = await visit("/?space=harbour", fixture);
    await page.getByRole("rowheader", { name }).first().waitFor();
    assert.equal(await page.locator("main img, main script").count(), 0);
    await tab.close();
  });
});
