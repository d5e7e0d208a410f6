/** What every test of the adapter plays on: a server behind a proxy, and devices that are closed after each test. */
import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { FaultProxy } from "../bench/proxy.ts";
import { Server } from "../bench/server.ts";
import { Device, type DeviceOptions, titlesOf } from "./device.ts";

export class Stage {
  server!: Server;
  proxy!: FaultProxy;
  /** The present test's space. */
  space = "";
  #spaces = 0;
  // RxDB without a licence opens no fifteenth collection in one process: databases must not be left open.
  #open: Device[] = [];

  /** Sets a stage for the tests of a file; `options` go to `strandline serve`. */
  static set(...options: string[]): Stage {
    const stage = new Stage();
    before(async () => {
      stage.server = await Server.start(...options);
      stage.proxy = await FaultProxy.start(stage.server);
    });
    afterEach(() => stage.clear());
    after(async () => {
      await stage.proxy.close();
      await stage.server.close();
    });
    return stage;
  }

  /** A space of its own for what follows, with these records in it. */
  async newSpace(...ids: string[]): Promise<void> {
    this.space = `space-${++this.#spaces}`;
    for (const id of ids) await this.server.put(this.space, "todos", id, { title: id });
  }

  async device(options: Partial<DeviceOptions> = {}): Promise<Device> {
    const device = await Device.start({ url: this.proxy.url, space: this.space, ...options });
    this.#open.push(device);
    return device;
  }

  /** Two devices in a space of their own, which hold what is in it. */
  async twoDevices(...ids: string[]): Promise<[Device, Device]> {
    await this.newSpace(...ids);
    return [await this.inSync(await this.device()), await this.inSync(await this.device())];
  }

  /** A device in a space of its own, which holds what is in it. */
  async deviceWith(ids: string[], options: Partial<DeviceOptions> = {}): Promise<Device> {
    await this.newSpace(...ids);
    return this.inSync(await this.device(options));
  }

  async inSync(device: Device): Promise<Device> {
    await device.equals(this.server);
    return device;
  }

  /** What the server holds of the present space, by id. */
  titles(): Promise<Record<string, string>> {
    return titlesOf(this.server, this.space);
  }

  async clear(): Promise<void> {
    this.proxy.calm();
    for (const device of this.#open.splice(0)) await device.close();
    this.proxy.forget();
  }
}

/** Waits for something that has to happen soon. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + 8000; !(await condition()); await pause(10)) {
    assert.ok(Date.now() < end, `waited in vain until ${what}`);
  }
}
