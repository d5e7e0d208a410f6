//! Epochs: one unbroken history of a space each, and what two of them share (PROTOCOL.md §1, §3).

use std::fmt;
use std::str::FromStr;

use super::Rev;

/// A short random token that names one unbroken history: 1 to 16 of `a-z0-9`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch {
    length: u8,
    text: [u8; 16],
}

/// The text is not an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an epoch is 1 to 16 of a-z and 0-9")]
pub struct EpochFault;

/// How many characters a new epoch has: 36^8 of them, and only those of one space must differ.
const LENGTH: usize = 8;
const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

impl Epoch {
    /// The epoch that `random` bits spell. The caller supplies the randomness, so that this stays pure.
    #[must_use]
    pub fn from_random(random: u128) -> Self {
        let mut text = [0; 16];
        let mut rest = random;
        for place in text.iter_mut().take(LENGTH) {
            let digit = usize::try_from(rest % 36).unwrap_or(0);
            *place = ALPHABET.get(digit).copied().unwrap_or(b'0');
            rest /= 36;
        }
        Self { length: 8, text }
    }

    /// The token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.text.get(..usize::from(self.length)).unwrap_or_default();
        // Only ASCII ever gets in.
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl FromStr for Epoch {
    type Err = EpochFault;

    fn from_str(text: &str) -> Result<Self, EpochFault> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let length = u8::try_from(text.len()).map_err(|_| EpochFault)?;
        let mut bytes = [0; 16];
        let room = bytes.get_mut(..text.len()).ok_or(EpochFault)?;
        if text.is_empty() || !text.bytes().all(plain) {
            return Err(EpochFault);
        }
        room.copy_from_slice(text.as_bytes());
        Ok(Self { length, text: bytes })
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The epochs of a space from the first to the present one, each with the head at which it was opened.
///
/// Whatever an epoch wrote beyond the head at which a later one was opened is not part of the later one's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    past: Vec<(Epoch, Rev)>,
    present: (Epoch, Rev),
}

impl Lineage {
    /// The history of a space that begins with `epoch`.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        Self { past: Vec::new(), present: (epoch, Rev::ZERO) }
    }

    /// The lineage of these epochs, oldest first; `None` when there are none.
    #[must_use]
    pub fn from_entries(mut entries: Vec<(Epoch, Rev)>) -> Option<Self> {
        entries.pop().map(|present| Self { past: entries, present })
    }

    /// The epoch that is being written.
    #[must_use]
    pub fn present(&self) -> Epoch {
        self.present.0
    }

    /// All epochs with the head at which each was opened, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = (Epoch, Rev)> + '_ {
        self.past.iter().copied().chain(std::iter::once(self.present))
    }

    /// Opens `epoch` at `head`: what was written up to there is shared with it.
    pub fn open(&mut self, epoch: Epoch, head: Rev) {
        self.past.push(self.present);
        self.present = (epoch, head);
    }

    /// The last revision that the history of `epoch` and the present one share (§3); `0` for an epoch never seen here.
    ///
    /// It is the lowest head at which any later epoch was opened: each of them cut off what lay beyond.
    #[must_use]
    pub fn shared_rev(&self, epoch: Epoch) -> Rev {
        if epoch == self.present.0 {
            return Rev::MAX;
        }
        let Some(place) = self.past.iter().position(|(past, _)| *past == epoch) else {
            return Rev::ZERO;
        };
        self.entries().skip(place + 1).map(|(_, opened_at)| opened_at).min().unwrap_or(Rev::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(text: &str) -> Epoch {
        text.parse().unwrap()
    }

    fn rev(value: u64) -> Rev {
        Rev::new(value).unwrap()
    }

    #[test]
    fn an_epoch_is_a_short_plain_token() {
        assert_eq!(epoch("k3f9q2").to_string(), "k3f9q2");
        for bad in ["", "K3", "a.b", "a~b", "abcdefghijklmnopq", "é"] {
            assert_eq!(bad.parse::<Epoch>(), Err(EpochFault), "{bad}");
        }
        let random = Epoch::from_random(u128::MAX / 7);
        assert_eq!(random.as_str().len(), LENGTH);
        assert_eq!(random.to_string().parse(), Ok(random));
    }

    #[test]
    fn what_two_epochs_share_ends_where_the_first_break_after_the_older_one_lies() {
        let mut lineage = Lineage::new(epoch("a"));
        lineage.open(epoch("b"), rev(100));
        lineage.open(epoch("c"), rev(70));
        lineage.open(epoch("d"), rev(200));
        assert_eq!(lineage.present(), epoch("d"));
        assert_eq!(lineage.shared_rev(epoch("a")), rev(70));
        assert_eq!(lineage.shared_rev(epoch("b")), rev(70));
        assert_eq!(lineage.shared_rev(epoch("c")), rev(200));
        assert_eq!(lineage.shared_rev(epoch("d")), Rev::MAX);
        assert_eq!(lineage.shared_rev(epoch("z")), Rev::ZERO);
    }
}
