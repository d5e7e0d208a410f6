/**
 * Two devices and a third writer do whatever the seed says, over a network and on disks that fail as it says.
 * `WATERMELON_SEEDS=7` runs that seed alone, `WATERMELON_SEEDS=0-999` so many.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Backup } from "./bench/server.ts";
import { isPull, isPush } from "./bench/proxy.ts";
import { assertSettled, bench, given } from "./watermelondb/bench.ts";
import type { Device } from "./watermelondb/device.ts";

const [FIRST = 0, LAST = FIRST] = (process.env["WATERMELON_SEEDS"] ?? "1-50").split("-").map(Number);
const STEPS = 40;

/** Numbers from a seed (mulberry32). */
function random(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let z = Math.imul(seed ^ (seed >>> 15), seed | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) % below;
  };
}

/** An edit that a device made and must account for: each writes a text that stands nowhere else. */
interface Edit {
  id: string;
  /** Null for a deletion. */
  text: string | null;
}

class World {
  readonly #pick: (below: number) => number;
  readonly #devices: Device[];
  /** By device: its last edit of each column, as far as it did not delete the row itself. */
  readonly #edits: Map<string, Edit>[];
  /** All texts that the server ever had, and all ids that it had and then had no more. */
  readonly #reached = new Set<string>();
  #live = new Set<string>();
  /** The ids that must never live again, unless history breaks. */
  readonly #gone = new Set<string>();
  #backup: Backup | undefined;
  #made = 0;
  readonly #running: Promise<unknown>[] = [];

  constructor(seed: number, devices: Device[]) {
    this.#pick = random(seed);
    this.#devices = devices;
    this.#edits = devices.map(() => new Map());
  }

  async step(): Promise<void> {
    const at = this.#pick(this.#devices.length);
    // Nobody works on a device that is off: what its app still has in mind is not on the disk.
    if (this.#devices[at]?.isOff) await this.#settle(() => undefined);
    const roll = this.#pick(100);
    if (roll < 45) await this.#edit(at);
    else if (roll < 75) await this.#sync(at);
    else if (roll < 92) await this.#write();
    else if (roll < 95) await bench.server.purge(bench.space).catch(() => {});
    else if (roll < 98) await this.#settle(() => this.#devices[at]?.restart());
    // Not before there is a space: one that is gone is for people to settle.
    else if (!this.#backup) this.#backup = this.#live.size ? await bench.server.backup() : undefined;
    else await this.#restore(this.#backup);
    await this.#look();
  }

  /** Everybody syncs on a good network until nothing is left; then all of it is held against what must be. */
  async end(): Promise<void> {
    await this.#settle(() => undefined);
    bench.proxy.calm();
    for (let round = 0; round < 2; round++) {
      for (const device of this.#devices) {
        await device.sync();
        await this.#look();
      }
    }
    await assertSettled(...this.#devices);
    for (const device of this.#devices) assert.equal((await device.sync()).full, false, "a settled copy pulls everything again");
    for (const id of this.#gone) assert.ok(!this.#live.has(id), `${id} was deleted and rose again`);
    for (const [at, edits] of this.#edits.entries()) for (const edit of edits.values()) this.#account(this.#devices[at] as Device, edit);
  }

  /** An edit reached the server, or it is listed. */
  #account({ conflicts }: Device, { id, text }: Edit): void {
    const listed = conflicts.some((conflict) => conflict.id === id && (text === null ? conflict.mine === null : Object.values(conflict.mine ?? {}).includes(text)));
    const reached = text === null ? !this.#live.has(id) || this.#reached.has(`${id} gone`) : this.#reached.has(text);
    assert.ok(listed || reached, `${text === null ? "the deletion" : `the edit ${text}`} of ${id} was lost and not listed`);
  }

  async #edit(at: number): Promise<void> {
    const device = this.#devices[at] as Device;
    const edits = this.#edits[at] as Map<string, Edit>;
    const text = `text-${this.#made++}`;
    const ids = [...(await device.rows()).keys()];
    const id = ids[this.#pick(ids.length + 1)];
    const column = this.#pick(2) ? "title" : "note";
    try {
      if (!id) {
        await device.create(text, { [column]: text });
        edits.set(`${text} ${column}`, { id: text, text });
      } else if (this.#pick(4)) {
        await device.edit(id, { [column]: text });
        edits.set(`${id} ${column}`, { id, text });
      } else {
        await device.delete(id);
        for (const other of ["title", "note"]) edits.delete(`${id} ${other}`);
        edits.set(id, { id, text: null });
      }
    } catch (error) {
      // A sync that runs at the same time took the row away, or the device is off: then this edit was never made.
      if (!device.isOff && !/not found|prepared|deleted|disposable/i.test(String(error))) throw error;
    }
  }

  async #sync(at: number): Promise<void> {
    const device = this.#devices[at] as Device;
    const { proxy } = bench;
    const match = this.#pick(2) ? isPull : isPush;
    const fault = this.#pick(14);
    if (fault === 0) proxy.dropAnswer(match);
    if (fault === 1) proxy.reset(match);
    if (fault === 2) proxy.unavailable(match);
    if (fault === 3 || fault === 4) device.switchOffAfter(this.#pick(12));
    const options = { pageSize: 1 + this.#pick(6), pushLimits: { changes: 1 + this.#pick(5), bytes: 1 << 20 } };
    const sync = device.sync(options).catch(() => {});
    if (this.#pick(3)) await sync;
    // The others go on meanwhile: until this device is needed in one piece again.
    else this.#running.push(sync);
    if (device.isOff) await this.#settle(() => device.restart());
    if (this.#pick(2)) await this.#settle(() => proxy.calm());
  }

  async #settle(then: () => unknown): Promise<void> {
    await Promise.all(this.#running.splice(0));
    for (const device of this.#devices) {
      if (device.isOff) await device.restart();
      device.switchOffAfter(Infinity);
    }
    await then();
  }

  /** The third writer overwrites only what it has seen: else nobody could tell what a push on its way had brought. */
  async #write(): Promise<void> {
    const { server, space } = bench;
    const ids = [...this.#live];
    const id = ids[this.#pick(ids.length + 1)];
    const text = `text-${this.#made++}`;
    if (!id) return void (await server.put(space, "todos", text, { title: text }));
    const now = await server.call("GET", `/v1/spaces/${space}/records/todos/${id}`).catch(() => undefined);
    const write = this.#pick(2) ? { data: { title: text, note: this.#pick(2) ? text : null } } : { deleted: true };
    if (!now) return;
    for (const value of Object.values(now.data)) this.#reached.add(String(value));
    await server.call("POST", `/v1/spaces/${space}/push`, { changes: [{ collection: "todos", id, base_rev: now.rev, ...write }] });
  }

  /** History breaks: what was deleted since the backup lives again, by right. */
  async #restore(backup: Backup): Promise<void> {
    await this.#settle(() => this.#look());
    await bench.server.restore(backup);
    this.#backup = undefined;
    this.#gone.clear();
    this.#live.clear();
  }

  async #look(): Promise<void> {
    const records = await bench.server.records(bench.space, "todos").catch(() => new Map<string, Record<string, unknown>>());
    for (const row of records.values()) for (const value of Object.values(row)) this.#reached.add(String(value));
    for (const id of this.#live) if (!records.has(id)) this.#gone.add(id);
    for (const id of this.#gone) this.#reached.add(`${id} gone`);
    this.#live = new Set(records.keys());
  }
}

test(`seeds ${FIRST} to ${LAST}`, async (t) => {
  for (let seed = FIRST; seed <= LAST; seed++) {
    const world = new World(seed, await given(2));
    try {
      for (let at = 0; at < STEPS; at++) await world.step();
      await world.end();
    } catch (error) {
      t.diagnostic(`seed ${seed}`);
      throw error;
    }
  }
});
