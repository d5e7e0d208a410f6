/** One request and its answer: headers, token, problems, and a network that falls silent. */

import { NetworkError, problemError } from "./errors.js";
import { parseJson, readText } from "./ndjson.js";
import type { Problem } from "./types.js";

/** How long the network may be silent in the middle of a call. The server's streams say something every 15 s. */
const SILENCE_MS = 45_000;

type Token = string | undefined;

/** Where and as whom a client calls. */
export interface ClientOptions {
  /** The server's address, such as `https://sync.example.org`, with the path under which it is mounted if any. */
  url: string;
  /** The space's name. */
  space: string;
  /** The bearer token, or what gives it if there is one, asked before every request (PROTOCOL.md §10). */
  token?: string | (() => Token | Promise<Token>);
  /** What this client calls itself, 1 to 128 visible ASCII characters; pushes with `seq` need it (PROTOCOL.md §7). */
  name?: string;
  /** Another `fetch` than the global one. */
  fetch?: typeof fetch;
}

/** A request's own headers. */
export type Headings = Record<string, string | undefined>;

/** A request. Parameters and headers that are undefined are left out. */
export interface Call {
  method?: string;
  path: string;
  query?: Record<string, string | number | string[] | undefined>;
  headers?: Headings;
  body?: unknown;
  /** How much longer than usual the server may be silent, in seconds: it was asked to. */
  patience?: number;
  signal?: AbortSignal | undefined;
}

/** An answer that is no error. */
export interface Answer {
  status: number;
  headers: Headers;
  /** The body as it comes in. Leaving the loop ends the connection. */
  pieces: AsyncGenerator<string>;
}

export class Transport {
  readonly #options: ClientOptions;
  readonly #base: string;

  constructor(options: ClientOptions) {
    if (options.name !== undefined && !/^[!-~]{1,128}$/.test(options.name)) {
      throw new TypeError("a client's name is 1 to 128 visible ASCII characters");
    }
    this.#options = options;
    this.#base = options.url.replace(/\/+$/, "");
  }

  /** The whole answer, parsed. */
  async json<T>(call: Call): Promise<T> {
    return parseJson<T>(await readText((await this.send(call)).pieces));
  }

  /** Sends a request, and hands the answer on once its headers are here. Errors of §8 are thrown. */
  async send(call: Call): Promise<Answer> {
    const { signal } = call;
    signal?.throwIfAborted();
    const init = await this.#init(call);
    const line = new Line(signal, SILENCE_MS + (call.patience ?? 0) * 1000);
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

  async #init(call: Call): Promise<RequestInit> {
    const { token, name } = this.#options;
    // Made here, outside of the guard: a header that cannot be sent is the caller's mistake, not the network's.
    const headers = new Headers();
    for (const [key, value] of Object.entries(call.headers ?? {})) if (value !== undefined) headers.set(key, value);
    const bearer = typeof token === "function" ? await token() : token;
    if (bearer !== undefined) headers.set("Authorization", `Bearer ${bearer}`);
    if (name !== undefined) headers.set("Strandline-Client", name);
    // The replica is the cache: the browser's would keep every page a second time.
    const init: RequestInit = { method: call.method ?? "GET", headers, cache: "no-store" };
    if (call.body !== undefined) {
      if (!headers.has("Content-Type")) headers.set("Content-Type", "application/json");
      init.body = JSON.stringify(call.body);
    }
    return init;
  }
}

/** A connection that is given up when nothing has come for too long, when its caller says so, or when it was read. */
class Line {
  readonly #caller: AbortSignal | undefined;
  readonly #abort = new AbortController();
  readonly #onAbort = () => this.#abort.abort();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(caller: AbortSignal | undefined, patience: number) {
    this.#caller = caller;
    caller?.addEventListener("abort", this.#onAbort);
    this.#watch(patience);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener("abort", this.#onAbort);
  }

  /** Runs a step on the network. If it fails, that is the caller's abort, or a `NetworkError`. */
  async guard<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (cause) {
      this.close();
      this.#caller?.throwIfAborted();
      throw new NetworkError("the server does not answer", { cause });
    }
  }

  /** The body's text in pieces. */
  async *read(response: Response): AsyncGenerator<string> {
    const reader = response.body?.getReader();
    if (!reader) {
      // No body; or, in React Native, one that does not stream.
      const text = await this.guard(() => response.text());
      this.close();
      if (text) yield text;
      return;
    }
    const decoder = new TextDecoder();
    try {
      for (;;) {
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

  #watch(patience: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onAbort, patience);
  }
}

function queryString(query: Call["query"] = {}): string {
  const parts: string[] = [];
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined) parts.push(`${key}=${encodeURIComponent(String(value))}`);
  }
  return parts.length ? `?${parts.join("&")}` : "";
}

/** The server's problem; what a proxy on the way says instead of one is wrapped. */
function asProblem(response: Response, text: string): Problem {
  const { status, statusText: title } = response;
  try {
    const problem = JSON.parse(text) as Partial<Problem> | null;
    if (typeof problem?.code === "string") return problem as Problem;
  } catch {
    // Not JSON: falls through to what stands for it.
  }
  return { type: "about:blank", title, status, detail: text.slice(0, 200), code: "unknown" };
}

/** Seconds of `Retry-After`, which is a number of them or a date. */
function retryAfter(response: Response): number | undefined {
  const value = response.headers.get("Retry-After");
  if (!value) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}
