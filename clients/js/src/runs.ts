/** Sets of revisions as they travel: alternating `skip, take` counts that start after revision 0 (PROTOCOL.md §1). */

/** Runs, built up from revisions or stretches of them in rising order. */
class RunsWriter {
  readonly runs: number[] = [];
  #end = 0;

  /** Adds `first` to `last`, both included. */
  take(first: number, last: number): void {
    const { runs } = this;
    const skip = first - this.#end - 1;
    const taken = last - first + 1;
    if (skip > 0 || runs.length === 0) runs.push(skip, taken);
    else runs[runs.length - 1] = (runs[runs.length - 1] as number) + taken;
    this.#end = last;
  }
}

/** The runs of revisions in rising order, each once. */
export function encodeRuns(revs: Iterable<number>): number[] {
  const writer = new RunsWriter();
  for (const rev of revs) writer.take(rev, rev);
  return writer.runs;
}

/** The stretches `[first, last]` of some runs. */
export function* stretches(runs: readonly number[]): Generator<[first: number, last: number]> {
  let end = 0;
  for (let at = 0; at + 1 < runs.length; at += 2) {
    const first = end + (runs[at] as number) + 1;
    end = first + (runs[at + 1] as number) - 1;
    yield [first, end];
  }
}

/** The revisions of some runs, in rising order. */
export function* decodeRuns(runs: readonly number[]): Generator<number> {
  for (const [first, last] of stretches(runs)) {
    for (let rev = first; rev <= last; rev++) yield rev;
  }
}

/** The first `count` revisions of some runs, and the last one of them. */
export function takeRuns(runs: readonly number[], count: number): { runs: number[]; last: number } {
  const writer = new RunsWriter();
  let left = count;
  let last = 0;
  for (const [first, end] of stretches(runs)) {
    last = Math.min(end, first + left - 1);
    writer.take(first, last);
    left -= last - first + 1;
    if (left === 0) break;
  }
  return { runs: writer.runs, last };
}

/** The revisions of some runs that are above `rev`. */
export function runsAbove(runs: readonly number[], rev: number): number[] {
  const writer = new RunsWriter();
  for (const [first, last] of stretches(runs)) if (last > rev) writer.take(Math.max(first, rev + 1), last);
  return writer.runs;
}

/**
 * What a replica that holds `held` (in rising order, each once) lacks of a manifest, and what it holds that the
 * manifest has not (PROTOCOL.md §6, steps 3 and 4).
 */
export function compareRuns(runs: readonly number[], held: readonly number[]): { missing: number[]; foreign: number[] } {
  const missing = new RunsWriter();
  const foreign: number[] = [];
  let at = 0;
  for (const [first, last] of stretches(runs)) {
    let lacking = first;
    for (; at < held.length && (held[at] as number) <= last; at++) {
      const rev = held[at] as number;
      if (rev < first) {
        foreign.push(rev);
        continue;
      }
      if (rev > lacking) missing.take(lacking, rev - 1);
      lacking = rev + 1;
    }
    if (lacking <= last) missing.take(lacking, last);
  }
  // One by one: a spread of a million arguments overflows the stack.
  for (; at < held.length; at++) foreign.push(held[at] as number);
  return { missing: missing.runs, foreign };
}
