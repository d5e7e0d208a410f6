/**
 * WatermelonDB on Strandline: `strandlineSync` is WatermelonDB's `synchronize()` with everything filled in that it leaves
 * to the backend. Nothing is asked of the schema, and the models stay what they are.
 */

export type { Conflict } from "./ledger.js";
export { type LiveOptions, type LiveSync, strandlineLive } from "./live.js";
export type { PushLimits, Rejection } from "./push.js";
export type { SyncResult } from "./run.js";
export { type StrandlineSyncOptions, strandlineSync } from "./sync.js";
export type { TableChoice, Value } from "./tables.js";
