/** The `text/event-stream` format, as far as the live feed uses it (PROTOCOL.md §3). */

import { readLines } from "./ndjson.js";

/** One event of a stream. */
export interface ServerEvent {
  event: string;
  data: string;
}

/** The events of a stream that comes in pieces. Comments, which only keep the connection alive, are passed over. */
export async function* readEvents(pieces: AsyncIterable<string>): AsyncGenerator<ServerEvent> {
  let event = "message";
  let data: string[] = [];
  for await (const line of readLines(pieces)) {
    if (line === "") {
      if (data.length) yield { event, data: data.join("\n") };
      event = "message";
      data = [];
      continue;
    }
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line) as unknown as [string, string, string];
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
  }
  // An event without its empty line was cut off, and is none: the stream is resumed before it.
}
