/** The real server under test, with a database of its own. The binary is `STRANDLINE_BINARY`, by default cargo's debug build. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const BINARY = process.env["STRANDLINE_BINARY"] ?? fileURLToPath(new URL("../../target/debug/strandline", import.meta.url));

export class Server {
  readonly url: string;
  readonly #process: ChildProcess;
  readonly #folder: string;

  private constructor(url: string, process: ChildProcess, folder: string) {
    this.url = url;
    this.#process = process;
    this.#folder = folder;
  }

  /** Starts one on a free port; `options` go to `strandline serve`. */
  static async start(...options: string[]): Promise<Server> {
    const folder = await mkdtemp(join(tmpdir(), "strandline-dashboard-"));
    const database = `sqlite:${join(folder, "strandline.db")}`;
    const child = spawn(BINARY, ["serve", "--listen", "127.0.0.1:0", "--database", database, "--workers", "1", ...options], {
      stdio: ["ignore", "pipe", process.env["STRANDLINE_LOG"] ? "inherit" : "ignore"],
    });
    const failed = once(child, "error").then(([error]) => Promise.reject(error as Error));
    failed.catch(() => {});
    return new Server(await Promise.race([failed, listening(child)]), child, folder);
  }

  async close(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const exited = once(this.#process, "exit");
      this.#process.kill("SIGKILL");
      await exited;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** One request; the JSON that came back. Throws unless it succeeds. */
  async call<T = any>(method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<T> {
    const sent = body && { body: JSON.stringify(body) };
    const response = await fetch(this.url + path, { method, headers: { "Content-Type": "application/json", ...headers }, ...sent });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  /** Pushes `changes`, each whatever was there. */
  async push(space: string, changes: object[]): Promise<void> {
    const all = changes.map((change) => ({ collection: "todos", base_rev: "*", ...change }));
    await this.call("POST", `/v1/spaces/${space}/push`, { changes: all });
  }
}

/** Waits for the line by which the server says that it is up. */
async function listening(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stdout! })) {
    const url = /listening on (http:\/\/\S+)/.exec(line)?.[1];
    if (url) {
      child.stdout!.resume();
      return url;
    }
  }
  throw new Error(`${BINARY} ended before it listened`);
}
