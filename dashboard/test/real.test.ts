/** The page on the real server, from the first record to the purge: nothing stands in the server's place. */

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { launch, Visit, whyNot } from "./browser.ts";
import { Server } from "./server.ts";

describe("the page on a real server", { skip: whyNot() }, () => {
  let browser: Browser;
  let server: Server;
  let tab: Visit;
  let page: Page;

  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());
  beforeEach(async () => {
    // The background's own purges would come in between.
    server = await Server.start("--compact-interval", "1h");
    tab = await Visit.start(browser, server.url);
    page = tab.page;
  });
  afterEach(() => server.close());

  const live = () => page.locator("#live").getByText("Live").waitFor();
  const figure = (name: string, value: string) => page.locator(`.figures > div:has(> dt:text-is("${name}")) > .value`).filter({ hasText: new RegExp(`^${value}$`) }).waitFor();
  /** A pull of the client, whose cursor is then that of the head. */
  async function pull(client: string, since?: string): Promise<string> {
    const path = `/v1/spaces/demo/changes${since === undefined ? "" : `?since=${since}`}`;
    return (await server.call<{ cursor: string }>("GET", path, undefined, { "Strandline-Client": client })).cursor;
  }

  /** Thirty records that the tablet has seen; then ten of them are deleted, of which the phone knows. */
  async function fill(): Promise<void> {
    await server.push("demo", Array.from({ length: 30 }, (_, n) => ({ id: `r${n}`, data: { title: `number ${n}` } })));
    await pull("tablet", await pull("tablet"));
    await server.push("demo", Array.from({ length: 10 }, (_, n) => ({ id: `r${n}`, deleted: true })));
    await pull("phone", await pull("phone"));
  }

  test("an empty server says how to begin, and a space that is made appears by itself", async () => {
    await page.goto(server.url);
    await page.getByText("There are no spaces yet").waitFor();
    await live();
    await tab.state("empty");
    await fill();
    await page.getByRole("link", { name: "demo" }).waitFor();
    await page.getByRole("row", { name: "demo 20 10 40 30 days just now" }).waitFor();
    await tab.close();
  });

  test("where a token is needed the page asks for one, works with it, and asks again when it is revoked", async () => {
    await fill();
    const issue = (name: string) =>
      server.call("POST", "/v1/tokens", { name, grants: [{ space: "*", access: "admin" }] }, { Authorization: `Bearer ${root?.token ?? ""}` });
    let root: { id: string; token: string } | undefined;
    root = await issue("root");
    const { id, token } = await issue("<i>Ops</i> of a name that is too long for the head of a page");
    await page.goto(`${server.url}/?space=demo`);
    await page.getByLabel("Token").waitFor();
    await tab.state("login");
    await page.getByLabel("Token").fill("sl_nonsense");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("alert").getByText("Not logged in: this token is not known here.").waitFor();
    await tab.state("login-refused");
    await page.getByLabel("Token").fill(token);
    await page.keyboard.press("Enter");
    await live();
    assert.equal(new URL(page.url()).search, "?space=demo");
    await figure("Tombstones", "10");
    await tab.state("logged-in");
    // A change carries what only the page knows.
    await page.getByRole("button", { name: "Forget tablet" }).last().click();
    await page.getByRole("dialog").getByRole("button", { name: "Forget tablet" }).click();
    await page.getByRole("row", { name: /tablet/ }).waitFor({ state: "detached" });
    await server.call("DELETE", `/v1/tokens/${id}`, undefined, { Authorization: `Bearer ${root!.token}` });
    await page.reload();
    await page.getByLabel("Token").fill(root!.token);
    await page.keyboard.press("Enter");
    await live();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Token").waitFor();
    await tab.close();
  });

  test("a window is tried, applied and purged by keyboard alone, and does what was forecast", async () => {
    await fill();
    await page.goto(server.url);
    await page.getByRole("link", { name: "demo" }).waitFor();
    // Tab by tab, as somebody without a mouse does.
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute("data-key") ?? document.activeElement?.id);
    const tabTo = async (key: string) => {
      for (let presses = 0; presses < 40; presses++) {
        await page.keyboard.press("Tab");
        if ((await focused()) === key) return;
      }
      assert.fail(`the tab key never comes to ${key}`);
    };
    await tabTo("space demo");
    await page.keyboard.press("Enter");
    await page.getByText("of 2 known clients").waitFor();
    await live();
    await tab.state("real");
    await tabTo("window");
    await page.keyboard.press("Home");
    await figure("Tombstones purged", "10");
    await figure("Would fall behind", "✕ 1");
    await page.locator(".names").getByText("tablet").waitFor();
    const forecast = await server.call("GET", "/v1/spaces/demo/retention/plan?windows=0s");
    await tab.state("real-slider");
    await tabTo("apply");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").getByText("1 client will have to repair: tablet.").waitFor();
    await tabTo("option");
    await page.keyboard.press("Space");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByText("Deletions are now remembered for 0 seconds. 10 tombstones purged").waitFor();
    await figure("Tombstones", "0");
    await figure("Horizon", "40");
    await page.getByRole("row", { name: /tablet +is behind already, must repair/ }).waitFor();
    const space = await server.call("GET", "/v1/spaces/demo");
    assert.deepEqual([space.retention, space.tombstones, space.horizon], ["0s", 0, forecast.plan[0].horizon]);
    assert.deepEqual([forecast.plan[0].tombstones, forecast.plan[0].clients], [10, ["tablet"]]);
    await tab.state("real-applied");
    await tab.close();
  });

  test("what others write, set and delete is seen without a reload", async () => {
    await fill();
    await page.goto(`${server.url}/?space=demo`);
    await page.getByText("of 2 known clients").waitFor();
    await live();
    await figure("Head", "40");
    await server.push("demo", [{ id: "new", data: {} }]);
    await figure("Head", "41");
    await server.call("PUT", "/v1/spaces/demo/retention", { retention: "7d", hold_for_clients: true });
    await page.getByRole("button", { name: "7 days is in force" }).waitFor();
    await page.waitForFunction(() => document.querySelector<HTMLInputElement>("#hold")?.checked);
    await server.call("DELETE", "/v1/spaces/demo/clients/tablet");
    await page.reload();
    await page.getByText("of 1 known client", { exact: true }).waitFor();
    await server.call("DELETE", "/v1/spaces/demo");
    await page.getByRole("alert").getByText("This space was deleted").waitFor();
    await tab.close();
  });

  test("rules are saved and clients forgotten on the server", async () => {
    await fill();
    await page.goto(`${server.url}/?space=demo`);
    await page.getByLabel("Most tombstones").fill("4");
    await page.getByRole("button", { name: "Save these rules" }).click();
    await page.getByText("at most 4 tombstones are kept").waitFor();
    assert.equal((await server.call("GET", "/v1/spaces/demo/retention")).max_tombstones, 4);
    // Six of ten are one too many, whatever the window.
    await figure("Tombstones purged", "6");
    await page.getByLabel("Longest hold").fill("0d1");
    await page.getByLabel("Longest hold").press("Enter");
    assert.equal(await page.getByLabel("Longest hold").evaluate((input: HTMLInputElement) => input.validity.patternMismatch), true);
    await page.getByLabel("Longest hold").fill("1d");
    await page.getByLabel("Most tombstones").fill("");
    await page.getByLabel("Most tombstones").press("Enter");
    await page.getByText("Saved: tombstones are not held for clients.").waitFor();
    await figure("Tombstones purged", "0");
    await page.getByRole("button", { name: "Forget tablet" }).last().click();
    await page.getByRole("dialog").getByRole("button", { name: "Forget tablet" }).click();
    await page.getByText("of 1 known client", { exact: true }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement?.closest("section")?.getAttribute("aria-labelledby")), "who", "the focus is where the button was");
    const { clients } = await server.call("GET", "/v1/spaces/demo/clients");
    assert.deepEqual(clients.map(({ client }: { client: string }) => client), ["phone"]);
    await tab.close();
  });

  test("a space that is not there, and a server that is not, are said in words", async () => {
    await fill();
    await page.goto(`${server.url}/?space=nobody`);
    await page.getByRole("alert").getByText(/nobody/).waitFor();
    await tab.state("unknown");
    await page.getByRole("link", { name: "All spaces" }).click();
    await page.getByRole("link", { name: "demo" }).click();
    await page.getByText("of 2 known clients").waitFor();
    await live();
    await server.close();
    await page.locator("#live").getByText("Connecting…").waitFor();
    await page.getByRole("slider").press("Home");
    await page.getByRole("button", { name: "Apply 0 seconds…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Apply 0 seconds" }).click();
    await page.getByText("It could not be applied. The server cannot be reached.").waitFor();
    await page.getByRole("alert").getByText("The space could not be loaded. The server cannot be reached.").waitFor();
    await tab.state("unreachable");
    await tab.close();
  });

  test("thousands of spaces can be searched, and hundreds of clients be seen", async () => {
    const names = Array.from({ length: 1_200 }, (_, n) => `tenant-${String(n).padStart(4, "0")}`);
    for (let at = 0; at < names.length; at += 50) {
      await Promise.all(names.slice(at, at + 50).map((name) => server.call("PUT", `/v1/spaces/${name}`, {})));
    }
    await fill();
    await Promise.all(Array.from({ length: 300 }, (_, n) => pull(`device-${n}`, String(n % 41))));
    await page.goto(server.url);
    await page.getByText("1,201 of 1,201 spaces; the first 500 are shown.").waitFor();
    await page.getByRole("searchbox").fill("1199");
    await page.getByText("1 of 1,201 spaces.").waitFor();
    await page.goto(`${server.url}/?space=demo`);
    await page.getByText("of 302 known clients").waitFor();
    await page.getByRole("slider").press("Home");
    await page.getByText(/and \d+ more, in the table below/).waitFor();
    await tab.state("crowd");
    await page.getByRole("button", { name: "Show all 302 clients" }).click();
    assert.equal(await page.locator("section[aria-labelledby=who] tbody tr").count(), 302);
    await tab.close();
  });
});
