/**
 * The shapes that travel, named as PROTOCOL.md names them: what the server sends is handed on as it came.
 *
 * A record's `data` is parsed JSON. The server keeps every digit of a number, JavaScript does not: digits beyond
 * those of a double are lost when `data` is read here, and so are lost for good when it is written back.
 */

/** A record's `data`: a JSON object. */
export type Data = Record<string, unknown>;

/** A live record in its latest version (PROTOCOL.md §2). */
export interface LiveChange {
  collection: string;
  id: string;
  rev: number;
  /** The server's UTC time of the change, RFC 3339 with microseconds. */
  modified_at: string;
  deleted: false;
  data: Data;
}

/** A deleted record: it keeps its name and revision, and has no data (PROTOCOL.md §1). */
export interface Tombstone {
  collection: string;
  id: string;
  rev: number;
  modified_at: string;
  deleted: true;
  data?: undefined;
}

/** The one shape in which a record travels (PROTOCOL.md §2). */
export type Change = LiveChange | Tombstone;

/** A record that is not there: never written, or purged (PROTOCOL.md §4). */
export interface Absent {
  collection: string;
  id: string;
  rev: null;
  deleted: true;
  modified_at?: undefined;
  data?: undefined;
}

/** What the server has of a record, as a conflict tells it (PROTOCOL.md §4). */
export type ServerRecord = Change | Absent;

/** What revision a client should have (PROTOCOL.md §2). */
export interface SpaceState {
  space: string;
  epoch: string;
  head: number;
  horizon: number;
  cursor: string;
  records: number;
  tombstones: number;
  checksum: string;
  retention: string;
  created_at: string;
  modified_at: string;
}

/** A page of the list of spaces (PROTOCOL.md §2). */
export interface SpaceList {
  spaces: SpaceState[];
  after: string | null;
}

/** A page of a pull (PROTOCOL.md §3). `count` and `checksum` are there when `has_more` is false. */
export interface Page {
  changes: Change[];
  cursor: string;
  has_more: boolean;
  head: number;
  horizon: number;
  /** Until when this cursor surely needs no resync; null when tombstones are kept for ever. */
  valid_until: string | null;
  count?: number;
  checksum?: string;
  /** The answer's `ETag`, for the next call's `etag`; pages of the live feed have none. */
  etag?: string;
}

/**
 * A line of the NDJSON form that carries a cursor: everything before it is covered (PROTOCOL.md §3).
 * The last line of a stream has `has_more`, `head` and `horizon` too, and `count` and `checksum` if nothing is left.
 */
export interface Checkpoint {
  cursor: string;
  has_more?: boolean;
  head?: number;
  horizon?: number;
  count?: number;
  checksum?: string;
}

/** What the client had seen of a record when it was edited; absent or null: "it does not exist" (PROTOCOL.md §4). */
export type BaseRev = number | "*" | null;

/** One edit of a push: exactly one of `data`, `patch` and `deleted` (PROTOCOL.md §4). */
export type PushChange = { collection: string; id: string; base_rev?: BaseRev } & (
  | { data: Data; patch?: never; deleted?: never }
  | { patch: Data; data?: never; deleted?: never }
  | { deleted: true; data?: never; patch?: never }
);

/** The body of a push (PROTOCOL.md §4). `seq` needs a client with a name. */
export interface PushBody {
  changes: PushChange[];
  cursor?: string;
  collections?: string[];
  seq?: number;
  atomic?: boolean;
}

/** What became of one edit (PROTOCOL.md §4). */
export type PushResult = { collection: string; id: string } & (
  | { status: "applied"; rev: number; modified_at: string }
  | { status: "unchanged"; rev: number | null; modified_at?: string }
  | { status: "conflict"; record: ServerRecord }
  | { status: "rejected"; problem: { code: string; detail: string } }
  /** In a refused atomic push: it would have been applied. */
  | { status: "not_applied" }
);

/** The answer to a push: one result a change, in order (PROTOCOL.md §4). */
export interface PushAnswer {
  results: PushResult[];
  previous_head: number;
  head: number;
  /** Null where there is no space, and nothing was applied that would have made it. */
  cursor: string | null;
  duplicate: boolean;
}

/** The exact set of live revisions (PROTOCOL.md §6). `cursor` is left out between bounds. */
export interface Manifest {
  epoch: string;
  cursor?: string;
  head: number;
  horizon: number;
  count: number;
  checksum: string;
  runs: number[];
}

/** Live records by their revisions (PROTOCOL.md §6). `next` is the following call's `from`. */
export interface FetchPage {
  changes: LiveChange[];
  has_more: boolean;
  next: number | null;
}

/** A page of a collection's live records in order of id (PROTOCOL.md §5). */
export interface RecordList {
  records: LiveChange[];
  after: string | null;
}

/** How long deletions are remembered (PROTOCOL.md §7). Durations are such as `30d`, or `forever`. */
export interface RetentionRule {
  retention: string;
  hold_for_clients: boolean;
  max_retention: string;
  /** Tombstones that are kept, at the most, whatever their age; `null` in a change takes the bound away. */
  max_tombstones?: number | null;
}

/** Which tombstones to purge (PROTOCOL.md §7): by the space's retention where nothing is said, and honouring a hold. */
export interface CompactOrder {
  older_than?: string;
  dry_run?: boolean;
  force?: boolean;
}

/** What a purge did, or would do (PROTOCOL.md §7). */
export interface Compaction {
  purged: number;
  bytes: number;
  horizon_before: number;
  horizon: number;
  clients_behind: number;
}

/** What a purge of one window would do now (PROTOCOL.md §7). */
export interface RetentionPlan {
  window: string;
  tombstones: number;
  bytes: number;
  horizon: number;
  clients_behind: number;
  clients: string[];
  resync_bytes: number;
  /** What full downloads by these clients would cost. */
  download_bytes: number;
}

/** What the server knows of a client that names itself (PROTOCOL.md §7). */
export interface KnownClient {
  client: string;
  cursor: string | null;
  rev: number;
  behind: number;
  last_seen: string;
  agent: string | null;
  /** What it asks for; absent for the whole space. */
  collections?: string[];
}

/** Why a client must resync (PROTOCOL.md §3). */
export type ResyncReason = "epoch" | "ahead" | "scope" | "purged";

/** An error as the server tells it, RFC 9457 (PROTOCOL.md §8), with the members of the codes that have more. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  /** `resync_required` */
  reason?: ResyncReason;
  epoch?: string;
  head?: number;
  horizon?: number;
  shared_rev?: number;
  /** `push_refused` */
  results?: PushResult[];
  /** `precondition_failed`: what the server has. */
  record?: ServerRecord;
  /** `not_found` of a tombstone. */
  rev?: number;
  modified_at?: string;
  /** `internal`: what the server's log also has. */
  id?: string;
}
