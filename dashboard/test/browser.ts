/** Headless Chromium, and what every visit of the page must keep to. */

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";

const EXECUTABLE = process.env["STRANDLINE_CHROMIUM"] ?? "/usr/bin/chromium";
/** Where to leave pictures of the page, if anywhere. */
const PICTURES = process.env["STRANDLINE_SCREENSHOTS"];
const AXE = readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

/** Why browser tests cannot run here, or false. `STRANDLINE_REQUIRE_BROWSER=1` makes that a failure. */
export function whyNot(): string | false {
  if (existsSync(EXECUTABLE)) return false;
  if (process.env["STRANDLINE_REQUIRE_BROWSER"] === "1") throw new Error(`there is no ${EXECUTABLE}, and it is required`);
  const why = `NOT TESTED IN A BROWSER: there is no ${EXECUTABLE} (STRANDLINE_CHROMIUM names another one)`;
  console.error(why);
  return why;
}

export const launch = (): Promise<Browser> =>
  chromium.launch({ executablePath: EXECUTABLE, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });

/** A page that notes what it must not do: throw, break its content policy, or ask anybody else for anything. */
export class Visit {
  readonly page: Page;
  readonly faults: string[] = [];

  private constructor(page: Page) {
    this.page = page;
  }

  static async start(browser: Browser, origin: string): Promise<Visit> {
    const visit = new Visit(await browser.newPage({ viewport: { width: 1240, height: 900 } }));
    const { page, faults } = visit;
    // Other tests may have the machine.
    page.setDefaultTimeout(60_000);
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("console", (message) => {
      // What the server refuses is in the console too, and here on purpose.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) faults.push(message.text());
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(`${origin}/`) && !request.url().startsWith("data:")) faults.push(`a request to ${request.url()}`);
    });
    return visit;
  }

  /**
   * A state of the page: no serious finding of axe-core, and nothing wider than the window, light and dark, on a wide screen
   * and on a phone; with pictures if they are wanted.
   */
  async state(name: string): Promise<void> {
    const { page } = this;
    await page.evaluate("scrollTo(0, 0)");
    for (const [size, viewport] of Object.entries({ wide: { width: 1240, height: 900 }, phone: { width: 390, height: 844 } })) {
      await page.setViewportSize(viewport);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        // What is drawn to a width is drawn when the browser has laid the page out.
        await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
        if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}-${size}-${colorScheme}.png`), fullPage: true });
        assert.deepEqual(await this.#findings(), [], `${name}, ${size}, ${colorScheme}`);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.equal(over, 0, `${name}, ${size}: the page is ${over} pixels too wide`);
      }
    }
    await page.setViewportSize({ width: 1240, height: 900 });
    await page.emulateMedia({ colorScheme: "light" });
  }

  async #findings(): Promise<string[]> {
    // The page's own policy forbids the element that playwright would add; what is evaluated is none.
    await this.page.evaluate(`if (!("axe" in globalThis)) { ${AXE} }`);
    return this.page.evaluate(async () => {
      type Result = { violations: { id: string; impact: string | null; nodes: { html: string; failureSummary?: string }[] }[] };
      const { axe } = globalThis as unknown as { axe: { run(): Promise<Result> } };
      const { violations } = await axe.run();
      const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      return grave.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary ?? ""}`).join("; ")}`);
    });
  }

  /** Ends the visit, which must have been without a fault. */
  async close(): Promise<void> {
    await this.page.close();
    assert.deepEqual(this.faults, []);
  }
}
