/** A device with a real WatermelonDB on LokiJS, which can be switched off in the middle of anything and on again. */

import { appSchema, Database, type DatabaseAdapter, Model, tableSchema } from "@nozbe/watermelondb";
import * as loki from "@nozbe/watermelondb/adapters/lokijs/index.js";
import * as loggers from "@nozbe/watermelondb/utils/common/logger/index.js";
import { type Conflict, type Rejection, strandlineSync, type StrandlineSyncOptions, type SyncResult } from "../../src/watermelondb/index.ts";

// Node gives the default export of a CommonJS module as a property of its default export.
const LokiJSAdapter = interop<new (options: object) => DatabaseAdapter>(loki);
const logger = interop<object>(loggers);

/** What WatermelonDB itself reported as errors: a sync that is mapped rightly leaves none. */
export const reported: string[] = [];
Object.assign(logger, { debug() {}, log() {}, warn() {}, error: report });

function report(error: unknown): void {
  if (!String(error).includes("switched off")) reported.push(String(error));
}

class Todo extends Model {
  static override table = "todos";
}
class Tag extends Model {
  static override table = "tags";
}

const TAGS = tableSchema({ name: "tags", columns: [{ name: "label", type: "string" }] });
const TITLE = { name: "title", type: "string" } as const;
const NOTE = { name: "note", type: "string", isOptional: true } as const;

/** The app's schema of today. */
export const SCHEMA = appSchema({ version: 2, tables: [tableSchema({ name: "todos", columns: [TITLE, NOTE] }), TAGS] });
/** That of an older version, which knows no notes. */
export const OLD_SCHEMA = appSchema({ version: 1, tables: [tableSchema({ name: "todos", columns: [TITLE] }), TAGS] });

type Columns = Record<string, string | number | boolean | null>;
/** What is on the disk: a database as LokiJS writes it. */
type Disk = string | null;

/** The device was switched off in the middle of its work. */
export class SwitchedOff extends Error {
  override message = "switched off";
}

export class Device {
  readonly #conflicts: Conflict[] = [];
  readonly rejected: Rejection[] = [];
  database!: Database;
  readonly #options: Omit<StrandlineSyncOptions, "database">;
  #driver!: Driver;
  #disk: Disk = null;
  #writesLeft = Infinity;
  /** Called before each write to the disk, with the name of what is written. */
  onWrite: ((what: string) => void) | undefined;

  private constructor(options: Omit<StrandlineSyncOptions, "database">) {
    this.#options = options;
  }

  /** A new device; or one that begins as the copy of another's disk. */
  static async start(options: Omit<StrandlineSyncOptions, "database">, { schema = SCHEMA, disk = null as Disk } = {}): Promise<Device> {
    const device = new Device(options);
    device.#disk = disk;
    await device.restart(schema);
    return device;
  }

  /** What the app was told, in order of ids. */
  get conflicts(): Conflict[] {
    return this.#conflicts.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** The database as it is on the disk now. */
  get disk(): string {
    return this.#driver.loki.serialize();
  }

  /** Ends the app and starts it again, as it may be a new version with another schema. */
  async restart(schema = SCHEMA): Promise<void> {
    if (this.#driver && this.#writesLeft >= 0) this.#disk = this.disk;
    this.#writesLeft = Infinity;
    const persistence = { loadDatabase: (_: string, done: (disk: Disk) => void) => done(this.#disk), deleteDatabase: (_: string, done: () => void) => done() };
    const adapter = new LokiJSAdapter({
      schema,
      ...(schema === SCHEMA && { migrations: MIGRATIONS }),
      useWebWorker: false,
      useIncrementalIndexedDB: true,
      extraLokiOptions: { autosave: false },
      _testLokiAdapter: { ...persistence, saveDatabase: (_: string, __: string, done: () => void) => done() },
    });
    this.database = new Database({ adapter, modelClasses: [Todo, Tag] });
    await this.database.adapter.getLocal("ready");
    this.#driver = (adapter as unknown as { _driver: Driver })._driver;
    for (const method of ["batch", "setLocal", "removeLocal"] as const) this.#guard(method);
  }

  /** Whether it was switched off. */
  get isOff(): boolean {
    return this.#writesLeft < 0;
  }

  /** Switches it off before its write number `n` from now on, counted from 0: whatever it then does fails, until {@link restart}. */
  switchOffAfter(writes: number): void {
    this.#writesLeft = writes;
  }

  sync(more: Partial<StrandlineSyncOptions> = {}): Promise<SyncResult> {
    return strandlineSync({ ...this.options, ...more });
  }

  /** What it syncs with. */
  get options(): StrandlineSyncOptions {
    return {
      database: this.database,
      onConflict: (conflict) => void this.#conflicts.push(conflict),
      onRejected: (rejection) => void this.rejected.push(rejection),
      ...this.#options,
    };
  }

  create(id: string, columns: Columns, table = "todos"): Promise<unknown> {
    return this.database.write(() =>
      this.database.get(table).create((record) => {
        record._raw.id = id;
        for (const [column, value] of Object.entries(columns)) record._setRaw(column as never, value);
      }),
    );
  }

  edit(id: string, columns: Columns, table = "todos"): Promise<unknown> {
    return this.database.write(async () => {
      const record = await this.database.get(table).find(id);
      await record.update(() => {
        for (const [column, value] of Object.entries(columns)) record._setRaw(column as never, value);
      });
    });
  }

  delete(id: string, table = "todos"): Promise<void> {
    return this.database.write(async () => (await this.database.get(table).find(id)).markAsDeleted());
  }

  /** The visible rows of a table by id, without WatermelonDB's marks. */
  async rows(table = "todos"): Promise<Map<string, Columns>> {
    const records = await this.database.get(table).query().fetch();
    return new Map(
      records.map((record) => {
        const { id, _status, _changed, ...columns } = record._raw as unknown as Columns;
        return [id as string, columns];
      }),
    );
  }

  /** Ids of all rows that are still to be pushed. */
  async unpushed(): Promise<string[]> {
    const ids: string[] = [];
    for (const table of ["todos", "tags"]) {
      const records = await this.database.get(table).query().fetch();
      ids.push(...records.filter((record) => record.syncStatus !== "synced").map((record) => record.id));
      ids.push(...(await this.database.adapter.getDeletedRecords(table as never)));
    }
    return ids;
  }

  /** A write that comes after the switch leaves the disk as it was. */
  #guard(method: "batch" | "setLocal" | "removeLocal"): void {
    const write = this.#driver[method].bind(this.#driver) as (...payload: unknown[]) => void;
    this.#driver[method] = (...payload: unknown[]) => {
      this.onWrite?.(method === "batch" ? "rows" : String(payload[0]));
      if (this.#writesLeft === 0) this.#disk = this.disk;
      this.#writesLeft -= 1;
      if (this.#writesLeft < 0) throw new SwitchedOff();
      write(...payload);
    };
  }
}

interface Driver {
  loki: { serialize(): string };
  batch(...payload: unknown[]): void;
  setLocal(...payload: unknown[]): void;
  removeLocal(...payload: unknown[]): void;
}

const MIGRATIONS = {
  validated: true,
  minVersion: 1,
  maxVersion: 2,
  sortedMigrations: [{ toVersion: 2, steps: [{ type: "add_columns", table: "todos", columns: [NOTE] }] }],
};

function interop<T>(module: unknown): T {
  let found = module as { default?: unknown };
  while (found.default) found = found.default as typeof found;
  return found as T;
}
