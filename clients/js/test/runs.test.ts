import assert from "node:assert/strict";
import { test } from "node:test";
import { Checksum, compareRuns, decodeRuns, encodeRuns } from "../src/index.ts";

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, at) => first + at);

/** The protocol's formula word by word, slow and surely right. */
function reference(revs: Iterable<number>): string {
  const word = (z: bigint) => BigInt.asUintN(64, z);
  let sum = 0n;
  for (const rev of revs) {
    let z = word(BigInt(rev) + 0x9e3779b97f4a7c15n);
    z = word((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = word((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    sum ^= z ^ (z >> 31n);
  }
  return sum.toString(16).padStart(16, "0");
}

test("checksums are those of the protocol's page", () => {
  assert.equal(String(Checksum.of([])), "0000000000000000");
  assert.equal(String(Checksum.of([1])), "910a2dec89025cc1");
  assert.equal(String(Checksum.of([1, 2, 3])), "1b590cd64e9485e2");
  assert.equal(String(Checksum.of(range(1, 1000))), "3759d9d3f4d2b8d1");
});

test("checksums agree with 64-bit arithmetic up to the highest revision", () => {
  const revs = [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1];
  for (let n = 0; n < 2000; n++) revs.push(Math.floor(Math.random() * 2 ** (1 + (n % 53))));
  for (const rev of revs) assert.equal(String(Checksum.of([rev])), reference([rev]), `of ${rev}`);
});

test("a checksum goes on from its text, and removing undoes adding", () => {
  const sum = new Checksum(1000, "3759d9d3f4d2b8d1");
  for (const rev of range(4, 1000)) sum.remove(rev);
  assert.equal(sum.count, 3);
  assert.equal(String(sum), "1b590cd64e9485e2");
});

test("runs are those of the protocol's page, and come back as they were", () => {
  const revs = [...range(1, 50), ...range(54, 153)];
  assert.deepEqual(encodeRuns(revs), [0, 50, 3, 100]);
  assert.deepEqual([...decodeRuns([0, 50, 3, 100])], revs);
  assert.deepEqual(encodeRuns([]), []);
  assert.deepEqual(encodeRuns([7]), [6, 1]);
});

test("a comparison with a manifest finds what is missing and what is foreign", () => {
  for (let round = 0; round < 500; round++) {
    const pick = () => range(1, 40).filter(() => Math.random() < 0.5);
    const there = pick();
    const held = pick();
    const { missing, foreign } = compareRuns(encodeRuns(there), held);
    assert.deepEqual([...decodeRuns(missing)], there.filter((rev) => !held.includes(rev)));
    assert.deepEqual(missing, encodeRuns(decodeRuns(missing)), "in its shortest form");
    assert.deepEqual(foreign, held.filter((rev) => !there.includes(rev)));
  }
});

test("a million revisions are compared in a moment", () => {
  const { missing, foreign } = compareRuns([0, 1_000_000], range(500_000, 1_500_000));
  assert.deepEqual(missing, [0, 499_999]);
  assert.equal(foreign.length, 500_000);
});
