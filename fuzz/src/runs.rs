//! Sets of revisions, and the body of a fetch, which brings one.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use strandline::domain::{Rev, Runs, SpaceName};
use strandline::fuzzing;

/// Sets of at most as many members are also compared one by one.
const FEW: u64 = 2_000;

/// An input that begins like an object is the body of a fetch; any other one is numbers, of which the first two say where
/// to cut the set that the rest are the counts of.
pub fn check(input: &[u8]) {
    if let (Ok(text), Some(b'{')) = (std::str::from_utf8(input), input.first()) {
        body(text);
        return;
    }
    let mut numbers = numbers(input);
    let (at, from) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let counts: Vec<u64> = numbers.collect();
    joined(&counts);

    let read = Runs::new(counts.clone());
    assert_eq!(read.is_ok(), is_set(&counts), "{counts:?} is read as {read:?}");
    let Ok(runs) = read else { return };
    assert_eq!(runs.counts(), counts);
    let text = format!(r#"{{"runs":{counts:?},"from":{}}}"#, from.min(Rev::MAX.get()));
    let fetch = fuzzing::fetch_body(&text, SpaceName::new("demo").unwrap()).unwrap();
    assert_eq!(fetch.runs, runs);
    set(&runs, at, Rev::new(from.min(Rev::MAX.get())).unwrap());
}

fn body(text: &str) {
    let Ok(fetch) = fuzzing::fetch_body(text, SpaceName::new("demo").unwrap()) else { return };
    assert!(is_set(fetch.runs.counts()));
    assert!((1..=10_000).contains(&fetch.limit));
    assert!(fetch.from <= Rev::MAX);
    // A count takes at least a digit and a comma.
    assert!(fetch.runs.counts().len() <= text.len() / 2);
    set(&fetch.runs, fetch.limit as u64, fetch.from);
}

/// What holds of every set, cut after `at` members and before the revision `from`.
fn set(runs: &Runs, at: u64, from: Rev) {
    let ranges: Vec<_> = runs.ranges().collect();
    let mut end = 0;
    for (index, range) in ranges.iter().enumerate() {
        assert!(range.start() <= range.end() && *range.end() <= Rev::MAX.get(), "{runs:?}");
        assert!(*range.start() > end + u64::from(index > 0), "{runs:?} has runs that touch");
        end = *range.end();
    }
    assert_eq!(runs.len(), ranges.iter().map(size).sum::<u64>());
    assert_eq!(runs.is_empty(), ranges.is_empty());
    assert_eq!(ranges.iter().cloned().collect::<Runs>(), *runs);

    let (head, tail) = runs.split_at(at);
    assert_eq!((head.len(), tail.len()), (at.min(runs.len()), runs.len() - at.min(runs.len())));
    assert_eq!(head.ranges().chain(tail.ranges()).collect::<Runs>(), *runs, "cut after {at}");
    if let (Some(last), Some(first)) = (head.ranges().last(), tail.ranges().next()) {
        assert!(last.end() < first.start());
    }
    let rest = runs.from_rev(from);
    assert!(rest.ranges().all(|range| *range.start() >= from.get()));
    let before = ranges.iter().filter(|range| *range.start() < from.get());
    let before: u64 = before.map(|range| size(&(*range.start()..=(*range.end()).min(from.get() - 1)))).sum();
    assert_eq!(before + rest.len(), runs.len(), "{runs:?} from {from}");

    if runs.len() <= FEW {
        let members: Vec<Rev> = ranges.into_iter().flatten().map(|rev| Rev::new(rev).unwrap()).collect();
        assert_eq!(members.iter().copied().collect::<Runs>(), *runs);
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(members.len());
        assert_eq!(members[..at].iter().copied().collect::<Runs>(), head);
        assert_eq!(members.into_iter().filter(|rev| *rev >= from).collect::<Runs>(), rest);
    }
}

/// Ranges in order of their starts, which may overlap and touch, join to the set of their members.
fn joined(counts: &[u64]) {
    let mut start = 1;
    let mut ranges = Vec::new();
    for pair in counts.chunks_exact(2) {
        start += pair[0] % 8;
        ranges.push(start..=start + pair[1] % 8);
    }
    let members: BTreeSet<u64> = ranges.iter().cloned().flatten().collect();
    let runs: Runs = ranges.into_iter().collect();
    assert!(is_set(runs.counts()), "{runs:?}");
    assert_eq!(runs.ranges().flatten().collect::<Vec<_>>(), members.into_iter().collect::<Vec<_>>());
}

fn size(range: &RangeInclusive<u64>) -> u64 {
    range.end() - range.start() + 1
}

/// PROTOCOL.md §1: pairs of skip and take, no zero but the first skip, and nothing beyond the last revision.
fn is_set(counts: &[u64]) -> bool {
    counts.len().is_multiple_of(2)
        && counts.iter().skip(1).all(|count| *count > 0)
        && counts.iter().map(|count| u128::from(*count)).sum::<u128>() <= u128::from(Rev::MAX.get())
}

/// Numbers of seven bits a byte, so that most are small; the high bit says that the number goes on.
fn numbers(input: &[u8]) -> impl Iterator<Item = u64> {
    let mut bytes = input.iter();
    std::iter::from_fn(move || {
        let mut number = u64::from(bytes.next()? & 0x7f);
        let mut byte = input[input.len() - bytes.len() - 1];
        while byte & 0x80 != 0 {
            byte = bytes.next().copied().unwrap_or_default();
            number = number << 7 | u64::from(byte & 0x7f);
        }
        Some(number)
    })
}
