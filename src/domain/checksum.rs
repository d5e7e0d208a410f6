//! The checksum of a set of revisions (PROTOCOL.md §1): the XOR of a mix of each, so that it follows every change in O(1).

use std::fmt;
use std::str::FromStr;

use super::Rev;

/// The checksum of a set of revisions. The empty set's is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Checksum(u64);

impl Checksum {
    /// The empty set's.
    pub const EMPTY: Self = Self(0);

    /// Adds `rev` to the set, or takes it out: XOR is its own inverse.
    pub fn toggle(&mut self, rev: Rev) {
        self.0 ^= mix(rev.get());
    }

    /// The checksum of two sets that share no revision, taken together.
    #[must_use]
    pub fn combine(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }

    /// For a store's signed column: the same 64 bits.
    #[must_use]
    pub fn to_stored(self) -> i64 {
        self.0.cast_signed()
    }

    /// From a store's signed column.
    #[must_use]
    pub fn from_stored(bits: i64) -> Self {
        Self(bits.cast_unsigned())
    }
}

/// A 64-bit finaliser (splitmix64), given by the protocol.
fn mix(rev: u64) -> u64 {
    let z = rev.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl FromIterator<Rev> for Checksum {
    fn from_iter<I: IntoIterator<Item = Rev>>(revs: I) -> Self {
        revs.into_iter().fold(Self::EMPTY, |mut sum, rev| {
            sum.toggle(rev);
            sum
        })
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Checksum {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum(revs: impl IntoIterator<Item = u64>) -> String {
        revs.into_iter().map(|r| Rev::new(r).unwrap()).collect::<Checksum>().to_string()
    }

    #[test]
    fn the_vectors_of_the_protocol() {
        assert_eq!(checksum([]), "0000000000000000");
        assert_eq!(checksum([1]), "910a2dec89025cc1");
        assert_eq!(checksum([1, 2, 3]), "1b590cd64e9485e2");
        assert_eq!(checksum(1..=1000), "3759d9d3f4d2b8d1");
    }

    #[test]
    fn taking_out_what_was_put_in_leaves_the_rest() {
        let mut sum: Checksum = [1, 2, 3].map(|r| Rev::new(r).unwrap()).into_iter().collect();
        sum.toggle(Rev::new(2).unwrap());
        assert_eq!(sum.to_string(), checksum([1, 3]));
        assert_eq!(Checksum::from_stored(sum.to_stored()), sum);
        assert_eq!(sum.to_string().parse(), Ok(sum));
    }
}
