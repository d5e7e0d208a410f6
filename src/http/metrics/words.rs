//! Counters by a word of a closed set: all of them are there from the start, at zero, and counting hashes and allocates
//! nothing.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What a pull came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullKind {
    /// A 304.
    NotModified,
    /// A page with nothing new.
    UpToDate,
    /// A page of a delta.
    Delta,
    /// A page of an initial sync.
    Initial,
    /// A stream of lines.
    Lines,
    /// A stream of events.
    Events,
    /// A 410.
    Resync,
}

impl PullKind {
    pub(super) const WORDS: [&'static str; 7] =
        ["not_modified", "up_to_date", "delta", "initial", "lines", "events", "resync"];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::NotModified => "not_modified",
            Self::UpToDate => "up_to_date",
            Self::Delta => "delta",
            Self::Initial => "initial",
            Self::Lines => "lines",
            Self::Events => "events",
            Self::Resync => "resync",
        }
    }
}

/// What something is sent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A page of a pull.
    Page,
    /// A stream of lines.
    Lines,
    /// A stream of events.
    Events,
    /// The answer to a fetch.
    Fetch,
    /// A manifest, which has no changes in it.
    Manifest,
}

impl Via {
    pub(super) const WORDS: [&'static str; 5] = ["page", "lines", "events", "fetch", "manifest"];
    /// Those that have changes in them.
    pub(super) const RECORDS: [&'static str; 4] = ["page", "lines", "events", "fetch"];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Lines => "lines",
            Self::Events => "events",
            Self::Fetch => "fetch",
            Self::Manifest => "manifest",
        }
    }
}

/// What a client that repairs itself asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// The set of revisions.
    Manifest,
    /// Records by their revisions.
    Fetch,
}

impl Repair {
    pub(super) const WORDS: [&'static str; 2] = ["manifest", "fetch"];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Fetch => "fetch",
        }
    }
}

/// A counter for each of `N` words.
#[derive(Debug)]
pub(super) struct Words<const N: usize>([(&'static str, Counter); N]);

impl<const N: usize> Words<N> {
    /// Counts `count` things that `word` says.
    pub fn add(&self, word: &str, count: u64) {
        let found = self.0.iter().find(|(known, _)| *known == word);
        debug_assert!(found.is_some(), "{word} has no counter");
        if let Some((_, counter)) = found {
            counter.inc_by(count);
        }
    }
}

/// Where such counters are made known.
pub(super) struct Register<'r>(pub &'r mut Registry);

impl Register<'_> {
    /// The counters of a metric whose label has one of `words`.
    pub fn of<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        words: [&'static str; N],
    ) -> Words<N> {
        let family = Family::<[(&'static str, &'static str); 1], Counter>::default();
        self.0.register(name, help, family.clone());
        Words(words.map(|word| (word, family.get_or_create_owned(&[(label, word)]))))
    }
}
