/**
 * Whose version of a row stays, when both sides may have changed it. The server wins, and what that costs the user is
 * named. The question is always the same: had the user seen what the server has when the edit was made?
 */

import type { SentRow } from "./ledger.js";
import { difference, type MarkedRow, pick, type Row, rowOf, type SyncedTable, type Value } from "./tables.js";

/** What a pull says of one record. */
export interface Incoming {
  /** Null if it is deleted, or (in a full pull) not there. */
  row: Row | null;
  rev: number;
  /** The server refused an edit because of it: whatever its revision, the user had not seen it. */
  refused: boolean;
}

/** Up to where the copy had seen the history that the pull is of. */
export interface Sight {
  seen: number;
  /** History was broken: rows may show versions that it does not have any more. */
  broken: boolean;
}

/** Whose version stays. `edits` are the columns in which the local row then differs from the server's. */
export type Verdict =
  | { stays: "local"; edits: string[] }
  /** `lost` is what the user loses by that: columns, or a deletion (null); undefined if nothing. */
  | { stays: "server"; lost?: Record<string, Value> | null };

/** Judges an unpushed edit. `sent` is what was pushed of this row and acknowledged since the last pull. */
export function judge(table: SyncedTable, local: MarkedRow, server: Incoming, sent: SentRow | undefined, sight: Sight): Verdict {
  const pushed = sent?.row ? rowOf(table, sent.id, sent.row) : undefined;
  if (server.row === null) return judgeGone(table, local, pushed);
  const columns = edited(table, local, pushed);
  const edits = columns.filter((column) => local[column] !== server.row?.[column]);
  if (edits.length === 0) return { stays: "server" };
  const seen = pushed
    ? // Our own push comes back, and the user has gone on from it: without this, every second edit would be a conflict.
      isOwn(table, sent, server.row)
    : local._status === "updated" && hasSeen(server, sight) && !(sight.broken && isLostVersion(table, local, server.row, columns));
  return seen ? { stays: "local", edits } : loses(local, edits);
}

/** Judges an unpushed deletion. */
export function judgeDeletion(table: SyncedTable, server: Incoming, sent: SentRow | undefined, sight: Sight): Verdict {
  if (server.row === null) return { stays: "server" };
  // Our deletion was carried out, and somebody who knew of it wrote the record anew.
  if (sent?.row === null) return { stays: "server" };
  const seen = sent ? isOwn(table, sent, server.row) : hasSeen(server, sight);
  return seen ? { stays: "local", edits: [] } : { stays: "server", lost: null };
}

function judgeGone(table: SyncedTable, local: MarkedRow, pushed: Row | undefined): Verdict {
  // A record that the server never had is new, and stays; also if a deleted one had its id.
  if (local._status === "created" && !pushed) return { stays: "local", edits: [...table.columns] };
  return loses(local, edited(table, local, pushed));
}

/** Whether the copy had this version when the edit was made. */
function hasSeen(server: Incoming, sight: Sight): boolean {
  return !server.refused && server.rev <= sight.seen;
}

/** Whether what the server has is what was pushed. A version of the app that knew fewer columns may have pushed it. */
function isOwn(table: SyncedTable, sent: SentRow | undefined, theirs: Row): boolean {
  const { id, row } = sent ?? {};
  if (!id || !row) return false;
  return difference(table, rowOf(table, id, row), theirs).every((column) => !Object.hasOwn(row, column));
}

/** After a restore: a row that differs where nobody edited it shows a version that was lost, on which the edit is based. */
function isLostVersion(table: SyncedTable, local: MarkedRow, theirs: Row, edits: string[]): boolean {
  return difference(table, local, theirs).some((column) => !edits.includes(column));
}

/** The columns that were edited since the server last heard of the row. */
function edited(table: SyncedTable, local: MarkedRow, pushed: Row | undefined): string[] {
  if (pushed) return difference(table, local, pushed);
  if (local._status === "created") return [...table.columns];
  const changed = local._changed.split(",");
  return table.columns.filter((column) => changed.includes(column));
}

function loses(local: MarkedRow, columns: string[]): Verdict {
  return columns.length ? { stays: "server", lost: pick(local, columns) } : { stays: "server" };
}
