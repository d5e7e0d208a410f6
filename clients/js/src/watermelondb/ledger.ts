/**
 * What a sync has to remember beside the rows, in the database's own local storage, and the number that ties it to them.
 *
 * WatermelonDB keeps one positive number, `lastPulledAt`, and writes it after the rows of a pull are in. A cursor is more
 * than a number: it has an epoch and a scope. Kept under a second key they could tear away from it in a crash, and a
 * revision read in the wrong history loses changes without a trace. So the number names its history itself: the upper
 * 10 of its 53 bits are a *generation*, the lower 43 the revision. What a generation stands for is written down *before*
 * any number can mention it, and the one before is kept beside it; so whichever of the two numbers a crash leaves
 * behind, its history is known. A generation that is not known (a database that another backend synced, a lost key)
 * counts as no cursor at all. The upper bits grow with each history, so the number does too, as WatermelonDB expects.
 */

import type { Database } from "@nozbe/watermelondb";
import { sanitizedRaw } from "@nozbe/watermelondb/RawRecord/index.js";
import type { MarkedRow, Value } from "./tables.js";

const REVISIONS = 2 ** 43;
const GENERATIONS = 2 ** 10;

/** How many conflicts make one entry: Android reads no row of more than 2 MB. */
const GROUP = 100;

/** What a generation stands for. Its cursors are `<epoch>.<rev><scope>`; without a space there is neither. */
interface History {
  generation: number;
  epoch: string | null;
  scope: string;
  /** Which columns were kept ({@link Tables.shape}). */
  shape: string;
}

/** Where the copy stands. */
export interface Position {
  /** Null when there was no space yet. */
  cursor: string | null;
  epoch: string | null;
  rev: number;
  shape: string;
}

/** An edit as it was pushed. */
export interface SentRow {
  table: string;
  id: string;
  /** Null for a deletion. */
  row: MarkedRow | null;
}

/** A push without an answer yet. */
export interface Pending {
  seq: number;
  cursor: string | null;
  base: number;
  rows: SentRow[];
}

/** What the server's win discarded. */
export interface Conflict {
  table: string;
  id: string;
  /** The columns whose local values were given up; null if it was a deletion. */
  mine: Record<string, Value> | null;
  /** The row that the server has, as far as this schema knows it; null if it is deleted there. */
  theirs: Record<string, Value> | null;
}

/** What the copy holds beyond its `lastPulledAt`. */
export interface Sent {
  rows: Map<string, SentRow>;
  /**
   * The last answer's cursor. It is one under way if others have written in between, and a restore that lost these rows
   * makes it void; the older cursor of `lastPulledAt` would still be good then, and the rows ghosts for ever. Null if
   * nothing was pushed, or where there was no cursor.
   */
  cursor: string | null;
}

interface SentPush {
  /** The `lastPulledAt` under which it was sent. */
  at: number;
  cursor: string | null;
  rows: SentRow[];
}

interface Identity {
  space: string;
  /** In `Strandline-Client`. Drawn at random: a name shared by two databases would share its `seq`, and lose pushes. */
  name: string;
  seq: number;
  histories: History[];
}

export class Ledger {
  readonly #database: Database;
  readonly #resets: number;
  readonly #label: string;
  #identity: Identity;
  #conflicts: Conflict[] = [];
  #sent: SentPush[] | undefined;

  private constructor(database: Database, label: string, identity: Identity) {
    this.#database = database;
    this.#resets = resetsOf(database);
    this.#label = label;
    this.#identity = identity;
  }

  /** Reads what is there; `label` begins the name under which operators see this database. */
  static async open(database: Database, space: string, label: string): Promise<Ledger> {
    const kept = await database.localStorage.get<Identity>("strandline" as never);
    if (kept && kept.space !== space) {
      throw new Error(
        `this database is a copy of the space ${kept.space}, not of ${space}: reset it (unsafeResetDatabase) before it takes another`,
      );
    }
    const ledger = new Ledger(database, label, kept ?? { space, name: `${label}-${randomId()}`, seq: 0, histories: [] });
    for (let at = 0; ; at++) {
      const group = await database.localStorage.get<Conflict[]>(`strandline_conflicts_${at}` as never);
      if (!group) return ledger;
      ledger.#conflicts.push(...group);
    }
  }

  /** What WatermelonDB keeps of the last pull. */
  async lastPulledAt(): Promise<number | null> {
    return Number.parseInt((await this.#database.adapter.getLocal("__watermelon_last_pulled_at")) ?? "", 10) || null;
  }

  get name(): string {
    return this.#identity.name;
  }

  /** Where the copy stands by `lastPulledAt`; undefined if that says nothing. */
  position(lastPulledAt: number | null | undefined): Position | undefined {
    const generation = Math.floor((lastPulledAt ?? 0) / REVISIONS);
    const history = this.#identity.histories.find((known) => known.generation === generation);
    if (!history) return undefined;
    const { epoch, scope, shape } = history;
    const rev = (lastPulledAt as number) % REVISIONS;
    return { cursor: epoch === null ? null : `${epoch}.${rev}${scope}`, epoch, rev, shape };
  }

  /** The `lastPulledAt` of a whole cursor (null: there is no space yet). Its history is on disk when this returns. */
  async stamp(cursor: string | null, shape: string, lastPulledAt: number | null | undefined): Promise<number> {
    const [, epoch = null, digits = "0", scope = ""] = /^([^.]+)\.(\d+)(~.*)?$/.exec(cursor ?? "") ?? [];
    if (cursor !== null && epoch === null) throw new Error(`${cursor} is no whole cursor`);
    const rev = Number(digits);
    if (rev >= REVISIONS) throw new RangeError(`revision ${rev} does not fit beside a generation into WatermelonDB's number`);
    const present = Math.floor((lastPulledAt ?? 0) / REVISIONS);
    const histories = this.#identity.histories.filter((known) => known.generation === present);
    const [same] = histories;
    if (same && same.epoch === epoch && same.scope === scope && same.shape === shape) return present * REVISIONS + rev;
    // Never zero, which would be no history; and never the present one, whose number is still in force.
    const generation = (present % (GENERATIONS - 1)) + 1;
    await this.#keep({ ...this.#identity, histories: [...histories, { generation, epoch, scope, shape }] });
    return generation * REVISIONS + rev;
  }

  /** The push that has no answer yet. */
  pending(): Promise<Pending | undefined> {
    return this.#database.localStorage.get<Pending>("strandline_pending" as never);
  }

  /** Numbers a push and writes it down, before anybody sends it. */
  async book(push: Omit<Pending, "seq">): Promise<Pending> {
    await this.#keep({ ...this.#identity, seq: this.#identity.seq + 1 });
    const pending = { seq: this.#identity.seq, ...push };
    await this.#set("strandline_pending", pending);
    return pending;
  }

  /** The push had an answer by which nothing was applied. */
  async unbook(): Promise<void> {
    await this.#remove("strandline_pending");
  }

  /**
   * The push was applied, and this is the cursor that the answer gave. Both are remembered for as long as `lastPulledAt`
   * stands where it does: it knows nothing of them, and the next pull must.
   */
  async acknowledge({ rows }: Pending, cursor: string | null, lastPulledAt: number): Promise<void> {
    const sent = await this.#sentPushes(lastPulledAt);
    const push: SentPush = { at: lastPulledAt, cursor, rows };
    await this.#set(`strandline_sent_${sent.length}`, push);
    sent.push(push);
    await this.#remove("strandline_pending");
  }

  /** What was pushed since the last pull, by {@link key}, and where that has taken the copy. */
  async sent(lastPulledAt: number | null | undefined): Promise<Sent> {
    const pushes = await this.#sentPushes(lastPulledAt ?? 0);
    const rows = new Map(pushes.flatMap((push) => push.rows.map((row) => [key(row.table, row.id), row])));
    return { rows, cursor: pushes.at(-1)?.cursor ?? null };
  }

  /** The counter was lost (a device restored from its backup): whoever it counted for is somebody else from now on. */
  async rename(): Promise<void> {
    await this.#keep({ ...this.#identity, name: `${this.#label}-${randomId()}`, seq: 0 });
  }

  /** Conflicts that the app was not told yet. */
  get conflicts(): readonly Conflict[] {
    return this.#conflicts;
  }

  /**
   * Writes down the conflicts there are now. They are on disk before the rows that they speak of are overwritten, also if
   * nobody waits: an adapter carries out what it is asked in order, and all of it is asked at once.
   */
  async list(conflicts: readonly Conflict[]): Promise<void> {
    const before = this.#conflicts.length;
    this.#conflicts = [...conflicts];
    const writes: Promise<void>[] = [];
    for (let at = 0; at < Math.max(before, conflicts.length); at += GROUP) {
      const group = conflicts.slice(at, at + GROUP);
      const name = `strandline_conflicts_${at / GROUP}`;
      writes.push(group.length ? this.#set(name, group) : this.#remove(name));
    }
    await Promise.all(writes);
  }

  /**
   * The pushes under this `lastPulledAt`: an entry each, so that a long outbox is not written anew with every push of it.
   * When that has moved on, they are cleared away.
   */
  async #sentPushes(lastPulledAt: number): Promise<SentPush[]> {
    const read = this.#sent === undefined;
    this.#sent ??= [];
    for (let at = 0; read; at++) {
      const push = await this.#database.localStorage.get<SentPush>(`strandline_sent_${at}` as never);
      if (!push) break;
      this.#sent.push(push);
    }
    if (this.#sent.every((push) => push.at === lastPulledAt)) return this.#sent;
    // From the last one on: what a crash leaves is found from the first.
    for (let at = this.#sent.length - 1; at >= 0; at--) await this.#remove(`strandline_sent_${at}`);
    return (this.#sent = []);
  }

  async #keep(identity: Identity): Promise<void> {
    this.#identity = identity;
    await this.#set("strandline", identity);
  }

  async #set(name: string, value: unknown): Promise<void> {
    this.#sameDatabase();
    await this.#database.localStorage.set(name as never, value);
  }

  async #remove(name: string): Promise<void> {
    this.#sameDatabase();
    await this.#database.localStorage.remove(name as never);
  }

  /** A run that outlives a reset (the user logged out) must not tie the empty database to its space. */
  #sameDatabase(): void {
    if (resetsOf(this.#database) !== this.#resets) throw new Error("the database was reset in the middle of a sync");
  }
}

/** A row's name in all tables. */
export function key(table: string, id: string): string {
  return `${table}/${id}`;
}

/** A name of WatermelonDB's own making, as for a new row: it has a source of chance also where there is no `crypto`. */
function randomId(): string {
  return sanitizedRaw({}, { name: "", columnArray: [] } as never).id;
}

function resetsOf(database: Database): number {
  return (database as unknown as { _resetCount: number })._resetCount;
}
