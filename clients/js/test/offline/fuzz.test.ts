import "fake-indexeddb/auto";
import { after, before, test } from "node:test";
import { Server } from "../bench/server.ts";
import { World } from "./world.ts";

/** `STRANDLINE_FUZZ_SEEDS` many, from `STRANDLINE_FUZZ_FROM` on. */
const FROM = Number(process.env["STRANDLINE_FUZZ_FROM"] ?? 1);
const SEEDS = Number(process.env["STRANDLINE_FUZZ_SEEDS"] ?? 60);
const STEPS = 60;

let server: Server;
before(async () => (server = await Server.start()));
after(() => server.close());

for (let seed = FROM; seed < FROM + SEEDS; seed++) {
  const restores = seed % 5 === 0;
  test(`seed ${seed}${restores ? ", with restored backups" : ""}`, () => live(new World(server, seed), restores));
}

/** A life of edits and accidents, and at its end the reckoning. */
async function live(world: World, restores: boolean): Promise<void> {
  const pick = <T>(of: readonly T[]) => of[Math.floor(world.random() * of.length)] as T;
  // A space that the oldest backup does not have would be gone after a restore, and for good.
  if (restores) await world.server.put(world.space, "others", "made", {});
  let backup = restores ? await world.server.backup() : undefined;
  for (let step = 0; step < STEPS; step++) {
    const device = pick(world.devices);
    const tab = pick([0, 1]);
    const id = pick(["a", "b", "c", "d", "e", "f"]);
    const kind = world.random();
    const run = kind < 0.25 ? device.put(tab, id)
      : kind < 0.35 ? device.delete(tab, id)
      : kind < 0.5 ? world.elsewhere(id)
      : kind < 0.55 ? device.decideConflict(tab, world.random() < 0.6)
      : kind < 0.6 ? Promise.resolve(void (device.offline = !device.offline))
      : kind < 0.65 ? device.restart(tab)
      : kind < 0.75 ? device.doom(tab, Math.floor(world.random() * 25)).then(() => device.sync(tab))
      : kind < 0.85 ? Promise.all([device.sync(0), device.sync(1), device.put(tab, id)])
      : device.sync(tab);
    await Promise.resolve(run).catch((error: Error) => {
      if (error.constructor.name !== "Killed" && error.name !== "AbortError") throw error;
    });
    if (backup && world.chance(0.05)) backup = await world.server.backup();
    else if (backup && world.chance(0.05)) await world.oneByOne(() => world.server.restore(backup!));
  }
  world.calm = true;
  // Twice: what the second pushes in the end, the first has to pull.
  for (let round = 0; round < 2; round++) {
    for (const device of world.devices) {
      device.offline = false;
      await device.restart(0);
      await device.sync(0);
    }
  }
  for (const device of world.devices) await device.check();
}
