/**
 * The checksum of a set of revisions (PROTOCOL.md §1): 64-bit arithmetic in two halves of 32 bits, since `BigInt` takes
 * some fifty times as long, and a replica of a million records checks itself.
 */

/** The upper 32 bits of the product of two unsigned 32-bit integers. */
function productHigh(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const carry = a0 * b1 + (middle % 0x10000);
  return a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000);
}

/** A set's count and checksum, kept up as revisions come and go. */
export class Checksum {
  count: number;
  #high = 0;
  #low = 0;

  /** Goes on from a set already known, or from the empty one. */
  constructor(count = 0, checksum = "0000000000000000") {
    this.count = count;
    this.#high = parseInt(checksum.slice(0, 8), 16) | 0;
    this.#low = parseInt(checksum.slice(8), 16) | 0;
  }

  /** The checksum of some revisions. */
  static of(revs: Iterable<number>): Checksum {
    const sum = new Checksum();
    for (const rev of revs) sum.add(rev);
    return sum;
  }

  add(rev: number): void {
    this.count += 1;
    this.#toggle(rev);
  }

  remove(rev: number): void {
    this.count -= 1;
    this.#toggle(rev);
  }

  /** 16 lower-case hex digits, as the protocol writes it. */
  toString(): string {
    return hex(this.#high) + hex(this.#low);
  }

  /** XOR with `mix(rev)`: adding and removing are the same. */
  #toggle(rev: number): void {
    let low = (rev >>> 0) + 0x7f4a7c15;
    let high = (Math.floor(rev / 0x1_0000_0000) + 0x9e3779b9 + (low > 0xffff_ffff ? 1 : 0)) >>> 0;
    low >>>= 0;
    for (const [shift, byHigh, byLow] of ROUNDS) {
      const shifted = low ^ ((low >>> shift) | (high << (32 - shift)));
      high ^= high >>> shift;
      high = (productHigh(shifted >>> 0, byLow) + Math.imul(high, byLow) + Math.imul(shifted, byHigh)) >>> 0;
      low = Math.imul(shifted, byLow) >>> 0;
    }
    this.#low ^= low ^ ((low >>> 31) | (high << 1));
    this.#high ^= high ^ (high >>> 31);
  }
}

/** The two multiplying rounds: by how much to shift, and the factor's halves. */
const ROUNDS = [
  [30, 0xbf58476d, 0x1ce4e5b9],
  [27, 0x94d049bb, 0x133111eb],
] as const;

function hex(half: number): string {
  return (half >>> 0).toString(16).padStart(8, "0");
}
