/**
 * Two devices and a third writer under random edits and random faults. In the end every device equals the server, no
 * deleted record is live, nothing waits to be pushed, and each edit was accepted, replaced by its own author, or listed.
 *
 * `STRANDLINE_FUZZ_SEEDS` is how many seeds are run, or which: `300`, `1000-1999`.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { type Backup } from "./bench/server.ts";
import { isAny, isPull, isPush } from "./bench/proxy.ts";
import type { Device } from "./rxdb/device.ts";
import { Stage } from "./rxdb/stage.ts";

const stage = Stage.set();
const SEEDS = process.env["STRANDLINE_FUZZ_SEEDS"] ?? "50";
const [first, last] = (SEEDS.includes("-") ? SEEDS : `1-${SEEDS}`).split("-").map(Number) as [number, number];
const STEPS = 40;

/** What a browser has, so that pauses end when the network is back. */
const network = new EventTarget();
Object.assign(globalThis, {
  addEventListener: network.addEventListener.bind(network),
  removeEventListener: network.removeEventListener.bind(network),
});

/** Numbers that are the same for the same seed (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let z = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z;
    return Math.floor((((z ^ (z >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** An edit that has to be accounted for: a title that nobody else gives, or a deletion. */
interface Edit {
  device: Device;
  id: string;
  title: string | undefined;
}

class Run {
  readonly random: (below: number) => number;
  readonly log: string[] = [];
  readonly edits: Edit[] = [];
  devices: Device[] = [];
  ids: string[] = [];
  /** Deleted by the third writer, whatever anybody else wanted. */
  deleted = new Set<string>();
  backup: { file: Backup; deleted: Set<string> } | undefined;
  #titles = 0;
  #held: { release(): void }[] = [];

  constructor(seed: number) {
    this.random = randomOf(seed);
  }

  pick<V>(values: V[]): V {
    return values[this.random(values.length)] as V;
  }

  async step(): Promise<void> {
    const { server, proxy, space } = stage;
    const device = this.pick(this.devices);
    const id = this.pick(this.ids);
    const choice = this.random(100);
    this.log.push(`${choice} device ${this.devices.indexOf(device)} ${id}`);
    if (choice < 30) await this.edit(device, id);
    else if (choice < 40) await this.insert(device);
    else if (choice < 46) await this.remove(device, id);
    else if (choice < 54) await this.foreign(id);
    else if (choice < 58) await this.foreign(`foreign-${this.log.length}`);
    else if (choice < 63) await this.foreignDelete(id);
    else if (choice < 66) await server.purge(space);
    else if (choice < 68) this.backup = { file: await server.backup(), deleted: new Set(this.deleted) };
    else if (choice < 70) await this.restore();
    else if (choice < 75) proxy.dropAnswer(isPush);
    else if (choice < 78) proxy.reset(isAny);
    else if (choice < 80) proxy.unavailable(this.pick([isPull, isPush]));
    else if (choice < 83) this.#held.push(proxy.holdAnswer(this.pick([isPull, isPush])));
    else if (choice < 86) this.#held.push(proxy.holdRequest(this.pick([isPull, isPush])));
    else if (choice < 89) this.#held.shift()?.release();
    else if (choice < 92) await device.restart();
    else if (choice < 95) this.toggleNetwork();
    else device.replication.reSync();
    if (this.random(3) === 0) await pause(this.random(8));
  }

  async edit(device: Device, id: string): Promise<void> {
    const document = await device.todos.findOne(id).exec();
    if (!document) return;
    this.#replaced(device, id, document.title);
    const title = `t${++this.#titles}`;
    this.edits.push({ device, id, title });
    await device.edit(id, title).catch(() => this.#takeBack(title));
  }

  async insert(device: Device): Promise<void> {
    const id = `r${this.ids.length}`;
    this.ids.push(id);
    const title = `t${++this.#titles}`;
    this.edits.push({ device, id, title });
    await device.put(id, title);
  }

  async remove(device: Device, id: string): Promise<void> {
    const document = await device.todos.findOne(id).exec();
    if (!document) return;
    this.#replaced(device, id, document.title);
    this.edits.push({ device, id, title: undefined });
    await device.delete(id).catch(() => this.edits.pop());
  }

  async foreign(id: string): Promise<void> {
    const isNew = !this.ids.includes(id);
    // Nobody makes a record under the id that somebody else has just drawn.
    if (!isNew && !(await stage.server.records(stage.space, "todos")).has(id)) return;
    if (isNew) this.ids.push(id);
    await stage.server.put(stage.space, "todos", id, { title: `foreign ${++this.#titles}` });
  }

  async foreignDelete(id: string): Promise<void> {
    const there = await stage.server.records(stage.space, "todos");
    if (!there.has(id)) return;
    this.deleted.add(id);
    await stage.server.delete(stage.space, "todos", id);
  }

  async restore(): Promise<void> {
    if (!this.backup) return;
    await stage.server.restore(this.backup.file);
    this.deleted = new Set(this.backup.deleted);
  }

  toggleNetwork(): void {
    stage.proxy.offline = !stage.proxy.offline;
    if (!stage.proxy.offline) network.dispatchEvent(new Event("online"));
  }

  async settle(): Promise<void> {
    for (const held of this.#held) held.release();
    stage.proxy.calm();
    const alarm = setInterval(() => network.dispatchEvent(new Event("online")), 20);
    try {
      // What one pushes, the other has to pull.
      for (let round = 0; round < 2; round++) for (const device of this.devices) await device.equals(stage.server);
    } finally {
      clearInterval(alarm);
    }
  }

  async judge(): Promise<void> {
    const live = await stage.titles();
    assert.deepEqual([...this.deleted].filter((id) => id in live), [], "deleted records are live");
    const accepted = new Set<string>();
    for (const { body, answer } of stage.proxy.requests.filter(isPush)) {
      if (!answer) continue;
      const { changes } = JSON.parse(body) as { changes: { id: string; data?: { title: string } }[] };
      const { results } = JSON.parse(answer) as { results?: { status: string }[] };
      changes.forEach(({ id, data }, at) => {
        const status = results?.[at]?.status;
        if (status === "applied" || status === "unchanged") accepted.add(data?.title ?? `deletion of ${id}`);
      });
    }
    const lost = this.edits.filter(({ device, id, title }) => {
      if (accepted.has(title ?? `deletion of ${id}`)) return false;
      if (title === undefined && !(id in live)) return false;
      return !device.conflicts.some((conflict) => conflict.id === id && (title ? conflict.document.title === title : conflict.document._deleted));
    });
    assert.deepEqual(lost.map(({ id, title }) => `${id}: ${title}`), [], "edits were lost in silence");
  }

  /** An edit that its author saw and replaced is nobody's loss. */
  #replaced(device: Device, id: string, seen: string): void {
    const at = this.edits.findIndex((edit) => edit.device === device && edit.id === id && edit.title === seen);
    if (at >= 0) this.edits.splice(at, 1);
  }

  #takeBack(title: string): void {
    this.edits.splice(this.edits.findIndex((edit) => edit.title === title), 1);
  }
}

for (let seed = first; seed <= last; seed++) {
  test(`seed ${seed}`, async () => {
    const run = new Run(seed);
    await stage.newSpace("a", "b", "c");
    run.ids = ["a", "b", "c"];
    const sizes = { pullBatchSize: 1 + run.random(4), pushBatchSize: 1 + run.random(3) };
    run.devices = [await stage.device(sizes), await stage.device(sizes)];
    try {
      for (let step = 0; step < STEPS; step++) await run.step();
      await run.settle();
      await run.judge();
    } catch (error) {
      console.log(`seed ${seed}:\n${run.log.join("\n")}`);
      for (const device of run.devices) console.log("listed:", JSON.stringify(device.conflicts));
      for (const { headers, body, answer } of stage.proxy.requests.filter(isPush)) {
        console.log(headers["strandline-client"], body, "->", answer);
      }
      throw error;
    }
  });
}
