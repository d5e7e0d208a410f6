/** The epoch of a cursor: what stands before its first dot (PROTOCOL.md §1). The rest is the server's business. */
export function epochOf(cursor: string): string {
  return cursor.split(".", 1)[0] as string;
}

/** Whether more is to come before a copy at this cursor is right (PROTOCOL.md §1). */
export function isUnderWay(cursor: string): boolean {
  return cursor.split(".").length > 2;
}
