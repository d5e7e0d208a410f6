/**
 * Strandline in JavaScript: the client of the whole protocol, and an offline copy in IndexedDB. Adapters are at
 * `strandline/rxdb` and `strandline/watermelondb`, so that this entry stays small and depends on nothing.
 */

export { backoff, sleep } from "./backoff.js";
export { Checksum } from "./checksum.js";
export { type CallOptions, type FeedOptions, type PullOptions, StrandlineClient, type WriteOptions } from "./client.js";
export { isTransient, NetworkError, PushRefused, ResyncRequired, StrandlineError } from "./errors.js";
export type { Item } from "./offline/edits.js";
export { OfflineSpace, type OfflineOptions, type SpaceEvent, type Status, type Verification } from "./offline/space.js";
export type { Conflict, Content, Name } from "./offline/store.js";
export type { Outcome, SyncOptions, SyncReport } from "./offline/sync.js";
export { compareRuns, decodeRuns, encodeRuns } from "./runs.js";
export type { ClientOptions } from "./transport.js";
export type * from "./types.js";
