/** Headless Chromium, and what a page in it needs: an origin to be served from, and files. */

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium } from "playwright-core";

const EXECUTABLE = process.env["STRANDLINE_CHROMIUM"] ?? "/usr/bin/chromium";

/** Why browser tests cannot run here, or false. `STRANDLINE_REQUIRE_BROWSER=1` makes that a failure. */
export function whyNot(): string | false {
  if (existsSync(EXECUTABLE)) return false;
  if (process.env["STRANDLINE_REQUIRE_BROWSER"] === "1") throw new Error(`there is no ${EXECUTABLE}, and it is required`);
  const why = `NOT TESTED IN A BROWSER: there is no ${EXECUTABLE} (STRANDLINE_CHROMIUM names another one)`;
  console.error(why);
  return why;
}

/** A browser with a profile of its own, which a restart keeps. */
export class Browser {
  context!: BrowserContext;
  readonly #profile: string;

  private constructor(profile: string) {
    this.#profile = profile;
  }

  static async start(): Promise<Browser> {
    const browser = new Browser(await mkdtemp(join(tmpdir(), "strandline-chromium-")));
    await browser.#launch();
    return browser;
  }

  async restart(): Promise<void> {
    await this.context.close();
    await this.#launch();
  }

  async close(): Promise<void> {
    await this.context.close();
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  async #launch(): Promise<void> {
    this.context = await chromium.launchPersistentContext(this.#profile, {
      executablePath: EXECUTABLE,
      headless: true,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
  }
}

/** The policy under which `strandline serve --example` serves its page, but that the API may be at another port. */
function contentPolicy(html: string): string {
  const scripts = [...html.matchAll(/<script[^>]*>(.+?)<\/script>/gs)].map(([, script]) => createHash("sha256").update(script!).digest("base64"));
  return (
    `default-src 'none'; script-src 'self' ${scripts.map((hash) => `'sha256-${hash}'`).join(" ")}; style-src 'unsafe-inline'; ` +
    "img-src 'self' data:; connect-src http://127.0.0.1:*; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
  );
}

/** Serves files by path, from memory or from a folder. */
export class Site {
  readonly url: string;
  readonly #server: HttpServer;

  private constructor(server: HttpServer) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(files: Record<string, string>, folder?: URL): Promise<Site> {
    const server = createServer((request, response) => {
      const path = new URL(request.url ?? "/", "http://site").pathname;
      const file = folder && new URL(`.${path}`, folder);
      const body = files[path] ?? (file && existsSync(file) ? readFileSync(file, "utf8") : undefined);
      const type = path.endsWith(".js") ? "text/javascript" : "text/html";
      const policy = body !== undefined && type === "text/html" ? { "Content-Security-Policy": contentPolicy(body) } : {};
      response.writeHead(body === undefined ? 404 : 200, { "Content-Type": `${type}; charset=utf-8`, ...policy });
      response.end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Site(server);
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
