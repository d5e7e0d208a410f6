/** The epoch of a cursor: what stands before its first dot (PROTOCOL.md §1). The rest is the server's business. */
export function epochOf(cursor: string): string {
  return cursor.split(".", 1)[0] as string;
}
