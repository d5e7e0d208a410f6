// Made from clients/js/src by `npm run build` in clients/js: change it there.

// src/backoff.ts
var FIRST_MS = 500;
var LONGEST_MS = 6e4;
function backoff(attempt, retryAfter2 = 0) {
  const step = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
  return retryAfter2 * 1e3 + step * (0.5 + Math.random() / 2);
}
function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const done2 = () => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    };
    const timer = setTimeout(done2, ms);
    const aborted = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", aborted, { once: true });
  });
}

// src/checksum.ts
function productHigh(a, b) {
  const a0 = a & 65535;
  const a1 = a >>> 16;
  const b0 = b & 65535;
  const b1 = b >>> 16;
  const middle = a1 * b0 + (a0 * b0 >>> 16);
  const carry = a0 * b1 + middle % 65536;
  return a1 * b1 + Math.floor(middle / 65536) + Math.floor(carry / 65536);
}
var Checksum = class _Checksum {
  count;
  #high = 0;
  #low = 0;
  /** Goes on from a set already known, or from the empty one. */
  constructor(count = 0, checksum = "0000000000000000") {
    this.count = count;
    this.#high = parseInt(checksum.slice(0, 8), 16) | 0;
    this.#low = parseInt(checksum.slice(8), 16) | 0;
  }
  /** The checksum of some revisions. */
  static of(revs) {
    const sum = new _Checksum();
    for (const rev of revs) sum.add(rev);
    return sum;
  }
  add(rev) {
    this.count += 1;
    this.#toggle(rev);
  }
  remove(rev) {
    this.count -= 1;
    this.#toggle(rev);
  }
  /** 16 lower-case hex digits, as the protocol writes it. */
  toString() {
    return hex(this.#high) + hex(this.#low);
  }
  /** XOR with `mix(rev)`: adding and removing are the same. */
  #toggle(rev) {
    let low = (rev >>> 0) + 2135587861;
    let high = Math.floor(rev / 4294967296) + 2654435769 + (low > 4294967295 ? 1 : 0) >>> 0;
    low >>>= 0;
    for (const [shift, byHigh, byLow] of ROUNDS) {
      const shifted = low ^ (low >>> shift | high << 32 - shift);
      high ^= high >>> shift;
      high = productHigh(shifted >>> 0, byLow) + Math.imul(high, byLow) + Math.imul(shifted, byHigh) >>> 0;
      low = Math.imul(shifted, byLow) >>> 0;
    }
    this.#low ^= low ^ (low >>> 31 | high << 1);
    this.#high ^= high ^ high >>> 31;
  }
};
var ROUNDS = [
  [30, 3210233709, 484763065],
  [27, 2496678331, 321982955]
];
function hex(half) {
  return (half >>> 0).toString(16).padStart(8, "0");
}

// src/errors.ts
var StrandlineError = class extends Error {
  name = "StrandlineError";
  /** The HTTP status. */
  status;
  /** The problem's stable code, such as `not_found`; `unknown` when the answer was not the server's own. */
  code;
  problem;
  /** Seconds that the server asks to wait, if it says so. */
  retryAfter;
  constructor(problem, retryAfter2) {
    super(`${problem.status} ${problem.code}: ${problem.detail || problem.title}`);
    this.status = problem.status;
    this.code = problem.code;
    this.problem = problem;
    this.retryAfter = retryAfter2;
  }
};
var ResyncRequired = class extends StrandlineError {
  name = "ResyncRequired";
  reason;
  epoch;
  head;
  horizon;
  /** Up to this revision, what the client holds is still this history. */
  sharedRev;
  constructor(problem) {
    super(problem);
    this.reason = problem.reason;
    this.epoch = problem.epoch;
    this.head = problem.head;
    this.horizon = problem.horizon;
    this.sharedRev = problem.shared_rev;
  }
};
var PushRefused = class extends StrandlineError {
  name = "PushRefused";
  results;
  constructor(problem) {
    super(problem);
    this.results = problem.results;
  }
};
var NetworkError = class extends Error {
  name = "NetworkError";
};
function problemError(problem, retryAfter2) {
  if (problem.code === "resync_required") return new ResyncRequired(problem);
  if (problem.code === "push_refused") return new PushRefused(problem);
  return new StrandlineError(problem, retryAfter2);
}
function isTransient(error) {
  return error instanceof StrandlineError ? TRANSIENT.has(error.status) : error instanceof NetworkError;
}
var TRANSIENT = /* @__PURE__ */ new Set([408, 429, 500, 502, 503, 504]);

// src/ndjson.ts
async function readText(pieces) {
  let text = "";
  for await (const piece of pieces) text += piece;
  return text;
}
async function* readLines(pieces) {
  let rest = "";
  for await (const piece of pieces) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop();
    for (const line of lines) yield line.endsWith("\r") ? line.slice(0, -1) : line;
  }
  if (rest) yield rest;
}
async function* readNdjson(pieces) {
  for await (const line of readLines(pieces)) if (line) yield parseJson(line);
}
function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new NetworkError("the answer is not JSON", { cause });
  }
}

// src/sse.ts
async function* readEvents(pieces) {
  let event = "message";
  let data = [];
  for await (const line of readLines(pieces)) {
    if (line === "") {
      if (data.length) yield { event, data: data.join("\n") };
      event = "message";
      data = [];
      continue;
    }
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
  }
}

// src/transport.ts
var SILENCE_MS = 45e3;
var Transport = class {
  #options;
  #base;
  constructor(options) {
    if (options.name !== void 0 && !/^[!-~]{1,128}$/.test(options.name)) {
      throw new TypeError("a client's name is 1 to 128 visible ASCII characters");
    }
    this.#options = options;
    this.#base = options.url.replace(/\/+$/, "");
  }
  /** The whole answer, parsed. */
  async json(call) {
    return parseJson(await readText((await this.send(call)).pieces));
  }
  /** Sends a request, and hands the answer on once its headers are here. Errors of §8 are thrown. */
  async send(call) {
    const { signal } = call;
    signal?.throwIfAborted();
    const init = await this.#init(call);
    const line = new Line(signal, SILENCE_MS + (call.patience ?? 0) * 1e3);
    const go = this.#options.fetch ?? fetch;
    const url = this.#base + call.path + queryString(call.query);
    const response = await line.guard(() => go(url, { ...init, signal: line.signal }));
    const pieces = line.read(response);
    if (response.ok || response.status === 304) {
      if (response.status === 304 || response.status === 204) line.close();
      return { status: response.status, headers: response.headers, pieces };
    }
    throw problemError(asProblem(response, await readText(pieces)), retryAfter(response));
  }
  async #init(call) {
    const { token, name } = this.#options;
    const headers = new Headers();
    for (const [key, value] of Object.entries(call.headers ?? {})) if (value !== void 0) headers.set(key, value);
    const bearer = typeof token === "function" ? await token() : token;
    if (bearer !== void 0) headers.set("Authorization", `Bearer ${bearer}`);
    if (name !== void 0) headers.set("Strandline-Client", name);
    const init = { method: call.method ?? "GET", headers, cache: "no-store" };
    if (call.body !== void 0) {
      if (!headers.has("Content-Type")) headers.set("Content-Type", "application/json");
      init.body = JSON.stringify(call.body);
    }
    return init;
  }
};
var Line = class {
  #caller;
  #abort = new AbortController();
  #onAbort = () => this.#abort.abort();
  #timer;
  constructor(caller, patience) {
    this.#caller = caller;
    caller?.addEventListener("abort", this.#onAbort);
    this.#watch(patience);
  }
  get signal() {
    return this.#abort.signal;
  }
  close() {
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener("abort", this.#onAbort);
  }
  /** Runs a step on the network. If it fails, that is the caller's abort, or a `NetworkError`. */
  async guard(step) {
    try {
      return await step();
    } catch (cause) {
      this.close();
      this.#caller?.throwIfAborted();
      throw new NetworkError("the server does not answer", { cause });
    }
  }
  /** The body's text in pieces. */
  async *read(response) {
    const reader = response.body?.getReader();
    if (!reader) {
      const text = await this.guard(() => response.text());
      this.close();
      if (text) yield text;
      return;
    }
    const decoder = new TextDecoder();
    try {
      for (; ; ) {
        this.#watch(SILENCE_MS);
        const { done: done2, value } = await this.guard(() => reader.read());
        if (done2) return;
        yield decoder.decode(value, { stream: true });
      }
    } finally {
      this.close();
      this.#abort.abort();
    }
  }
  #watch(patience) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onAbort, patience);
  }
};
function queryString(query = {}) {
  const parts = [];
  for (const [key, value] of Object.entries(query)) {
    if (value !== void 0) parts.push(`${key}=${encodeURIComponent(String(value))}`);
  }
  return parts.length ? `?${parts.join("&")}` : "";
}
function asProblem(response, text) {
  const { status, statusText: title } = response;
  try {
    const problem = JSON.parse(text);
    if (typeof problem?.code === "string") return problem;
  } catch {
  }
  return { type: "about:blank", title, status, detail: text.slice(0, 200), code: "unknown" };
}
function retryAfter(response) {
  const value = response.headers.get("Retry-After");
  if (!value) return void 0;
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1e3;
  return Number.isNaN(seconds) ? void 0 : Math.max(0, seconds);
}

// src/client.ts
var StrandlineClient = class {
  /** The space's name. */
  spaceName;
  #transport;
  #path;
  constructor(options) {
    this.spaceName = options.space;
    this.#transport = new Transport(options);
    this.#path = `/v1/spaces/${encodeURIComponent(options.space)}`;
  }
  /** What revision a client should have (PROTOCOL.md §2). */
  space(options = {}) {
    return this.#json("", options);
  }
  /** The spaces that the caller may read (PROTOCOL.md §2). */
  spaces({ limit, after, ...options } = {}) {
    return this.#transport.json({ ...options, path: "/v1/spaces", query: { limit, after } });
  }
  /**
   * A page of what changed (PROTOCOL.md §3). `wait` holds the request open up to so many seconds while there is nothing.
   * Null is 304: with `etag`, nothing happened since the page that had it.
   */
  async changes(options = {}) {
    const { limit, wait, etag, ...pull } = options;
    const answer = await this.#pull(pull, { "If-None-Match": etag }, limit, wait);
    if (answer.status === 304) return null;
    const page = parseJson(await readText(answer.pieces));
    const tag = answer.headers.get("ETag");
    if (tag) page.etag = tag;
    return page;
  }
  /**
   * What changed, as a stream without pages (PROTOCOL.md §3): changes, and now and then a `Checkpoint` from which a
   * broken stream can be resumed. The last line is the one with `has_more`; a stream without it throws.
   */
  async *lines(options = {}) {
    const { pieces } = await this.#pull(options, { Accept: "application/x-ndjson" });
    for await (const line of readNdjson(pieces)) {
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
  async *events(options = {}) {
    const pull = { ...options };
    if (pull.since === "now") pull.since = (await this.changes(pull))?.cursor;
    for (let attempt = 0; ; attempt++) {
      let retryAfter2;
      try {
        for await (const page of this.connect(pull)) {
          yield page;
          pull.since = page.cursor;
          attempt = 0;
        }
      } catch (error) {
        if (!isTransient(error)) throw error;
        if (error instanceof StrandlineError) retryAfter2 = error.retryAfter;
      }
      await sleep(backoff(attempt, retryAfter2), pull.signal);
    }
  }
  /** One connection of the live feed: it ends, or throws, when the connection does. */
  async *connect({ onOpen, ...pull } = {}) {
    const { pieces } = await this.#pull(pull, { Accept: "text/event-stream" });
    onOpen?.();
    for await (const { event, data } of readEvents(pieces)) {
      if (event === "resync") throw problemError(parseJson(data));
      if (event === "changes") yield parseJson(data);
    }
  }
  /** Pushes edits (PROTOCOL.md §4). Throws `PushRefused` for an atomic push that was, and `ResyncRequired`. */
  push(body2, options = {}) {
    return this.#json("/push", { ...options, method: "POST", body: body2 });
  }
  /** The exact set of live revisions, between bounds if given (PROTOCOL.md §6). */
  manifest(options = {}) {
    const { collections, from, to, ...rest } = options;
    return this.#json("/manifest", { ...rest, query: { collections, from, to } });
  }
  /** A page of the live records that have these revisions (PROTOCOL.md §6); the page's `next` is the next call's `from`. */
  fetch(options) {
    const { signal, ...body2 } = options;
    return this.#json("/fetch", { method: "POST", body: body2, signal });
  }
  /** All the live records that have these revisions, as a stream (PROTOCOL.md §6). Throws if it was cut short. */
  async *fetchLines(options) {
    const { signal, ...body2 } = options;
    const headers = { Accept: "application/x-ndjson" };
    const call = { path: `${this.#path}/fetch`, method: "POST", body: body2, headers, signal };
    const { pieces } = await this.#transport.send(call);
    for await (const line of readNdjson(pieces)) {
      if ("end" in line) return;
      yield line;
    }
    throw new NetworkError("the stream was cut short");
  }
  /** One record (PROTOCOL.md §5). One that is not there, or deleted, is a 404 `not_found`. */
  record(collection, id, options = {}) {
    return this.#json(recordPath(collection, id), options);
  }
  /** A page of a collection's live records in order of id (PROTOCOL.md §5). */
  records(collection, options = {}) {
    const { limit, after, ...rest } = options;
    return this.#json(`/records/${encodeURIComponent(collection)}`, { ...rest, query: { limit, after } });
  }
  /** Writes a record as a whole (PROTOCOL.md §5). */
  put(collection, id, data, options = {}) {
    return this.#write("PUT", collection, id, options, data);
  }
  /** Merges into a record what `patch` says (PROTOCOL.md §5, RFC 7396): null takes a key away. */
  patch(collection, id, patch, options = {}) {
    return this.#write("PATCH", collection, id, options, patch, "application/merge-patch+json");
  }
  /** Deletes a record, and gives its tombstone (PROTOCOL.md §5). */
  delete(collection, id, options = {}) {
    return this.#write("DELETE", collection, id, options);
  }
  /** Creates a record with an id that the server makes, a UUIDv7 (PROTOCOL.md §5). */
  create(collection, data, options = {}) {
    return this.#json(`/records/${encodeURIComponent(collection)}`, { ...options, method: "POST", body: data });
  }
  /** Creates or configures the space (PROTOCOL.md §2). */
  configure(settings = {}, options = {}) {
    return this.#json("", { ...options, method: "PUT", body: settings });
  }
  /** Deletes the space with all it holds (PROTOCOL.md §2). */
  async deleteSpace(options = {}) {
    await this.#transport.send({ ...options, path: this.#path, method: "DELETE" });
  }
  /** How long deletions are remembered (PROTOCOL.md §7). */
  retention(options = {}) {
    return this.#json("/retention", options);
  }
  /** Changes how long deletions are remembered; what is left out stays (PROTOCOL.md §7). */
  setRetention(rule, options = {}) {
    return this.#json("/retention", { ...options, method: "PUT", body: rule });
  }
  /** What a purge of each of these windows, such as `7d`, would do now (PROTOCOL.md §7). */
  async retentionPlan(windows, options = {}) {
    return (await this.#json("/retention/plan", { ...options, query: { windows } })).plan;
  }
  /** Purges tombstones now (PROTOCOL.md §7). */
  compact(order = {}, options = {}) {
    return this.#json("/compact", { ...options, method: "POST", body: order });
  }
  /** The clients that named themselves (PROTOCOL.md §7). */
  async clients(options = {}) {
    const all = [];
    for (let after; after !== null; ) {
      const query = { after, limit: 1e4 };
      const page = await this.#json("/clients", { ...options, query });
      all.push(...page.clients);
      after = page.after;
    }
    return all;
  }
  #json(path, call) {
    return this.#transport.json({ ...call, path: this.#path + path });
  }
  #pull({ since, collections, signal }, headers, limit, wait) {
    const query = { since, collections, limit, wait };
    return this.#transport.send({ path: `${this.#path}/changes`, query, headers, patience: wait ?? 0, signal });
  }
  #write(method, collection, id, options, body2, type) {
    const { ifMatch, ifAbsent, ifUnmodifiedSince, signal } = options;
    const headers = {
      "Content-Type": type,
      "If-Match": ifMatch === void 0 ? void 0 : `"${ifMatch}"`,
      "If-None-Match": ifAbsent ? "*" : void 0,
      "If-Unmodified-Since": ifUnmodifiedSince?.toUTCString()
    };
    return this.#json(recordPath(collection, id), { method, headers, body: body2, signal });
  }
};
function recordPath(collection, id) {
  if (id === "." || id === "..") throw new TypeError(`a record with the id ${id} is reached by push and fetch only`);
  return `/records/${encodeURIComponent(collection)}/${encodeURIComponent(id)}`;
}

// src/offline/json.ts
function equalJson(a, b) {
  if (a === b) return true;
  if (!isObject(a) || !isObject(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && equalJson(a[key], b[key]));
}
function isObject(value) {
  return typeof value === "object" && value !== null;
}
function equalContent(a, b) {
  return a.deleted ? b.deleted === true : !b.deleted && equalJson(a.data, b.data);
}
function asData(value) {
  const data = JSON.parse(JSON.stringify(value) ?? "null");
  if (!isObject(data) || Array.isArray(data)) throw new TypeError("a record's data is a JSON object");
  return data;
}
function checkName({ collection, id }) {
  checkCollection(collection);
  if (!id || /[\p{Cc}\p{Cs}]/u.test(id) || new TextEncoder().encode(id).length > 256) {
    throw new TypeError("an id is 1 to 256 bytes of UTF-8 without control characters");
  }
}
function checkCollection(name) {
  if (!/^[a-z0-9][a-z0-9_-]{0,62}$/.test(name)) throw new TypeError(`${name} is no name of a collection`);
}

// src/offline/edits.ts
async function edit(tx, name, content2) {
  const { collection, id } = name;
  const [held, sent2, record] = await Promise.all([tx.get("edits", name), tx.get("sending", name), tx.get("records", name)]);
  if (content2.deleted && !item(held ?? sent2, record)) return;
  if (!sent2 && comesToNothing(content2, record)) {
    if (held) tx.delete("edits", name);
    return;
  }
  const { base, follows, order } = held ?? {
    // What was sent is not answered yet: only the answer will tell what this edit is based on.
    base: sent2 ? null : record?.rev ?? null,
    follows: sent2 ? true : void 0,
    order: await tx.order("last")
  };
  tx.put("edits", { collection, id, ...content2, base, ...follows && { follows }, order });
}
function settle(tx, { follows: _, ...edit2 }, base) {
  tx.put("edits", { ...edit2, base });
}
function comesToNothing(content2, record) {
  return record ? !record.stale && equalContent(content2, record) : content2.deleted === true;
}
async function see(tx, name) {
  const [held, sent2, record] = await Promise.all([tx.get("edits", name), tx.get("sending", name), tx.get("records", name)]);
  return item(held ?? sent2, record);
}
async function seeAll(tx, collection) {
  const range = IDBKeyRange.bound([collection], [collection, []]);
  const [records, sent2, edits] = await Promise.all([tx.all("records", range), tx.all("sending", range), tx.all("edits", range)]);
  const seen = new Map(records.map((record) => [record.id, item(void 0, record)]));
  const fresh = [...sent2, ...edits];
  for (const change of fresh) seen.set(change.id, item(change, void 0));
  const items = [...seen.values()].filter((found) => found !== null);
  return fresh.length ? items.sort((a, b) => a.id < b.id ? -1 : 1) : items;
}
function item(mine, record) {
  const shown = mine ?? record;
  if (!shown?.data) return null;
  return { collection: shown.collection, id: shown.id, data: shown.data, pending: mine !== void 0 };
}

// src/offline/live.ts
var TRUST_MS = 5 * 6e4;
var ABSENT_MS = 5e3;
var LiveUpdates = class {
  #live;
  #signal;
  /** Ends the feed's connection; undefined while there is none. */
  #feed;
  /** Set by a wake until the sync that it asks for begins, so that one which comes during a sync is not lost. */
  #woken = false;
  #resume;
  constructor(live, signal) {
    this.#live = live;
    this.#signal = signal;
  }
  /**
   * Asks for a sync. After a failure only a `forced` one cuts the pause short: being online again is a reason to
   * try earlier, another edit is not.
   */
  wake(forced) {
    this.#woken = true;
    this.#resume?.(forced);
  }
  /** Runs until the signal, or until it makes no sense to go on: without the right to (401, 403), or without a space. */
  async run() {
    const page = globalThis.document;
    const moved = () => {
      this.#feed?.abort();
      this.wake(true);
    };
    const shown = () => page.visibilityState === "visible" && this.wake(true);
    for (const event of ["online", "offline"]) globalThis.addEventListener?.(event, moved);
    page?.addEventListener("visibilitychange", shown);
    try {
      for (let failures = 0; ; ) {
        this.#woken = false;
        const { outcome, error } = await this.#live.sync({ signal: this.#signal, tries: 1 });
        if (outcome === "denied" || outcome === "gone") return;
        if (outcome === "ok") {
          failures = 0;
          const since = await this.#live.cursor();
          if (since !== null) void this.#listen(since);
          if (!this.#woken) await this.#pause(since === null ? ABSENT_MS : TRUST_MS, false);
        } else {
          await this.#pause(backoff(failures++, error instanceof StrandlineError ? error.retryAfter : 0), true);
        }
      }
    } finally {
      for (const event of ["online", "offline"]) globalThis.removeEventListener?.(event, moved);
      page?.removeEventListener("visibilitychange", shown);
      this.#feed?.abort();
    }
  }
  /** Listens to the feed, unless that is done already. */
  async #listen(since) {
    if (this.#feed) return;
    const { signal } = this.#feed = new AbortController();
    const { client, collections, cursor, connected } = this.#live;
    try {
      const feed = client.connect({ since, signal, collections: collections ?? void 0, onOpen: () => connected(true) });
      for await (const page of feed) if (page.cursor !== await cursor()) this.wake(false);
    } catch {
    }
    connected(false);
    await sleep(backoff(0), this.#signal).catch(() => {
    });
    this.#feed = void 0;
    this.wake(false);
  }
  #pause(ms, onlyForced) {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        this.#resume = void 0;
        this.#signal.removeEventListener("abort", aborted);
      };
      const resume = () => {
        end();
        resolve();
      };
      const aborted = () => {
        end();
        reject(this.#signal.reason);
      };
      const timer = setTimeout(resume, ms);
      this.#resume = (forced) => {
        if (forced || !onlyForced) resume();
      };
      this.#signal.addEventListener("abort", aborted);
      if (this.#signal.aborted) aborted();
    });
  }
};

// src/offline/store.ts
var TABLES = ["copy", "records", "edits", "sending", "conflicts"];
var Store = class {
  #factory;
  #file;
  #fresh;
  #opened;
  /** Told of every transaction that wrote. */
  committed = () => {
  };
  /** `fresh` is what a new copy begins with. */
  constructor(factory, file, fresh) {
    this.#factory = factory;
    this.#file = file;
    this.#fresh = fresh;
  }
  /** One transaction that reads. */
  read(body2) {
    return this.#transact("readonly", body2);
  }
  /** One transaction that writes: all of it, durably, or nothing. */
  async write(body2) {
    const [result, committed] = await this.#transact("readwrite", async (tx) => {
      const result2 = await body2(tx);
      return [result2, await tx.finish()];
    });
    this.committed(committed);
    return result;
  }
  async close() {
    const opened = this.#opened;
    this.#opened = void 0;
    await opened?.then((database) => database.close(), () => {
    });
  }
  async #transact(mode, body2) {
    const database = await (this.#opened ??= this.#open());
    const transaction = database.transaction(TABLES, mode, { durability: "strict" });
    const ended = new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new DOMException("the transaction was aborted", "AbortError"));
    });
    ended.catch(() => {
    });
    const tx = new Tx(transaction);
    let result;
    try {
      await tx.begin();
      result = await body2(tx);
    } catch (error) {
      try {
        transaction.abort();
      } catch {
      }
      throw error;
    }
    await ended;
    return result;
  }
  #open() {
    const request = this.#factory.open(this.#file, 1);
    request.onupgradeneeded = () => {
      const database = request.result;
      if (!this.#fresh) return request.transaction?.abort();
      database.createObjectStore("copy", { keyPath: "space" }).add(this.#fresh);
      const keyPath = ["collection", "id"];
      const records = database.createObjectStore("records", { keyPath });
      records.createIndex("rev", "rev");
      records.createIndex("stale", "stale");
      for (const table of ["edits", "sending"]) database.createObjectStore(table, { keyPath }).createIndex("order", "order");
      database.createObjectStore("conflicts", { keyPath: "key", autoIncrement: true });
    };
    const opened = done(request).then((database) => {
      this.#fresh = void 0;
      database.onversionchange = () => void this.close();
      database.onclose = () => this.#opened = void 0;
      return database;
    });
    opened.catch(() => this.#opened = void 0);
    return opened;
  }
};
var Tx = class {
  /** The copy: what is changed here is written at the end. */
  copy;
  /** Of the records that are not stale, kept up with every change of them. */
  sum;
  #transaction;
  #changed = [];
  constructor(transaction) {
    this.#transaction = transaction;
  }
  async begin() {
    [this.copy] = await this.all("copy");
    this.sum = new Checksum(this.copy.count, this.copy.checksum);
  }
  async finish() {
    this.copy.count = this.sum.count;
    this.copy.checksum = String(this.sum);
    this.put("copy", this.copy);
    const [edits, sent2, conflicts] = await Promise.all([this.count("edits"), this.count("sending"), this.count("conflicts")]);
    return { changed: this.#changed, pending: edits + sent2, conflicts };
  }
  get(table, { collection, id }) {
    return done(this.#table(table).get([collection, id]));
  }
  /** Rows by key, or by an index. */
  all(table, query = null, index, count) {
    const source = index ? this.#table(table).index(index) : this.#table(table);
    return done(source.getAll(query, count));
  }
  count(table) {
    return done(this.#table(table).count());
  }
  put(table, row) {
    this.#note(table, row);
    this.#table(table).put(row);
  }
  /** Adds a conflict, which gets its key here. */
  list(conflict) {
    this.#table("conflicts").add(conflict);
  }
  delete(table, { collection, id }) {
    this.#note(table, { collection, id });
    this.#table(table).delete([collection, id]);
  }
  deleteConflict(key) {
    this.#table("conflicts").delete(key);
  }
  conflict(key) {
    return done(this.#table("conflicts").get(key));
  }
  /** The order of a new edit that is to be the first one, or the last. */
  async order(end) {
    const keys = this.#table("edits").index("order").openKeyCursor(null, end === "first" ? "next" : "prev");
    const edge = (await done(keys))?.key ?? 0;
    return end === "first" ? edge - 1 : edge + 1;
  }
  /** Revision and name of every record, in order of revision, without their data. */
  revs() {
    const found = [];
    const request = this.#table("records").index("rev").openKeyCursor();
    return new Promise((resolve, reject) => {
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const cursor = request.result;
        if (!cursor) return resolve(found);
        const [collection, id] = cursor.primaryKey;
        found.push({ rev: cursor.key, name: { collection, id } });
        cursor.continue();
      };
    });
  }
  #table(table) {
    return this.#transaction.objectStore(table);
  }
  #note(table, row) {
    if (table === "copy" || table === "conflicts") return;
    const { collection, id } = row;
    this.#changed.push({ collection, id });
  }
};
function asChange({ collection, id, rev, modified_at, data }) {
  return { collection, id, rev, modified_at, deleted: false, data };
}
function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

// src/cursor.ts
function epochOf(cursor) {
  return cursor.split(".", 1)[0];
}
function isUnderWay(cursor) {
  return cursor.split(".").length > 2;
}

// src/offline/learn.ts
async function learn(tx, changes) {
  const held = await Promise.all(changes.map((change) => tx.get("records", change)));
  changes.forEach((change, at) => {
    const record = held[at];
    if (record && !record.stale) {
      if (change.rev !== null && change.rev < record.rev) return;
      tx.sum.remove(record.rev);
    }
    if (change.deleted) {
      if (record) tx.delete("records", change);
      return;
    }
    const { collection, id, rev, modified_at, data } = change;
    tx.put("records", { collection, id, rev, modified_at, data });
    tx.sum.add(rev);
  });
}
async function forget(tx, above, upTo = Infinity) {
  for (const record of await tx.all("records", IDBKeyRange.bound(above, upTo, true), "rev")) {
    if (!record.stale) tx.sum.remove(record.rev);
    tx.put("records", { ...record, rev: 0, stale: 1 });
  }
}

// src/offline/pull.ts
async function takePage(tx, page) {
  const { copy } = tx;
  if (copy.cursor === null) await beginAnew(tx, page);
  await learn(tx, page.changes);
  copy.cursor = page.cursor;
  copy.doubtful = [];
  copy.etag = null;
  copy.whole = false;
  if (page.has_more) return true;
  if (page.count !== tx.sum.count || page.checksum !== String(tx.sum)) return false;
  for (const record of await tx.all("records", null, "stale")) tx.delete("records", record);
  copy.etag = page.etag ?? null;
  copy.whole = true;
  return true;
}
async function beginAnew(tx, page) {
  const isSame = tx.copy.met === epochOf(page.cursor);
  for (const record of await tx.all("records")) tx.put("records", { ...record, rev: isSame ? record.rev : 0, stale: 1 });
  if (!isSame) {
    for (const edit2 of await tx.all("edits")) if (edit2.base !== null) tx.put("edits", { ...edit2, base: 0 });
  }
  tx.sum = new Checksum();
  tx.copy.met = null;
}

// src/offline/push.ts
var MOST_CHANGES = 500;
var MOST_BYTES = 4 * 1024 * 1024;
async function form(tx, most, full) {
  const { cursor } = tx.copy;
  if (tx.copy.sending || tx.copy.remaining || !tx.copy.whole) return true;
  let bytes = 0;
  for (const { follows: _, ...edit2 } of await tx.all("edits", null, "order", full ? void 0 : most)) {
    if (full && edit2.data) continue;
    if (!most--) break;
    if (edit2.base === null && cursor && isUnderWay(cursor)) break;
    bytes += JSON.stringify(edit2.data ?? null).length;
    if (bytes > MOST_BYTES && tx.copy.sending) break;
    tx.copy.sending ??= { seq: ++tx.copy.seq, cursor: tx.copy.cursor };
    tx.put("sending", edit2);
    tx.delete("edits", edit2);
  }
  return tx.copy.sending !== null;
}
async function body(tx) {
  const { sending, collections } = tx.copy;
  const { seq, cursor } = sending;
  const changes = (await sent(tx)).map(({ collection, id, base, data }) => {
    const name = base === null ? { collection, id } : { collection, id, base_rev: base };
    return data ? { ...name, data } : { ...name, deleted: true };
  });
  return { changes, seq, ...cursor !== null && { cursor }, ...cursor !== null && collections && { collections } };
}
async function book(tx, answer) {
  const { copy } = tx;
  const changes = await sent(tx);
  const sentCursor = copy.sending?.cursor ?? null;
  const isBlank = sentCursor === null && !copy.collections && await tx.count("records") === 0;
  const judged = changes.map((change, at) => ({ change, result: answer.results[at] }));
  await learn(tx, judged.flatMap(({ change, result }) => learned(change, result) ?? []));
  let conflicts = 0;
  for (const { change, result } of judged) conflicts += await conclude(tx, change, result);
  const { cursor } = answer;
  if (sentCursor !== null || isBlank && answer.previous_head === 0) copy.cursor = cursor;
  else copy.met = cursor && epochOf(cursor);
  if (sentCursor !== null) copy.doubtful = [];
  copy.sending = copy.etag = null;
  return { applied: changes.length - conflicts, conflicts };
}
async function unform(tx, { code, detail }) {
  const changes = await sent(tx);
  if (changes.length === 1 && code !== "quota_exceeded") {
    const change = changes[0];
    await conclude(tx, change, { ...change, status: "rejected", problem: { code, detail } });
  } else {
    let order = await tx.order("first");
    for (const change of changes.reverse()) {
      const newer = await tx.get("edits", change);
      if (newer) settle(tx, newer, change.base);
      else tx.put("edits", { ...change, order: order-- });
      tx.delete("sending", change);
    }
  }
  tx.copy.sending = null;
}
function sent(tx) {
  return tx.all("sending", null, "order");
}
function learned({ collection, id, data }, result) {
  if (result.status === "conflict") return result.record;
  if (result.status !== "applied" && result.status !== "unchanged") return null;
  const { rev, modified_at = "" } = result;
  if (rev === null) return { collection, id, rev, deleted: true };
  return data ? { collection, id, rev, modified_at, deleted: false, data } : { collection, id, rev, modified_at, deleted: true };
}
async function conclude(tx, change, result) {
  const { collection, id } = change;
  const [edit2, record] = await Promise.all([tx.get("edits", change), tx.get("records", change)]);
  tx.delete("sending", change);
  if (result.status === "conflict") {
    const newest = edit2 ?? change;
    if (edit2) tx.delete("edits", change);
    if (equalContent(newest, result.record)) return 0;
    tx.list({ collection, id, reason: "conflict", mine: content(newest), theirs: result.record });
    return 1;
  }
  const isRejected = result.status === "rejected";
  if (edit2 && comesToNothing(edit2, record)) tx.delete("edits", change);
  else if (edit2) settle(tx, edit2, isRejected ? change.base : result.status === "not_applied" ? null : result.rev);
  if (isRejected) {
    const theirs = record ? asChange(record) : null;
    tx.list({ collection, id, reason: "rejected", mine: content(change), theirs, problem: result.problem });
    return 1;
  }
  return 0;
}
function content({ data }) {
  return data ? { data } : { deleted: true };
}

// src/runs.ts
var RunsWriter = class {
  runs = [];
  #end = 0;
  /** Adds `first` to `last`, both included. */
  take(first, last) {
    const { runs } = this;
    const skip = first - this.#end - 1;
    const taken = last - first + 1;
    if (skip > 0 || runs.length === 0) runs.push(skip, taken);
    else runs[runs.length - 1] = runs[runs.length - 1] + taken;
    this.#end = last;
  }
};
function encodeRuns(revs) {
  const writer = new RunsWriter();
  for (const rev of revs) writer.take(rev, rev);
  return writer.runs;
}
function* stretches(runs) {
  let end = 0;
  for (let at = 0; at + 1 < runs.length; at += 2) {
    const first = end + runs[at] + 1;
    end = first + runs[at + 1] - 1;
    yield [first, end];
  }
}
function* decodeRuns(runs) {
  for (const [first, last] of stretches(runs)) {
    for (let rev = first; rev <= last; rev++) yield rev;
  }
}
function takeRuns(runs, count) {
  const writer = new RunsWriter();
  let left = count;
  let last = 0;
  for (const [first, end] of stretches(runs)) {
    last = Math.min(end, first + left - 1);
    writer.take(first, last);
    left -= last - first + 1;
    if (left === 0) break;
  }
  return { runs: writer.runs, last };
}
function runsAbove(runs, rev) {
  const writer = new RunsWriter();
  for (const [first, last] of stretches(runs)) if (last > rev) writer.take(Math.max(first, rev + 1), last);
  return writer.runs;
}
function compareRuns(runs, held) {
  const missing = new RunsWriter();
  const foreign = [];
  let at = 0;
  for (const [first, last] of stretches(runs)) {
    let lacking = first;
    for (; at < held.length && held[at] <= last; at++) {
      const rev = held[at];
      if (rev < first) {
        foreign.push(rev);
        continue;
      }
      if (rev > lacking) missing.take(lacking, rev - 1);
      lacking = rev + 1;
    }
    if (lacking <= last) missing.take(lacking, last);
  }
  for (; at < held.length; at++) foreign.push(held[at]);
  return { missing: missing.runs, foreign };
}

// src/offline/repair.ts
var FETCHED_AT_ONCE = 5e3;
async function takeManifest(tx, manifest, why) {
  const { copy } = tx;
  if (why?.reason === "epoch" || why?.reason === "ahead") await forgetHistory(tx, why.sharedRev);
  const known = await knownRevs(tx);
  const { missing, foreign } = compareRuns(manifest.runs, known.map(({ rev }) => rev));
  const foreigners = new Set(foreign);
  const stale = new Set((await tx.all("records", null, "stale")).map(({ rev }) => rev));
  tx.sum = new Checksum();
  for (const { rev, name } of known) {
    const isForeign = foreigners.has(rev);
    if (!isForeign) tx.sum.add(rev);
    if (isForeign === stale.has(rev)) continue;
    const record = await tx.get("records", name);
    if (!record) continue;
    if (isForeign) record.stale = 1;
    else delete record.stale;
    tx.put("records", record);
  }
  copy.remaining = missing.length ? missing : null;
  copy.doubtful = [];
  copy.cursor = manifest.cursor;
  if (copy.sending && copy.sending.cursor !== null) copy.sending.cursor = copy.cursor;
  copy.whole = false;
  copy.etag = null;
}
function nextRuns(remaining) {
  return takeRuns(remaining, FETCHED_AT_ONCE);
}
async function takeFetched(tx, page, { runs, last }) {
  await learn(tx, page.changes);
  tx.copy.doubtful.push(runs);
  const upTo = page.has_more && page.next !== null ? page.next - 1 : last;
  const left = runsAbove(tx.copy.remaining ?? [], upTo);
  tx.copy.remaining = left.length ? left : null;
}
async function forgetHistory(tx, sharedRev) {
  const broken = [[sharedRev + 1, Infinity], ...tx.copy.doubtful.flatMap((runs) => [...stretches(runs)])];
  for (const [first, last] of broken) await forget(tx, first - 1, last);
  for (const table of ["edits", "sending"]) {
    for (const row of await tx.all(table)) {
      const { base } = row;
      if (base && broken.some(([first, last]) => first <= base && base <= last)) tx.put(table, { ...row, base: 0 });
    }
  }
}
async function knownRevs(tx) {
  const known = (await tx.revs()).filter(({ rev }) => rev > 0);
  const doubles = new Set(known.flatMap(({ rev }, at) => rev === known[at - 1]?.rev ? rev : []));
  for (const rev of doubles) await forget(tx, rev - 1, rev);
  return known.filter(({ rev }) => !doubles.has(rev));
}

// src/offline/sync.ts
var PAGE = 5e3;
var MOST_REPAIRS = 10;
var LONGEST_WAIT = 60;
var Ended = class extends Error {
  constructor(outcome, cause) {
    super(outcome, { cause });
    this.outcome = outcome;
  }
  outcome;
};
var Sync = class {
  #store;
  #client;
  #options;
  #report = { outcome: "ok", pulled: 0, pushed: 0, conflicts: 0, repairs: 0 };
  /** How many edits the next push may have: halved by every refusal. */
  #most = MOST_CHANGES;
  /** Why nothing is pushed any more but deletions: the space is full. */
  #full;
  /** Whether this sync has pulled to the end, and has not pushed since. */
  #pulled = false;
  /** Whether this sync has been repaired because of its checksum: that happens once. */
  #differed;
  /** With `repair: false` a copy that differs is `wrong` at once. */
  constructor(store, client, options) {
    this.#store = store;
    this.#client = client;
    this.#options = options;
    this.#differed = options.repair === false;
  }
  /** Steps until nothing is left to do, or nothing can be done. Throws only what the caller's signal says. */
  async run() {
    try {
      while (await this.#step()) ;
      if (this.#full) throw new Ended("refused", this.#full);
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
      this.#report.outcome = error.outcome;
      this.#report.error = error.cause;
    }
    return this.#report;
  }
  /** The next step; false if there is none. */
  async #step() {
    const [copy, edits] = await this.#store.read(async (tx) => [tx.copy, await tx.count("edits")]);
    if (copy.remaining) await this.#fetch(copy, copy.remaining);
    else if (copy.sending) await this.#push(copy);
    else if (!copy.whole) await this.#pull(copy);
    else if (!edits || !await this.#store.write((tx) => form(tx, this.#most, this.#full))) {
      if (this.#pulled && (this.#full || !edits)) return false;
      await this.#pull(copy);
    }
    return true;
  }
  async #push(copy) {
    const push = await this.#store.read(async (tx) => tx.copy.answers === copy.answers ? await body(tx) : null);
    if (!push) return;
    const answer = await this.#ask(copy, (call) => this.#client.push(push, call), async (error) => {
      if (error.code === "quota_exceeded") this.#full = error;
      else if (error.code === "invalid_cursor" || error.status !== 400 && error.status !== 413) return false;
      else this.#most = Math.max(1, push.changes.length >> 1);
      await this.#apply(copy, (tx) => unform(tx, error.problem));
      return true;
    });
    if (!answer) return;
    this.#pulled = false;
    this.#full = void 0;
    const booked = await this.#apply(copy, (tx) => book(tx, answer));
    this.#report.pushed += booked?.applied ?? 0;
    this.#report.conflicts += booked?.conflicts ?? 0;
  }
  async #pull(copy) {
    const { cursor, etag } = copy;
    const where = { limit: PAGE, ...scope(copy), ...cursor !== null && { since: cursor }, ...etag !== null && { etag } };
    const page = await this.#ask(copy, (call) => this.#client.changes({ ...where, ...call }), async (error) => {
      if (error.status !== 404) return false;
      await this.#apply(copy, async (tx) => void (tx.copy.whole = true));
      this.#pulled = true;
      return true;
    });
    if (page === void 0) return;
    if (page === null ? etag === null : page.has_more && page.cursor === cursor) throw nowhere();
    if (page === null) {
      this.#pulled = true;
      return;
    }
    const right = await this.#apply(copy, (tx) => takePage(tx, page));
    if (right === void 0) return;
    this.#report.pulled += page.changes.length;
    if (right) {
      this.#pulled = !page.has_more;
      return;
    }
    if (this.#differed) throw new Ended("wrong");
    this.#differed = true;
    await this.#repair(await this.#store.read(async (tx) => tx.copy));
  }
  async #fetch(copy, remaining) {
    const asked = nextRuns(remaining);
    const { runs } = asked;
    const page = await this.#ask(copy, (call) => this.#client.fetch({ runs, limit: FETCHED_AT_ONCE, ...scope(copy), ...call }));
    if (page?.has_more && page.next !== null && page.next <= runs[0] + 1) throw nowhere();
    if (page && await this.#apply(copy, (tx) => takeFetched(tx, page, asked).then(() => true))) {
      this.#report.pulled += page.changes.length;
    }
  }
  /** Compares with the server's manifest; the steps that follow transfer the difference. */
  async #repair(copy, why) {
    if (++this.#report.repairs > MOST_REPAIRS) throw new Ended("unavailable", why);
    this.#pulled = false;
    const manifest = await this.#ask(copy, (call) => this.#client.manifest({ ...scope(copy), ...call }));
    const epoch = why?.epoch ?? (copy.cursor && epochOf(copy.cursor));
    if (!manifest || manifest.epoch !== epoch) return;
    await this.#apply(copy, (tx) => takeManifest(tx, manifest, why));
  }
  #holdsRecords() {
    return this.#store.read(async (tx) => await tx.count("records") > 0);
  }
  /** Applies an answer, unless another one was applied since it was asked for: then it is thrown away. */
  #apply(asked, body2) {
    return this.#store.write(async (tx) => {
      if (tx.copy.answers !== asked.answers) return void 0;
      tx.copy.answers++;
      return body2(tx);
    });
  }
  /**
   * Asks the server, again and again where that may help. Undefined if the answer was an error that has been seen to:
   * by `trouble`, which says whether it has, or by the repair that a 410 asks for.
   */
  async #ask(copy, request, trouble) {
    const { signal, tries = 5 } = this.#options;
    for (let attempt = 0; ; attempt++) {
      try {
        return await request(signal ? { signal } : {});
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof StrandlineError) || isTransient(error)) {
          const retryAfter2 = error instanceof StrandlineError ? error.retryAfter ?? 0 : 0;
          if (attempt + 1 >= tries || retryAfter2 > LONGEST_WAIT) throw new Ended("unavailable", error);
          await sleep(backoff(attempt, retryAfter2), signal);
          continue;
        }
        if (error instanceof ResyncRequired) return void await this.#repair(copy, error);
        if (error.status === 404 && (copy.cursor !== null || await this.#holdsRecords())) throw new Ended("gone", error);
        if (await trouble?.(error)) return void 0;
        throw new Ended(error.status === 401 || error.status === 403 ? "denied" : "refused", error);
      }
    }
  }
};
function nowhere() {
  return new Ended("refused", new Error("the server's answer leads nowhere"));
}
function scope({ collections }) {
  return collections ? { collections } : {};
}

// src/offline/tabs.ts
var Tabs = class {
  #name;
  #channel;
  #turns = /* @__PURE__ */ new Map();
  constructor(name, hear) {
    this.#name = name;
    if (typeof BroadcastChannel === "undefined") return;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => hear(data);
    this.#channel.unref?.();
  }
  tell(message) {
    this.#channel?.postMessage(message);
  }
  /**
   * Runs `body` while nobody else runs one under this key, in any tab. Where there are no Web Locks (Node, pages
   * without TLS) only this object takes turns with itself: other tabs are wasteful then, not wrong, since an answer
   * that comes too late is thrown away (PROTOCOL-CLIENT.md §3).
   */
  async alone(key, body2, signal) {
    const locks = globalThis.navigator?.locks;
    if (locks) return await locks.request(`${this.#name}:${key}`, signal ? { signal } : {}, body2);
    const turn = (this.#turns.get(key) ?? Promise.resolve()).then(() => {
      signal?.throwIfAborted();
      return body2();
    });
    this.#turns.set(key, turn.catch(() => {
    }));
    return turn;
  }
  close() {
    this.#channel?.close();
    this.#channel = void 0;
  }
};

// src/offline/space.ts
var OfflineSpace = class _OfflineSpace {
  #store;
  #tabs;
  #client;
  #collections;
  #listeners = /* @__PURE__ */ new Set();
  #status = { syncing: false, live: false, outcome: null, trouble: null, syncedAt: null, pending: 0, conflicts: 0 };
  #queued;
  #live;
  /** Opens the copy, and makes it if there is none. */
  static async open(options) {
    const file = options.database ?? `strandline/${options.space}`;
    const collections = options.collections ? [...new Set(options.collections)].sort() : null;
    collections?.forEach(checkCollection);
    const fresh = freshCopy(options.space, collections);
    const store = new Store(options.indexedDB ?? indexedDB, file, fresh);
    const copy = await store.read(async (tx) => tx.copy);
    if (copy.space !== fresh.space || String(copy.collections) !== String(collections)) {
      await store.close();
      throw new TypeError(`the database ${file} is a copy of ${copy.space}, collections ${copy.collections ?? "all"}`);
    }
    const space = new _OfflineSpace(options, store, file, copy);
    await store.write(async () => {
    });
    return space;
  }
  constructor(options, store, file, copy) {
    this.#store = store;
    store.committed = (committed) => this.#committed(committed);
    this.#collections = copy.collections;
    this.#client = new StrandlineClient({ ...options, name: copy.name });
    this.#tabs = new Tabs(`strandline:${file}`, ({ edited, asked, changed = [], status }) => {
      if (edited) this.#live?.updates.wake(false);
      if (asked && this.#status.outcome) this.#tabs.tell({ status: this.#status });
      if (status) this.#tell(changed, status, false);
    });
    this.#tabs.tell({ asked: true });
  }
  /** How the copy is doing. */
  get status() {
    return this.#status;
  }
  /** The typed client that the copy syncs with, under the copy's name. */
  get client() {
    return this.#client;
  }
  /** What the user sees of a record; null if there is none. */
  get(collection, id) {
    return this.#store.read((tx) => see(tx, { collection, id }));
  }
  /** What the user sees of a collection, in order of id. */
  list(collection) {
    return this.#store.read((tx) => seeAll(tx, collection));
  }
  /** Writes a record as a whole. It is durable here when the promise is fulfilled, and there after a sync. */
  async put(collection, id, data) {
    await this.#edit({ collection, id }, { data: asData(data) });
  }
  /** Deletes a record; one that the user does not see is left alone. */
  delete(collection, id) {
    return this.#edit({ collection, id }, { deleted: true });
  }
  /** What the server's win discarded and nobody has decided yet, oldest first. */
  conflicts() {
    return this.#store.read((tx) => tx.all("conflicts"));
  }
  /** Forgets a conflict. */
  async discardConflict(key) {
    await this.#store.write(async (tx) => tx.deleteConflict(key));
  }
  /** Makes what was discarded the user's newest edit, on whatever is there now, and forgets the conflict. */
  async restoreConflict(key) {
    await this.#store.write(async (tx) => {
      const conflict = await tx.conflict(key);
      if (!conflict) return;
      await edit(tx, conflict, conflict.mine);
      tx.deleteConflict(key);
    });
    this.#edited();
  }
  /**
   * Pushes what was edited, pulls what changed, and checks the copy by count and checksum. Whatever goes wrong is in the
   * report; only an aborted `signal` and a broken local database throw. One sync runs at a time, whatever the tabs.
   */
  sync(options = {}) {
    if (options.signal) return this.#sync(options);
    return this.#queued ??= this.#sync(options, () => this.#queued = void 0);
  }
  /** Counts the copy anew, and compares it with the server's. One that differs is repaired if that is asked for. */
  async verify({ repair = false, ...options } = {}) {
    const counted = await this.#store.write(async (tx) => {
      const found = new Checksum();
      for (const record of await tx.all("records")) if (!record.stale) found.add(record.rev);
      const same = found.count === tx.sum.count && String(found) === String(tx.sum);
      tx.sum = found;
      tx.copy.etag = null;
      return same;
    });
    const report = await this.#sync({ ...options, repair });
    return { right: counted && report.outcome === "ok" && report.repairs === 0, report };
  }
  /** Keeps the copy up to date, until `stop`, or until the server says that it has no right to. */
  start() {
    if (this.#live) return;
    const stop = new AbortController();
    const updates = new LiveUpdates(
      {
        client: this.#client,
        collections: this.#collections,
        sync: (options) => this.sync(options),
        cursor: () => this.#store.read(async (tx) => tx.copy.cursor),
        connected: (live) => this.#tell([], { live })
      },
      stop.signal
    );
    const ended = this.#tabs.alone("live", () => updates.run(), stop.signal).catch(() => {
    }).then(() => {
      if (this.#live?.stop === stop) this.#live = void 0;
      if (this.#status.live) this.#tell([], { live: false });
    });
    this.#live = { stop, updates, ended };
  }
  /** Ends what `start` began. */
  async stop() {
    const live = this.#live;
    this.#live = void 0;
    live?.stop.abort();
    await live?.ended;
  }
  /** Calls the listener whenever something changed, in this tab or in another one; gives what ends that. */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  /** Stops, and closes the database. */
  async close() {
    await this.stop();
    this.#listeners.clear();
    this.#tabs.close();
    await this.#store.close();
  }
  async #edit(name, content2) {
    checkName(name);
    if (this.#collections && !this.#collections.includes(name.collection)) {
      throw new TypeError(`this copy does not keep the collection ${name.collection}`);
    }
    await this.#store.write((tx) => edit(tx, name, content2));
    this.#edited();
  }
  /** Whichever tab listens to the feed is to push what was edited. */
  #edited() {
    this.#live?.updates.wake(false);
    this.#tabs.tell({ edited: true });
  }
  #sync(options, begun) {
    const run = async () => {
      begun?.();
      this.#tell([], { syncing: true });
      let outcome = {};
      try {
        const report = await new Sync(this.#store, this.#client, options).run();
        outcome = { outcome: report.outcome, trouble: report.error ? String(report.error) : null };
        if (report.outcome === "ok") outcome.syncedAt = Date.now();
        return report;
      } catch (error) {
        if (!options.signal?.aborted) outcome = { outcome: null, trouble: String(error) };
        throw error;
      } finally {
        this.#tell([], { ...outcome, syncing: false });
      }
    };
    return this.#tabs.alone("sync", run, options.signal);
  }
  #committed({ changed, pending, conflicts }) {
    const same = pending === this.#status.pending && conflicts === this.#status.conflicts;
    if (changed.length || !same) this.#tell(changed, { pending, conflicts });
  }
  /** Tells this tab's listeners, and unless it came from there the other tabs. */
  #tell(changed, news, pass = true) {
    this.#status = { ...this.#status, ...news };
    const event = { changed, status: this.#status };
    for (const listener of this.#listeners) queueMicrotask(() => listener(event));
    if (pass) this.#tabs.tell({ changed, status: news });
  }
};
function freshCopy(space, collections) {
  const random = crypto.getRandomValues(new Uint8Array(12));
  const name = `js-${Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  return {
    space,
    collections,
    name,
    seq: 0,
    answers: 0,
    cursor: null,
    met: null,
    whole: false,
    etag: null,
    count: 0,
    checksum: String(new Checksum()),
    remaining: null,
    doubtful: [],
    sending: null
  };
}
export {
  Checksum,
  NetworkError,
  OfflineSpace,
  PushRefused,
  ResyncRequired,
  StrandlineClient,
  StrandlineError,
  backoff,
  compareRuns,
  decodeRuns,
  encodeRuns,
  isTransient,
  sleep
};
