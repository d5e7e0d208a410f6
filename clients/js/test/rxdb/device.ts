/** A device with RxDB on it: one database with one collection, replicated with the server under test. */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { createRxDatabase, getAssumedMasterState, getChangedDocumentsSince, type RxCollection, type RxDatabase } from "rxdb";
import type { RxReplicationState } from "rxdb/plugins/replication";
import { getRxStorageMemory } from "rxdb/plugins/storage-memory";
import { wrappedValidateAjvStorage } from "rxdb/plugins/validate-ajv";
import { type Checkpoint, type Conflict, replicateStrandline, type StrandlineOptions } from "../../src/rxdb/index.ts";
import type { Server } from "../bench/server.ts";

export interface Todo {
  id: string;
  title: string;
  done?: boolean;
}

const schema = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: { id: { type: "string", maxLength: 400 }, title: { type: "string" }, done: { type: "boolean" } },
  required: ["id", "title"],
} as const;

/** Validates, as applications do: a deletion without a body must not get through here. The memory outlives a database. */
const storage = wrappedValidateAjvStorage({ storage: getRxStorageMemory() });

let devices = 0;
let openings = 0;

export type DeviceOptions = Partial<StrandlineOptions<Todo>> & { url: string; space: string };

export class Device {
  database!: RxDatabase;
  todos!: RxCollection<Todo>;
  replication!: RxReplicationState<Todo, Checkpoint>;
  /** Every edit that was listed as not taken, over all restarts. */
  conflicts: Conflict<Todo>[] = [];
  /** What was emitted on `error$`. */
  errors: unknown[] = [];
  readonly #name: string;
  readonly #options: DeviceOptions;

  private constructor(options: DeviceOptions, name = `device-${process.pid}-${++devices}`) {
    this.#options = options;
    this.#name = name;
  }

  /** Another tab: the same database, opened once more, and replicated without regard to who leads. */
  async tab(): Promise<Device> {
    const tab = new Device({ ...this.#options, waitForLeadership: false }, this.#name);
    await tab.open();
    return tab;
  }

  static async start(options: DeviceOptions): Promise<Device> {
    const device = new Device(options);
    await device.open();
    return device;
  }

  /** Opens the database without replicating. */
  async openOffline(): Promise<void> {
    // RxDB opens a database once in a process, by the name of its storage too.
    const own = { ...storage, name: `${storage.name} ${++openings}` };
    const multiInstance = this.#options.waitForLeadership !== undefined;
    this.database = await createRxDatabase({ name: this.#name, storage: own, multiInstance, eventReduce: false });
    ({ todos: this.todos } = (await this.database.addCollections({ todos: { schema } })) as never);
  }

  async open(): Promise<void> {
    await this.openOffline();
    this.replicate();
  }

  replicate(options: Partial<DeviceOptions> = {}): void {
    this.replication = replicateStrandline(this.todos, {
      retryTime: 50,
      onConflict: (conflict) => void this.conflicts.push(conflict),
      ...this.#options,
      ...options,
    });
    this.replication.error$.subscribe((error) => this.errors.push(error));
  }

  /** Closes the database; what it holds stays for `open`. */
  async close(): Promise<void> {
    if (!this.database.closed) await this.database.close();
  }

  async restart(): Promise<void> {
    await this.close();
    await this.open();
  }

  async put(id: string, title: string): Promise<void> {
    await this.todos.upsert({ id, title });
  }

  async edit(id: string, title: string): Promise<void> {
    const document = await this.todos.findOne(id).exec(true);
    await document.incrementalPatch({ title });
  }

  async delete(id: string): Promise<void> {
    await (await this.todos.findOne(id).exec(true)).incrementalRemove();
  }

  /** The disk is slower than the network: documents are stored once the function that this gives is called. */
  slowDisk(): () => void {
    const { forkInstance } = this.replication.internalReplicationState!.input;
    const write = forkInstance.bulkWrite.bind(forkInstance);
    let spinUp!: () => void;
    const disk = new Promise<void>((resolve) => (spinUp = resolve));
    forkInstance.bulkWrite = (rows, context) => disk.then(() => write(rows, context));
    return spinUp;
  }

  /** What the user sees, by id. */
  async titles(): Promise<Record<string, string>> {
    const documents = await this.todos.find().exec();
    return Object.fromEntries(documents.map(({ id, title }) => [id, title] as const).sort());
  }

  /** Pulls, and waits until RxDB says that there is nothing more to do. */
  async sync(): Promise<void> {
    await this.replication.awaitInitialReplication();
    this.replication.reSync();
    await this.replication.awaitInSync();
  }

  /** The ids of documents with an edit that the server was not told of, as RxDB sees it. */
  async unsynced(): Promise<string[]> {
    const internal = this.replication.internalReplicationState!;
    const { documents } = await getChangedDocumentsSince(internal.input.forkInstance, 100_000);
    const stored = documents as unknown as (Todo & { _deleted: boolean })[];
    const assumed = await getAssumedMasterState(internal, stored.map((document) => document.id));
    return stored
      .filter((document) => {
        const state = assumed[document.id]?.docData as (Todo & { _deleted: boolean }) | undefined;
        if (!state) return !document._deleted;
        return state._deleted !== document._deleted || (!document._deleted && state.title !== document.title);
      })
      .map((document) => document.id);
  }

  /** Fails unless this device comes to hold what the server holds, and to have nothing to tell it. */
  async equals(server: Server, timeout = 8000): Promise<void> {
    const end = Date.now() + timeout;
    for (;;) {
      await this.sync();
      const wanted = await titlesOf(server, this.#options.space);
      const here = await this.titles();
      const unsynced = await this.unsynced();
      try {
        assert.deepEqual(here, wanted);
        assert.deepEqual(unsynced, []);
        return;
      } catch (error) {
        if (Date.now() > end) throw error;
      }
      await pause(20);
    }
  }
}

/** What the server holds, by id. */
export async function titlesOf(server: Server, space: string): Promise<Record<string, string>> {
  const records = await server.records(space, "todos");
  return Object.fromEntries([...records].map(([id, data]) => [id, data["title"] as string] as const).sort());
}
