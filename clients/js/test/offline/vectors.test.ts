import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Checksum, decodeRuns, encodeRuns } from "../../src/index.ts";
import { type Case, runCase } from "./vectors.ts";

const vectors = (name: string) => JSON.parse(readFileSync(new URL(`../../../vectors/${name}.json`, import.meta.url), "utf8"));

const sets = vectors("sets");
test("sets of revisions have the checksums of the vectors", () => {
  for (const { revs, checksum } of sets.checksums) assert.equal(String(Checksum.of(revs)), checksum);
});

test("sets of revisions travel as the runs of the vectors", () => {
  for (const { revs, runs } of sets.runs) {
    assert.deepEqual(encodeRuns(revs), runs);
    assert.deepEqual([...decodeRuns(runs)], revs);
  }
});

for (const vector of vectors("sync") as Case[]) {
  test(vector.name, () => runCase(vector, `vectors/${vector.name}`));
}
