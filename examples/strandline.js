// Made from clients/js/src by `npm run build` in clients/js: change it there.

// src/backoff.ts
var FIRST_MS = 500;
var LONGEST_MS = 3e4;
function backoff(attempt, retryAfter2 = 0) {
  const step = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
  return retryAfter2 * 1e3 + step * (0.5 + Math.random() / 2);
}
function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const done = () => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    };
    const timer = setTimeout(done, ms);
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
  if (error instanceof NetworkError) return true;
  return error instanceof StrandlineError && (error.status === 408 || error.status === 429 || error.status >= 500);
}

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
    const response = await line.guard(() => go(this.#base + call.path + queryString(call.query), { ...init, signal: line.signal }));
    const pieces = line.read(response);
    if (response.ok || response.status === 304) {
      if (!response.body) line.close();
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
      throw new NetworkError("the server cannot be reached, or has stopped answering", { cause });
    }
  }
  /** The body's text in pieces. */
  async *read(response) {
    const reader = response.body?.getReader();
    if (!reader) return this.close();
    const decoder = new TextDecoder();
    try {
      for (; ; ) {
        this.#watch(SILENCE_MS);
        const { done, value } = await this.guard(() => reader.read());
        if (done) return;
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
    const { onOpen, ...pull } = options;
    if (pull.since === "now") pull.since = (await this.changes(pull))?.cursor;
    for (let attempt = 0; ; attempt++) {
      let retryAfter2;
      try {
        const { pieces } = await this.#pull(pull, { Accept: "text/event-stream" });
        onOpen?.();
        for await (const { event, data } of readEvents(pieces)) {
          if (event === "resync") throw problemError(parseJson(data));
          if (event !== "changes") continue;
          const page = parseJson(data);
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
  /** Pushes edits (PROTOCOL.md §4). Throws `PushRefused` for an atomic push that was, and `ResyncRequired`. */
  push(body, options = {}) {
    return this.#json("/push", { ...options, method: "POST", body });
  }
  /** The exact set of live revisions, between bounds if given (PROTOCOL.md §6). */
  manifest(options = {}) {
    const { collections, from, to, ...rest } = options;
    return this.#json("/manifest", { ...rest, query: { collections, from, to } });
  }
  /** A page of the live records that have these revisions (PROTOCOL.md §6); the page's `next` is the next call's `from`. */
  fetch(options) {
    const { signal, ...body } = options;
    return this.#json("/fetch", { method: "POST", body, signal });
  }
  /** All the live records that have these revisions, as a stream (PROTOCOL.md §6). Throws if it was cut short. */
  async *fetchLines(options) {
    const { signal, ...body } = options;
    const headers = { Accept: "application/x-ndjson" };
    const { pieces } = await this.#transport.send({ path: `${this.#path}/fetch`, method: "POST", body, headers, signal });
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
    return (await this.#json("/clients", options)).clients;
  }
  #json(path, call) {
    return this.#transport.json({ ...call, path: this.#path + path });
  }
  #pull({ since, collections, signal }, headers, limit, wait) {
    const query = { since, collections, limit, wait };
    return this.#transport.send({ path: `${this.#path}/changes`, query, headers, patience: wait ?? 0, signal });
  }
  #write(method, collection, id, options, body, type) {
    const { ifMatch, ifAbsent, ifUnmodifiedSince, signal } = options;
    const headers = {
      "Content-Type": type,
      "If-Match": ifMatch === void 0 ? void 0 : `"${ifMatch}"`,
      "If-None-Match": ifAbsent ? "*" : void 0,
      "If-Unmodified-Since": ifUnmodifiedSince?.toUTCString()
    };
    return this.#json(recordPath(collection, id), { method, headers, body, signal });
  }
};
function recordPath(collection, id) {
  if (id === "." || id === "..") throw new TypeError(`a record with the id ${id} is reached by push and fetch only`);
  return `/records/${encodeURIComponent(collection)}/${encodeURIComponent(id)}`;
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
export {
  Checksum,
  NetworkError,
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
