/** Starts the real server on a database of its own. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const BINARY = process.env["STRANDLINE_BINARY"] ?? new URL("../../../target/debug/strandline", import.meta.url).pathname;

export interface Server {
  url: string;
  process: ChildProcess;
  stop(): Promise<void>;
}

export async function startServer(...options: string[]): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), "strandline-js-"));
  const child = spawn(BINARY, ["serve", "--listen", "127.0.0.1:0", "--database", `sqlite:${folder}/test.db`, ...options], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /listening on (http:\S+)/.exec(line)?.[1];
    if (!url) continue;
    const stop = async () => {
      child.kill();
      await ended;
      rmSync(folder, { recursive: true });
    };
    return { url, process: child, stop };
  }
  throw new Error("the server did not start");
}
