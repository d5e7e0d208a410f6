/** The typed calls of the whole protocol, on one space. */

import { backoff, sleep } from "./backoff.js";
import { isTransient, NetworkError, problemError, StrandlineError } from "./errors.js";
import { parseJson, readNdjson, readText } from "./ndjson.js";
import { readEvents } from "./sse.js";
import { type Answer, type Call, type ClientOptions, type Headings, Transport } from "./transport.js";
import type {
  Change,
  Checkpoint,
  CompactOrder,
  Compaction,
  Data,
  FetchPage,
  KnownClient,
  LiveChange,
  Manifest,
  Page,
  Problem,
  PushAnswer,
  PushBody,
  RecordList,
  RetentionPlan,
  RetentionRule,
  SpaceList,
  SpaceState,
  Tombstone,
} from "./types.js";

/** What every call takes. */
export interface CallOptions {
  signal?: AbortSignal;
}

/** From where, and of which collections (PROTOCOL.md §3). */
export interface PullOptions extends CallOptions {
  /** A cursor, a bare revision, an RFC 3339 time or `now`; absent is an initial sync. */
  since?: string | undefined;
  /** The collections wanted; absent means all. */
  collections?: string[] | undefined;
}

/** Of the live feed. */
export interface FeedOptions extends PullOptions {
  /** Called whenever a connection is made. */
  onOpen?: () => void;
}

/** Guards of a record's write (PROTOCOL.md §5); one that does not hold is a 412 `precondition_failed`. */
export interface WriteOptions extends CallOptions {
  /** The revision that the record must have. */
  ifMatch?: number;
  /** The record must not exist. */
  ifAbsent?: boolean;
  /** The record must not have changed since. */
  ifUnmodifiedSince?: Date;
}

/**
 * A client of one space. Calls throw `StrandlineError` (or its kinds `ResyncRequired` and `PushRefused`) when the server
 * answers with an error, and `NetworkError` when it does not answer.
 *
 * Records' data come as parsed JSON: digits of a number beyond a double's are lost in JavaScript.
 */
export class StrandlineClient {
  /** The space's name. */
  readonly spaceName: string;
  readonly #transport: Transport;
  readonly #path: string;

  constructor(options: ClientOptions) {
    this.spaceName = options.space;
    this.#transport = new Transport(options);
    this.#path = `/v1/spaces/${encodeURIComponent(options.space)}`;
  }

  /** What revision a client should have (PROTOCOL.md §2). */
  space(options: CallOptions = {}): Promise<SpaceState> {
    return this.#json("", options);
  }

  /** The spaces that the caller may read (PROTOCOL.md §2). */
  spaces({ limit, after, ...options }: { limit?: number; after?: string } & CallOptions = {}): Promise<SpaceList> {
    return this.#transport.json({ ...options, path: "/v1/spaces", query: { limit, after } });
  }

  /**
   * A page of what changed (PROTOCOL.md §3). `wait` holds the request open up to so many seconds while there is nothing.
   * Null is 304: with `etag`, nothing happened since the page that had it.
   */
  async changes(options: PullOptions & { limit?: number; wait?: number; etag?: string } = {}): Promise<Page | null> {
    const { limit, wait, etag, ...pull } = options;
    const answer = await this.#pull(pull, { "If-None-Match": etag }, limit, wait);
    if (answer.status === 304) return null;
    const page = parseJson<Page>(await readText(answer.pieces));
    const tag = answer.headers.get("ETag");
    if (tag) page.etag = tag;
    return page;
  }

  /**
   * What changed, as a stream without pages (PROTOCOL.md §3): changes, and now and then a `Checkpoint` from which a
   * broken stream can be resumed. The last line is the one with `has_more`; a stream without it throws.
   */
  async *lines(options: PullOptions = {}): AsyncGenerator<Change | Checkpoint> {
    const { pieces } = await this.#pull(options, { Accept: "application/x-ndjson" });
    for await (const line of readNdjson<Change | Checkpoint>(pieces)) {
      yield line;
      if ("has_more" in line) return;
    }
    throw new NetworkError("the stream was cut short");
  }

  /**
   * The live feed (PROTOCOL.md §3): pages as things change, for as long as the caller reads. A connection that breaks is
   * made anew from the last page's cursor, with backoff and jitter; `onOpen` is called whenever one is made.
   * Throws `ResyncRequired` when the cursor is of no use any more, and other errors that time does not heal.
   */
  async *events(options: FeedOptions = {}): AsyncGenerator<Page> {
    const pull = { ...options };
    // `now` would be a later one on every reconnect, and what happened between two of them lost.
    if (pull.since === "now") pull.since = (await this.changes(pull))?.cursor;
    for (let attempt = 0; ; attempt++) {
      let retryAfter: number | undefined;
      try {
        for await (const page of this.connect(pull)) {
          yield page;
          pull.since = page.cursor;
          attempt = 0;
        }
      } catch (error) {
        if (!isTransient(error)) throw error;
        if (error instanceof StrandlineError) retryAfter = error.retryAfter;
      }
      await sleep(backoff(attempt, retryAfter), pull.signal);
    }
  }

  /** One connection of the live feed: it ends, or throws, when the connection does. */
  async *connect({ onOpen, ...pull }: FeedOptions = {}): AsyncGenerator<Page> {
    const { pieces } = await this.#pull(pull, { Accept: "text/event-stream" });
    onOpen?.();
    for await (const { event, data } of readEvents(pieces)) {
      if (event === "resync") throw problemError(parseJson<Problem>(data));
      if (event === "changes") yield parseJson<Page>(data);
    }
  }

  /** Pushes edits (PROTOCOL.md §4). Throws `PushRefused` for an atomic push that was, and `ResyncRequired`. */
  push(body: PushBody, options: CallOptions = {}): Promise<PushAnswer> {
    return this.#json("/push", { ...options, method: "POST", body });
  }

  /** The exact set of live revisions, between bounds if given (PROTOCOL.md §6). */
  manifest(options: { collections?: string[]; from?: number; to?: number } & CallOptions = {}): Promise<Manifest> {
    const { collections, from, to, ...rest } = options;
    return this.#json("/manifest", { ...rest, query: { collections, from, to } });
  }

  /** A page of the live records that have these revisions (PROTOCOL.md §6); the page's `next` is the next call's `from`. */
  fetch(options: { runs: number[]; collections?: string[]; from?: number; limit?: number } & CallOptions): Promise<FetchPage> {
    const { signal, ...body } = options;
    return this.#json("/fetch", { method: "POST", body, signal });
  }

  /** All the live records that have these revisions, as a stream (PROTOCOL.md §6). Throws if it was cut short. */
  async *fetchLines(options: { runs: number[]; collections?: string[]; from?: number } & CallOptions): AsyncGenerator<LiveChange> {
    const { signal, ...body } = options;
    const headers = { Accept: "application/x-ndjson" };
    const call = { path: `${this.#path}/fetch`, method: "POST", body, headers, signal };
    const { pieces } = await this.#transport.send(call);
    for await (const line of readNdjson<LiveChange | { end: true; count: number }>(pieces)) {
      if ("end" in line) return;
      yield line;
    }
    throw new NetworkError("the stream was cut short");
  }

  /** One record (PROTOCOL.md §5). One that is not there, or deleted, is a 404 `not_found`. */
  record(collection: string, id: string, options: CallOptions = {}): Promise<LiveChange> {
    return this.#json(recordPath(collection, id), options);
  }

  /** A page of a collection's live records in order of id (PROTOCOL.md §5). */
  records(collection: string, options: { limit?: number; after?: string } & CallOptions = {}): Promise<RecordList> {
    const { limit, after, ...rest } = options;
    return this.#json(`/records/${encodeURIComponent(collection)}`, { ...rest, query: { limit, after } });
  }

  /** Writes a record as a whole (PROTOCOL.md §5). */
  put(collection: string, id: string, data: Data, options: WriteOptions = {}): Promise<LiveChange> {
    return this.#write("PUT", collection, id, options, data);
  }

  /** Merges into a record what `patch` says (PROTOCOL.md §5, RFC 7396): null takes a key away. */
  patch(collection: string, id: string, patch: Data, options: WriteOptions = {}): Promise<LiveChange> {
    return this.#write("PATCH", collection, id, options, patch, "application/merge-patch+json");
  }

  /** Deletes a record, and gives its tombstone (PROTOCOL.md §5). */
  delete(collection: string, id: string, options: WriteOptions = {}): Promise<Tombstone> {
    return this.#write("DELETE", collection, id, options);
  }

  /** Creates a record with an id that the server makes, a UUIDv7 (PROTOCOL.md §5). */
  create(collection: string, data: Data, options: CallOptions = {}): Promise<LiveChange> {
    return this.#json(`/records/${encodeURIComponent(collection)}`, { ...options, method: "POST", body: data });
  }

  /** Creates or configures the space (PROTOCOL.md §2). */
  configure(settings: { retention?: string } = {}, options: CallOptions = {}): Promise<SpaceState> {
    return this.#json("", { ...options, method: "PUT", body: settings });
  }

  /** Deletes the space with all it holds (PROTOCOL.md §2). */
  async deleteSpace(options: CallOptions = {}): Promise<void> {
    await this.#transport.send({ ...options, path: this.#path, method: "DELETE" });
  }

  /** How long deletions are remembered (PROTOCOL.md §7). */
  retention(options: CallOptions = {}): Promise<RetentionRule> {
    return this.#json("/retention", options);
  }

  /** Changes how long deletions are remembered; what is left out stays (PROTOCOL.md §7). */
  setRetention(rule: Partial<RetentionRule>, options: CallOptions = {}): Promise<RetentionRule> {
    return this.#json("/retention", { ...options, method: "PUT", body: rule });
  }

  /** What a purge of each of these windows, such as `7d`, would do now (PROTOCOL.md §7). */
  async retentionPlan(windows?: string[], options: CallOptions = {}): Promise<RetentionPlan[]> {
    return (await this.#json<{ plan: RetentionPlan[] }>("/retention/plan", { ...options, query: { windows } })).plan;
  }

  /** Purges tombstones now (PROTOCOL.md §7). */
  compact(order: CompactOrder = {}, options: CallOptions = {}): Promise<Compaction> {
    return this.#json("/compact", { ...options, method: "POST", body: order });
  }

  /** The clients that named themselves (PROTOCOL.md §7). */
  async clients(options: CallOptions = {}): Promise<KnownClient[]> {
    const all: KnownClient[] = [];
    for (let after: string | null | undefined; after !== null; ) {
      const query = { after, limit: 10_000 };
      const page: { clients: KnownClient[]; after: string | null } = await this.#json("/clients", { ...options, query });
      all.push(...page.clients);
      after = page.after;
    }
    return all;
  }

  #json<T>(path: string, call: Omit<Call, "path">): Promise<T> {
    return this.#transport.json<T>({ ...call, path: this.#path + path });
  }

  #pull({ since, collections, signal }: PullOptions, headers: Headings, limit?: number, wait?: number): Promise<Answer> {
    const query = { since, collections, limit, wait };
    return this.#transport.send({ path: `${this.#path}/changes`, query, headers, patience: wait ?? 0, signal });
  }

  #write<T>(method: string, collection: string, id: string, options: WriteOptions, body?: Data, type?: string): Promise<T> {
    const { ifMatch, ifAbsent, ifUnmodifiedSince, signal } = options;
    const headers = {
      "Content-Type": type,
      "If-Match": ifMatch === undefined ? undefined : `"${ifMatch}"`,
      "If-None-Match": ifAbsent ? "*" : undefined,
      "If-Unmodified-Since": ifUnmodifiedSince?.toUTCString(),
    };
    return this.#json(recordPath(collection, id), { method, headers, body, signal });
  }
}

function recordPath(collection: string, id: string): string {
  // A URL's `.` and `..` are steps in a path however they are encoded: the request would be another one.
  if (id === "." || id === "..") throw new TypeError(`a record with the id ${id} is reached by push and fetch only`);
  return `/records/${encodeURIComponent(collection)}/${encodeURIComponent(id)}`;
}
