/**
 * A small HTTP proxy in front of the server that fails on demand, as networks do.
 *
 * Faults are armed for requests of one kind and are used up one by one, in the order in which they were armed,
 * so that a test says exactly which request suffers. Without a fault, a request and its answer pass
 * unchanged; streams (SSE, NDJSON) pass as they come.
 */
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from "node:http";
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { brotliDecompressSync, gunzipSync } from "node:zlib";

/** A request as the proxy saw it. `status` is missing while there is no answer, or when none was let through. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  status?: number;
  /** What the server answered to a push, whether or not it was let through: what it did is in there. */
  answer?: string;
}

/** Says which requests a fault is for. */
export type Match = (request: SeenRequest) => boolean;

/** The kinds of request that a client makes. An event stream is a pull that accepts `text/event-stream`. */
export const isPush: Match = (request) => request.path.includes("/push");
export const isEvents: Match = (request) =>
  request.path.includes("/changes") && (request.headers.accept ?? "").includes("text/event-stream");
export const isPull: Match = (request) => request.path.includes("/changes") && !isEvents(request);
export const isManifest: Match = (request) => request.path.includes("/manifest");
export const isFetch: Match = (request) => request.path.includes("/fetch");
export const isAny: Match = () => true;

/** A request or an answer that the proxy keeps back until it is released. */
export interface Held {
  /** Resolves when there is something to release: the request has arrived, or its answer is there. */
  readonly arrived: Promise<SeenRequest>;
  /** Lets it go on. May be called before it has arrived. */
  release(): void;
}

type Fault =
  | { kind: "status"; status: number; headers: Record<string, string>; body: string }
  | { kind: "reset" }
  | { kind: "drop-answer" }
  | { kind: "hold-request" | "hold-answer"; arrived: (request: SeenRequest) => void; released: Promise<void> };

/** The proxy. `close` it before the server. */
export class FaultProxy {
  /** Where clients find it, without a slash at the end. */
  readonly url: string;
  /** Every request since the start, or since {@link forget}, in order of arrival. */
  requests: SeenRequest[] = [];
  /** Bytes of bodies, up (requests) and down (answers, as they travel: compressed if they were). */
  bytes = { up: 0, down: 0 };

  #upstream: () => string;
  #server: HttpServer;
  #sockets = new Set<Socket>();
  #faults: { match: Match; fault: Fault }[] = [];
  #offline = false;

  private constructor(server: HttpServer, upstream: () => string) {
    this.#server = server;
    this.#upstream = upstream;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("connection", (socket: Socket) => {
      if (this.#offline) return void socket.destroy();
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    server.on("request", (request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  /** Starts a proxy to `upstream`, which is asked at each request, since a server may move. */
  static async start(upstream: { readonly url: string }): Promise<FaultProxy> {
    // Long-lived streams are the subject here: nothing is cut for being slow.
    const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new FaultProxy(server, () => upstream.url);
  }

  /** Cuts every connection and refuses new ones, until it is set to false again. */
  set offline(offline: boolean) {
    this.#offline = offline;
    if (offline) this.cut();
  }

  get offline(): boolean {
    return this.#offline;
  }

  /** Cuts every open connection once; clients may come back at once. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** The next request of the kind is answered with this status; the server never sees it. */
  answer(match: Match, status: number, headers: Record<string, string> = {}, body = problem(status)): void {
    this.#arm(match, { kind: "status", status, headers, body });
  }

  /** The next request of the kind is answered 503, to be tried again after so many seconds. */
  unavailable(match: Match = isAny, retryAfter = 0): void {
    this.answer(match, 503, { "Retry-After": String(retryAfter) });
  }

  /** The next request of the kind is cut before the server sees it. */
  reset(match: Match): void {
    this.#arm(match, { kind: "reset" });
  }

  /** The next request of the kind is carried out by the server, and its answer is lost. */
  dropAnswer(match: Match): void {
    this.#arm(match, { kind: "drop-answer" });
  }

  /** The next request of the kind waits in front of the server. */
  holdRequest(match: Match): Held {
    return this.#hold(match, "hold-request");
  }

  /** The next request of the kind is carried out, and its whole answer waits. Not for streams. */
  holdAnswer(match: Match): Held {
    return this.#hold(match, "hold-answer");
  }

  /** Disarms what was not used up. */
  calm(): void {
    this.#faults = [];
    this.offline = false;
  }

  /** Starts counting anew. */
  forget(): void {
    this.requests = [];
    this.bytes = { up: 0, down: 0 };
  }

  /** Cuts everything and frees the port. */
  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #arm(match: Match, fault: Fault): void {
    this.#faults.push({ match, fault });
  }

  #hold(match: Match, kind: "hold-request" | "hold-answer"): Held {
    let release!: () => void;
    const released = new Promise<void>((resolve) => (release = resolve));
    const arrived = new Promise<SeenRequest>((resolve) => this.#arm(match, { kind, arrived: resolve, released }));
    return { arrived, release };
  }

  #take(seen: SeenRequest): Fault | undefined {
    const index = this.#faults.findIndex(({ match }) => match(seen));
    return index < 0 ? undefined : this.#faults.splice(index, 1)[0]!.fault;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await read(request);
    const seen: SeenRequest = {
      method: request.method ?? "GET",
      path: request.url ?? "/",
      headers: request.headers,
      body: body.toString(),
    };
    this.requests.push(seen);
    this.bytes.up += body.length;
    const fault = this.#take(seen);

    if (fault?.kind === "reset") return void request.socket.destroy();
    if (fault?.kind === "status") {
      seen.status = fault.status;
      response.writeHead(fault.status, { "Content-Type": "application/problem+json", ...fault.headers });
      return void response.end(fault.body);
    }
    if (fault?.kind === "hold-request") {
      fault.arrived(seen);
      await fault.released;
    }

    const answer = await this.#forward(request, body, response);
    if (isPush(seen) || fault?.kind === "drop-answer" || fault?.kind === "hold-answer") {
      const whole = await read(answer);
      if (isPush(seen)) seen.answer = decoded(whole, answer.headers["content-encoding"]);
      if (fault?.kind === "drop-answer") return void request.socket.destroy();
      if (fault?.kind === "hold-answer") {
        fault.arrived(seen);
        await fault.released;
      }
      seen.status = answer.statusCode ?? 0;
      this.bytes.down += whole.length;
      response.writeHead(seen.status, answer.headers);
      return void response.end(whole);
    }
    seen.status = answer.statusCode ?? 0;
    response.writeHead(seen.status, answer.headers);
    response.flushHeaders();
    answer.on("data", (chunk: Buffer) => (this.bytes.down += chunk.length));
    answer.on("error", () => response.destroy());
    answer.pipe(response);
  }

  /** Sends the request on; the server is let go as soon as the client has gone. */
  #forward(request: IncomingMessage, body: Buffer, response: ServerResponse): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const onward = httpRequest(
        new URL(request.url ?? "/", this.#upstream()),
        // No pooled connections: one that died with a killed server must not fail a later request.
        { method: request.method, headers: request.headers, agent: false },
        resolve,
      );
      onward.on("error", reject);
      response.on("close", () => onward.destroy());
      onward.end(body);
    });
  }
}

async function read(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function decoded(body: Buffer, encoding: string | undefined): string {
  if (encoding === "gzip") return gunzipSync(body).toString();
  if (encoding === "br") return brotliDecompressSync(body).toString();
  return body.toString();
}

const CODES: Record<number, string> = {
  401: "unauthorized",
  403: "forbidden",
  429: "rate_limited",
  500: "internal",
  503: "unavailable",
};

function problem(status: number): string {
  const code = CODES[status] ?? "invalid_request";
  return JSON.stringify({ type: `urn:strandline:problem:${code}`, code, title: "made up by the test", status });
}
