/** Whatever can go wrong with a call, so that a caller can tell what to do about it by the class. */

import type { Problem, PushResult, ResyncReason } from "./types.js";

/** The server answered with an error (PROTOCOL.md §8). */
export class StrandlineError extends Error {
  override name = "StrandlineError";
  /** The HTTP status. */
  readonly status: number;
  /** The problem's stable code, such as `not_found`; `unknown` when the answer was not the server's own. */
  readonly code: string;
  readonly problem: Problem;
  /** Seconds that the server asks to wait, if it says so. */
  readonly retryAfter: number | undefined;

  constructor(problem: Problem, retryAfter?: number) {
    super(`${problem.status} ${problem.code}: ${problem.detail || problem.title}`);
    this.status = problem.status;
    this.code = problem.code;
    this.problem = problem;
    this.retryAfter = retryAfter;
  }
}

/** 410: the cursor is of no use any more, and the replica needs a repair (PROTOCOL.md §3 and §6). */
export class ResyncRequired extends StrandlineError {
  override name = "ResyncRequired";
  readonly reason: ResyncReason;
  readonly epoch: string;
  readonly head: number;
  readonly horizon: number;
  /** Up to this revision, what the client holds is still this history. */
  readonly sharedRev: number;

  constructor(problem: Problem) {
    super(problem);
    this.reason = problem.reason as ResyncReason;
    this.epoch = problem.epoch as string;
    this.head = problem.head as number;
    this.horizon = problem.horizon as number;
    this.sharedRev = problem.shared_rev as number;
  }
}

/** 409: an atomic push of which nothing was applied (PROTOCOL.md §4). */
export class PushRefused extends StrandlineError {
  override name = "PushRefused";
  readonly results: PushResult[];

  constructor(problem: Problem) {
    super(problem);
    this.results = problem.results as PushResult[];
  }
}

/**
 * No answer, half an answer, or one that is not this protocol's (a captive portal's page). A push that ended so may have
 * been applied all the same: send it again as it was, with its `seq`.
 */
export class NetworkError extends Error {
  override name = "NetworkError";
}

/** The error that a problem stands for. */
export function problemError(problem: Problem, retryAfter?: number): StrandlineError {
  if (problem.code === "resync_required") return new ResyncRequired(problem);
  if (problem.code === "push_refused") return new PushRefused(problem);
  return new StrandlineError(problem, retryAfter);
}

/** Whether the space is to hold no more than it does: a 403 that is no matter of who asks. */
export function isOverQuota(error: unknown): boolean {
  return error instanceof StrandlineError && error.code === "quota_exceeded";
}

/** Whether the same call may succeed later: the network's troubles, an overloaded server, a server that restarts. */
export function isTransient(error: unknown): boolean {
  return error instanceof StrandlineError ? TRANSIENT.has(error.status) : error instanceof NetworkError;
}

/** Not 507: a full disk is not emptied by asking again. */
const TRANSIENT = new Set([408, 429, 500, 502, 503, 504]);
