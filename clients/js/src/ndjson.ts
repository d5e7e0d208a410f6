/** Text that comes in pieces, as lines; and lines, as JSON values. */

import { NetworkError } from "./errors.js";

/** A text in pieces, as one. */
export async function readText(pieces: AsyncIterable<string>): Promise<string> {
  let text = "";
  for await (const piece of pieces) text += piece;
  return text;
}

/** The lines of a text in pieces, without their ends. A last line without an end is one too. */
export async function* readLines(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  for await (const piece of pieces) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() as string;
    for (const line of lines) yield line.endsWith("\r") ? line.slice(0, -1) : line;
  }
  if (rest) yield rest;
}

/** The JSON values of an NDJSON text. */
export async function* readNdjson<T>(pieces: AsyncIterable<string>): AsyncGenerator<T> {
  for await (const line of readLines(pieces)) if (line) yield parseJson<T>(line);
}

/** What an answer says. One that is not JSON is cut short, or comes from something between us and the server. */
export function parseJson<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new NetworkError("the answer is not JSON", { cause });
  }
}
