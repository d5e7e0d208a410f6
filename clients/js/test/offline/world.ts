/**
 * A small world for the fuzz: devices with two tabs each, a third writer, and everything that goes wrong between them.
 * It keeps a ledger of what each user did and saw, from which it tells whether an edit was lost in silence, or
 * written over something that its user had never seen.
 */

import assert from "node:assert/strict";
import { OfflineSpace, type PushAnswer, type PushBody } from "../../src/index.ts";
import type { Server } from "../bench/server.ts";

/** A generator of numbers from 0 to 1 that gives the same ones for the same seed (mulberry32). */
export function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const COLLECTION = "todos";

/** What a process that was killed meets wherever it goes. */
class Killed extends Error {}

/** One tab's process: alive until it has done so many more things. */
interface Process {
  space: OfflineSpace;
  /** Requests and transactions until it is killed. */
  left: number;
}

/** A number that no other edit has, or null for a deletion. */
type Mark = number | null;

export class Device {
  readonly #world: World;
  readonly #name: string;
  readonly #tabs: (Promise<Process> | undefined)[] = [undefined, undefined];
  /** What the user has seen of each record, own edits included: only that may be written over. */
  readonly seen = new Map<string, Set<Mark>>();
  /** What became of edits: accepted by the server, or listed as a conflict. */
  readonly settled = new Map<string, Set<Mark>>();
  /** The user's last edit of each record. */
  readonly last = new Map<string, Mark>();
  offline = false;

  constructor(world: World, name: string) {
    this.#world = world;
    this.#name = name;
  }

  async tab(at: number): Promise<Process> {
    const alive = await this.#tabs[at];
    if (alive && alive.left > 0) return alive;
    return (this.#tabs[at] = this.#open());
  }

  async #open(): Promise<Process> {
    const process = { left: Infinity } as Process;
    process.space = await OfflineSpace.open({
      url: this.#world.server.url,
      space: this.#world.space,
      database: this.#database,
      indexedDB: this.#factory(process),
      fetch: (url, init) => this.#fetch(process, String(url), init ?? {}),
    });
    return process;
  }

  async put(at: number, id: string): Promise<void> {
    const { space } = await this.tab(at);
    await this.#look(space, id);
    const n = this.#world.mark();
    await space.put(COLLECTION, id, { n });
    this.#did(id, n);
  }

  async delete(at: number, id: string): Promise<void> {
    const { space } = await this.tab(at);
    await this.#look(space, id);
    if (!(await space.get(COLLECTION, id))) return;
    await space.delete(COLLECTION, id);
    this.#did(id, null);
    // An edit of what is nowhere else is taken back without a trace.
    if (!(await this.#hasEdit(id))) note(this.settled, id, null);
  }

  /** Syncs; a process that was told to die may do so meanwhile. */
  async sync(at: number): Promise<void> {
    const { space } = await this.tab(at);
    await space.sync({ tries: 1 }).catch((error) => {
      if (!(error instanceof Killed) && error.name !== "AbortError") throw error;
    });
  }

  /** Kills the tab after so many more requests and transactions. */
  async doom(at: number, left: number): Promise<void> {
    (await this.tab(at)).left = left;
  }

  async restart(at: number): Promise<void> {
    await (await this.#tabs[at])?.space.close().catch(() => {});
    this.#tabs[at] = undefined;
  }

  async decideConflict(at: number, restore: boolean): Promise<void> {
    const { space } = await this.tab(at);
    const [conflict] = await space.conflicts();
    if (!conflict) return;
    const { id, mine } = conflict;
    const mark = (mine.data?.["n"] as number | undefined) ?? null;
    note(this.settled, id, mark);
    if (!restore) return space.discardConflict(conflict.key);
    await this.#look(space, id);
    await space.restoreConflict(conflict.key);
    this.#did(id, mark);
    // It may be as it was there already.
    note(this.settled, id, mark);
  }

  /** At the end, with nothing in the way: the copy is the server's, and no edit has vanished. */
  async check(): Promise<void> {
    assert.deepEqual(this.#world.wrongs, []);
    for (const at of [0, 1]) await this.restart(at);
    const { space } = await this.tab(0);
    const report = await space.sync();
    assert.equal(report.outcome, "ok", String(report.error));
    const { right } = await space.verify();
    assert.ok(right, "count and checksum are the server's");
    const there = await this.#world.server.records(this.#world.space, COLLECTION);
    const here = new Map((await space.list(COLLECTION)).map((item) => [item.id, item.data]));
    assert.deepEqual(new Map([...here].sort()), new Map([...there].sort()), `${this.#name} is the server`);
    assert.equal(space.status.pending, 0);
    for (const { id, mine } of await space.conflicts()) note(this.settled, id, (mine.data?.["n"] as number | undefined) ?? null);
    for (const [id, mark] of this.last) {
      assert.ok(this.settled.get(id)?.has(mark), `${this.#name}'s edit ${mark} of ${id} was lost`);
    }
    await this.restart(0);
  }

  #did(id: string, mark: Mark): void {
    this.last.set(id, mark);
    note(this.seen, id, mark);
  }

  async #hasEdit(id: string): Promise<boolean> {
    const done = <T>(request: IDBRequest<T>) => new Promise<T>((resolve) => (request.onsuccess = () => resolve(request.result)));
    const database = await done(indexedDB.open(this.#database));
    const count = await done(database.transaction("edits").objectStore("edits").count([COLLECTION, id]));
    database.close();
    return count > 0;
  }

  /**
   * Notes what a first edit is based on: between the user's look and the edit a page may have come, and only the
   * transaction itself knows which was first.
   */
  #watch(transaction: IDBTransaction): void {
    const found = new Map<string, unknown>();
    const open = transaction.objectStore.bind(transaction);
    transaction.objectStore = (table) => {
      const store = open(table);
      const get = store.get.bind(store);
      store.get = (key) => {
        const request = get(key);
        request.addEventListener("success", () => found.set(`${table} ${(key as string[])[1]}`, request.result ?? null));
        return request;
      };
      if (table !== "edits") return store;
      const put = store.put.bind(store);
      store.put = (row) => {
        const record = found.get(`records ${row.id}`) as { data: { n: number } } | null | undefined;
        const isFirst = found.get(`edits ${row.id}`) === null && !row.follows;
        if (isFirst && record !== undefined) note(this.seen, row.id, record?.data.n ?? null);
        return put(row);
      };
      return store;
    };
  }

  get #database(): string {
    return `${this.#world.space}/${this.#name}`;
  }

  async #look(space: OfflineSpace, id: string): Promise<void> {
    note(this.seen, id, ((await space.get(COLLECTION, id))?.data["n"] as number | undefined) ?? null);
  }

  /** One thing more that the process does; it may be its last. */
  #live(process: Process): void {
    if (--process.left < 0) throw new Killed();
  }

  async #fetch(process: Process, url: string, init: RequestInit): Promise<Response> {
    const { chance } = this.#world;
    this.#live(process);
    if (this.offline || chance(0.05)) throw new TypeError("offline");
    // Small pages, so that a sync has many steps to be killed between.
    if (chance(0.7)) url = url.replace("limit=5000", `limit=${1 + Math.floor(this.#world.random() * 4)}`);
    let body = init.body as string | undefined;
    if (chance(0.7)) body = body?.replace('"limit":5000', '"limit":2');
    const send = () => fetch(url, { ...init, ...(body && { body }) });
    const response = url.endsWith("/push") ? await this.#world.oneByOne(() => this.#push(JSON.parse(body!), send)) : await send();
    // The whole answer has come from the server before anything is lost on the way.
    const text = response.status === 304 ? null : await response.text();
    this.#live(process);
    if (chance(0.07)) throw new TypeError("the answer was lost");
    return new Response(text, { status: response.status, headers: response.headers });
  }

  /** Lets a push through, and writes down what it did to what. */
  async #push(push: PushBody, send: () => Promise<Response>): Promise<Response> {
    const { server, space, wrongs } = this.#world;
    const before = await server.records(space, COLLECTION).catch(() => new Map<string, Record<string, unknown>>());
    const response = await send();
    if (!response.ok) return response;
    const { results, duplicate } = (await response.clone().json()) as PushAnswer;
    for (const [at, result] of results.entries()) {
      const { id, data } = push.changes[at]!;
      const mark = (data?.["n"] as number | undefined) ?? null;
      if (result.status === "conflict") {
        // Whoever wanted it deleted, with this change or with one that follows, has it so.
        if (result.record.deleted) note(this.settled, id, null);
        continue;
      }
      note(this.settled, id, mark);
      if (result.status !== "applied" || duplicate) continue;
      const overwritten = (before.get(id)?.["n"] as number | undefined) ?? null;
      const seen = this.seen.get(id) ?? new Set();
      if (!seen.has(overwritten)) wrongs.push(`${this.#name} wrote ${mark} over ${overwritten} of ${id}, which it had not seen`);
    }
    return response;
  }

  /** An IndexedDB whose process may be killed before, in the middle of, or after a transaction. */
  #factory(process: Process): IDBFactory {
    const open = (name: string, version?: number) => {
      const request = indexedDB.open(name, version);
      request.addEventListener("success", () => {
        const database = request.result;
        const transaction = database.transaction.bind(database);
        database.transaction = (...parameters: Parameters<typeof transaction>) => {
          this.#live(process);
          const begun = transaction(...parameters);
          this.#watch(begun);
          if (process.left === 0 && this.#world.chance(0.5)) {
            setTimeout(() => {
              try {
                begun.abort();
              } catch {
                // It was over already: then it is killed after it.
              }
            }, 0);
          }
          return begun;
        };
      });
      return request;
    };
    return { open } as IDBFactory;
  }
}

export class World {
  readonly server: Server;
  readonly space: string;
  readonly random: () => number;
  readonly devices: Device[];
  #marks = 0;
  #turn: Promise<unknown> = Promise.resolve();
  calm = false;

  constructor(server: Server, seed: number) {
    this.server = server;
    this.space = `fuzz-${seed}`;
    this.random = random(seed);
    this.devices = [new Device(this, "laptop"), new Device(this, "phone")];
  }

  /** What was wrong in the middle of a request: an assertion there would pass for a broken network. */
  readonly wrongs: string[] = [];

  chance = (probability: number): boolean => !this.calm && this.random() < probability;

  mark(): number {
    return ++this.#marks;
  }

  /** One push at a time, so that what was there before it is known. */
  oneByOne<T>(body: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(body);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** What a third party, or the passing of time, does to the server. */
  async elsewhere(id: string): Promise<void> {
    const kind = this.random();
    await this.oneByOne(async () => {
      if (kind < 0.5) await this.server.put(this.space, COLLECTION, id, { n: this.mark() });
      else if (kind < 0.8) await this.server.delete(this.space, COLLECTION, id);
      else await this.server.purge(this.space).catch(() => {});
    });
  }
}

function note(ledger: Map<string, Set<Mark>>, id: string, mark: Mark): void {
  const marks = ledger.get(id) ?? new Set();
  ledger.set(id, marks.add(mark));
}
