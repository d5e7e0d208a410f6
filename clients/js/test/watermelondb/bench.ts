/** What the tests of the adapter share: a server behind a proxy, a space a test, and what it means to be settled. */

import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";
import { FaultProxy } from "../bench/proxy.ts";
import { Server } from "../bench/server.ts";
import { Device, reported } from "./device.ts";

export const bench = {} as { server: Server; proxy: FaultProxy; space: string };
let spaces = 0;

before(async () => {
  bench.server = await Server.start();
  bench.proxy = await FaultProxy.start(bench.server);
});
after(async () => {
  await bench.proxy?.close();
  await bench.server?.close();
});
afterEach(() => {
  bench.proxy.calm();
  assert.deepEqual(reported.splice(0), [], "WatermelonDB reported errors");
});

/** So many devices of one new space. */
export async function given(devices: number): Promise<Device[]> {
  bench.space = `space-${spaces++}`;
  bench.proxy.forget();
  return Promise.all(Array.from({ length: devices }, () => Device.start({ url: bench.proxy.url, space: bench.space })));
}

/** Every device equals the server and has nothing to push. */
export async function assertSettled(...devices: Device[]): Promise<void> {
  for (const table of ["todos", "tags"]) {
    const records = await bench.server.records(bench.space, table);
    for (const device of devices) {
      const rows = await device.rows(table);
      assert.deepEqual([...rows.keys()].sort(), [...records.keys()].sort());
      for (const [id, row] of rows) {
        for (const [column, value] of Object.entries(row)) assert.equal(records.get(id)?.[column] ?? null, value, `${column} of ${id}`);
      }
    }
  }
  for (const device of devices) assert.deepEqual(await device.unpushed(), []);
}

/** Id and title of each to-do that a device shows. */
export async function todos(device: Device): Promise<Record<string, unknown>> {
  return Object.fromEntries([...(await device.rows())].map(([id, { title }]) => [id, title]));
}
