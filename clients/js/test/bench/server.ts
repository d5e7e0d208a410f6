/**
 * The real server under test: one process with a database of its own in a temporary directory.
 *
 * The binary is `STRANDLINE_BINARY`, by default the one that `cargo build` leaves in `target/debug`.
 * A restart keeps the port, so that clients find the server again where they left it.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const BINARY =
  process.env["STRANDLINE_BINARY"] ??
  fileURLToPath(new URL("../../../../target/debug/strandline", import.meta.url));

/** A record as the server sends it (protocol, section 2). */
export interface ServerChange {
  collection: string;
  id: string;
  rev: number;
  deleted: boolean;
  data?: Record<string, unknown>;
}

/** A copy of the database, made by {@link Server.backup}. */
export type Backup = { readonly file: string };

/** A running server. Every server that was started must be closed, or its process outlives the test. */
export class Server {
  /** Where it listens, without a slash at the end. */
  url = "";
  #directory: string;
  #arguments: string[];
  #process: ChildProcess | undefined;
  #backups = 0;

  private constructor(directory: string, options: string[]) {
    this.#directory = directory;
    this.#arguments = options;
  }

  /** Starts a server on a free port with an empty database; `options` go to `strandline serve`. */
  static async start(...options: string[]): Promise<Server> {
    const server = new Server(await mkdtemp(join(tmpdir(), "strandline-js-")), options);
    await server.#spawn();
    return server;
  }

  /** Ends it in good order; what it holds stays for {@link restart}. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Starts it again on the same database and the same port, after ending it if it still runs. */
  async restart(): Promise<void> {
    await this.stop();
    await this.#spawn();
  }

  /** Stops the server and removes its database. */
  async close(): Promise<void> {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** Copies the database while the server runs. */
  async backup(): Promise<Backup> {
    const file = join(this.#directory, `backup-${++this.#backups}.db`);
    const child = spawn(BINARY, ["backup", "--database", `sqlite:${this.#database}`, file], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    const [code] = await once(child, "exit");
    if (code !== 0) throw new Error(`strandline backup ended with ${code}`);
    return { file };
  }

  /** Puts a backup in the place of the database: history is broken, every space gets a new epoch. */
  async restore(backup: Backup): Promise<void> {
    await this.stop();
    for (const suffix of ["", "-wal", "-shm", "-heads"]) {
      await rm(this.#database + suffix, { force: true });
    }
    await copyFile(backup.file, this.#database);
    await this.#spawn();
  }

  /** Bounds how many records a space may hold. */
  async bound(space: string, records: number): Promise<void> {
    await this.call("PUT", `/v1/spaces/${space}/quota`, { records });
  }

  /** Purges every tombstone of a space: whoever pulled before this is behind the horizon. */
  async purge(space: string): Promise<void> {
    await this.call("POST", `/v1/spaces/${space}/compact`, { older_than: "0s", force: true });
  }

  /** Pushes as some other client would, and fails unless every change was accepted. */
  async push(space: string, ...changes: object[]): Promise<number[]> {
    const answer = await this.call("POST", `/v1/spaces/${space}/push`, { changes });
    return answer.results.map((result: { status: string; rev: number }) => {
      if (result.status !== "applied" && result.status !== "unchanged") {
        throw new Error(`the bench's push was not accepted: ${JSON.stringify(result)}`);
      }
      return result.rev;
    });
  }

  /** Writes one record whatever was there. */
  async put(space: string, collection: string, id: string, data: object): Promise<number> {
    const [rev] = await this.push(space, { collection, id, base_rev: "*", data });
    return rev as number;
  }

  /** Deletes one record whatever was there. */
  async delete(space: string, collection: string, id: string): Promise<void> {
    await this.push(space, { collection, id, base_rev: "*", deleted: true });
  }

  /** The live records of a collection by id: what every replica has to equal in the end. No space has none. */
  async records(space: string, collection: string): Promise<Map<string, Record<string, unknown>>> {
    const live = new Map<string, Record<string, unknown>>();
    if ((await fetch(`${this.url}/v1/spaces/${space}`)).status === 404) return live;
    let query = `?collections=${collection}&limit=10000`;
    for (;;) {
      const page = await this.call("GET", `/v1/spaces/${space}/changes${query}`);
      for (const change of page.changes as ServerChange[]) {
        if (change.deleted) live.delete(change.id);
        else live.set(change.id, change.data ?? {});
      }
      if (!page.has_more) return live;
      query = `?collections=${collection}&limit=10000&since=${encodeURIComponent(page.cursor)}`;
    }
  }

  /** One request past every proxy; throws unless it succeeds, and gives the JSON that came back. */
  async call(method: string, path: string, body?: object): Promise<any> {
    const response = await fetch(this.url + path, {
      method,
      ...(body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  get #database(): string {
    return join(this.#directory, "strandline.db");
  }

  async #spawn(): Promise<void> {
    const listen = this.url === "" ? "127.0.0.1:0" : new URL(this.url).host;
    const child = spawn(
      BINARY,
      ["serve", "--listen", listen, "--database", `sqlite:${this.#database}`, "--workers", "1", ...this.#arguments],
      { stdio: ["ignore", "pipe", process.env["STRANDLINE_LOG"] ? "inherit" : "ignore"] },
    );
    const failed = new Promise<never>((_, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`${BINARY} ended with ${code} before it listened`)));
    });
    failed.catch(() => {});
    this.url = await Promise.race([failed, listeningOn(child)]);
    this.#process = child;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }
}

/** Waits for the line by which the server says that it is up. */
async function listeningOn(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout! });
  for await (const line of lines) {
    const url = /listening on (http:\/\/\S+)/.exec(line)?.[1];
    if (url) {
      child.stdout!.resume();
      return url;
    }
  }
  return new Promise(() => {});
}
