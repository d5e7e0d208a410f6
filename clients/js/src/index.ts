/**
 * Strandline in JavaScript: the client of the whole protocol. Adapters are at `strandline/rxdb` and
 * `strandline/watermelondb`, so that this entry stays small and depends on nothing.
 */

export { backoff, sleep } from "./backoff.js";
export { Checksum } from "./checksum.js";
export { type CallOptions, type PullOptions, StrandlineClient, type WriteOptions } from "./client.js";
export { isTransient, NetworkError, PushRefused, ResyncRequired, StrandlineError } from "./errors.js";
export { compareRuns, decodeRuns, encodeRuns } from "./runs.js";
export type { ClientOptions } from "./transport.js";
export type * from "./types.js";
