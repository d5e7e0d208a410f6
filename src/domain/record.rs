//! Writes of single records with HTTP's preconditions (PROTOCOL.md §5). Without one a write is unconditional.

use super::push::{self, Base, Decision, Existing, Knowledge, Op, Oversize, RecordLimits};
use super::quota::Excess;
use super::{Change, CollectionName, Document, RecordId, Rev, SpaceName};

/// One write of one record.
#[derive(Clone, Debug)]
pub struct RecordWrite {
    /// The space; a write that applies makes it.
    pub space: SpaceName,
    /// The record's collection.
    pub collection: CollectionName,
    /// The record's id.
    pub id: RecordId,
    /// What is wanted.
    pub op: Op,
    /// Under which conditions.
    pub guard: Guard,
    /// The largest record, in bytes of its data.
    pub max_record_bytes: usize,
}

/// The preconditions of a write (RFC 9110 §13, and §5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// `If-Match`: the record is live at one of these.
    pub if_match: Option<Tags>,
    /// `If-None-Match`: the record is not live at any of these.
    pub if_none_match: Option<Tags>,
    /// `If-Unmodified-Since`, in seconds since the Unix epoch. It is ignored beside `If-Match`.
    pub unmodified_since: Option<i64>,
}

/// A list of entity tags of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tags {
    /// `*`
    Any,
    /// Revisions; a tag that is none has no place here, as it matches nothing.
    OneOf(Vec<Rev>),
}

impl Tags {
    /// Whether a live record at `rev` matches.
    #[must_use]
    pub fn matches(&self, rev: Rev) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(revs) => revs.contains(&rev),
        }
    }
}

impl Guard {
    fn admits(&self, existing: &Existing) -> bool {
        let live = match existing {
            Existing::Record { rev, data: Some(_), .. } => Some(*rev),
            _ => None,
        };
        let unmodified = || match (self.unmodified_since, existing) {
            // A Last-Modified has whole seconds, so the comparison has too.
            (Some(since), Existing::Record { modified_at, .. }) => modified_at.seconds() <= since,
            _ => true,
        };
        let matched = match &self.if_match {
            Some(tags) => live.is_some_and(|rev| tags.matches(rev)),
            None => unmodified(),
        };
        matched && !self.if_none_match.as_ref().is_some_and(|tags| live.is_some_and(|rev| tags.matches(rev)))
    }
}

/// What a write does.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteDecision {
    /// The record gets this data.
    Put {
        /// The data.
        data: Document,
        /// Whether it was not live before.
        created: bool,
    },
    /// The record becomes a tombstone.
    Delete,
    /// It has this data already.
    Unchanged,
    /// A precondition does not hold.
    PreconditionFailed,
    /// There is no live record to patch or delete.
    NotFound,
    /// A limit is broken.
    Reject(Oversize),
}

/// Decides a write: the guard first, then the table of §4 as for an unconditional push.
#[must_use]
pub fn decide(existing: &Existing, op: &Op, guard: &Guard, limits: RecordLimits) -> WriteDecision {
    if let Op::Oversize(limit) = op {
        return WriteDecision::Reject(*limit);
    }
    if !guard.admits(existing) {
        return WriteDecision::PreconditionFailed;
    }
    let live = matches!(existing, Existing::Record { data: Some(_), .. });
    if !live && !matches!(op, Op::Put(_)) {
        return WriteDecision::NotFound;
    }
    let knowledge = Knowledge { head: Rev::MAX, cursor: None };
    match push::decide(existing, op, Base::Any, knowledge, limits) {
        Decision::Put(data) => WriteDecision::Put { data, created: !live },
        Decision::Delete => WriteDecision::Delete,
        Decision::Unchanged => WriteDecision::Unchanged,
        Decision::Conflict => WriteDecision::PreconditionFailed,
        Decision::Reject(limit) => WriteDecision::Reject(limit),
    }
}

/// What a write comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// It was applied, or there was nothing to do.
    Done {
        /// The record as it is now.
        record: Change,
        /// Whether it was not live before.
        created: bool,
    },
    /// A precondition does not hold; this is the record, if there is one.
    PreconditionFailed(Option<Change>),
    /// There is no live record; this is its tombstone, if there is one.
    NotFound(Option<Change>),
    /// A limit is broken.
    Rejected(Oversize),
    /// It would have left more in the space than its quota allows.
    OverQuota(Excess),
    /// The space does not exist, and this write does not make one.
    NoSpace,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Quota, Timestamp};
    use serde_json::value::RawValue;

    fn document(text: &str) -> Document {
        Document::parse(serde_json::from_str::<&RawValue>(text).unwrap()).unwrap()
    }

    fn existing(data: Option<&str>) -> Existing {
        let data = data.map(document);
        Existing::Record { rev: Rev::new(7).unwrap(), modified_at: Timestamp::from_micros(5_400_000), data }
    }

    #[test]
    fn a_guard_holds_or_the_write_fails() {
        let tags = |rev| Some(Tags::OneOf(vec![Rev::new(rev).unwrap()]));
        let if_match = |rev| Guard { if_match: tags(rev), ..Guard::default() };
        let if_none_match = |tags| Guard { if_none_match: tags, ..Guard::default() };
        let since = |seconds| Guard { unmodified_since: Some(seconds), ..Guard::default() };
        let any = Guard { if_match: Some(Tags::Any), ..Guard::default() };
        let (live, tombstone, nothing) = (existing(Some("{}")), existing(None), Existing::Nothing);
        for (guard, on_live, on_tombstone, on_nothing) in [
            (Guard::default(), true, true, true),
            (if_match(7), true, false, false),
            (if_match(6), false, false, false),
            (any, true, false, false),
            (if_none_match(Some(Tags::Any)), false, true, true),
            (if_none_match(tags(7)), false, true, true),
            (if_none_match(tags(6)), true, true, true),
            (since(5), true, true, true),
            (since(4), false, false, true),
            (Guard { unmodified_since: Some(4), ..if_match(7) }, true, false, false),
        ] {
            let got = [&live, &tombstone, &nothing].map(|existing| guard.admits(existing));
            assert_eq!(got, [on_live, on_tombstone, on_nothing], "{guard:?}");
        }
    }

    #[test]
    fn an_unconditional_write_does_what_it_says() {
        let put = Op::Put(document(r#"{"a":1}"#));
        let free = Guard::default();
        let limits = RecordLimits { bytes: 100, quota: Quota::default() };
        let decide = |existing: &Existing, op: &Op| decide(existing, op, &free, limits);
        let data = document(r#"{"a":1}"#);
        for (existing, created) in [(existing(Some("{}")), false), (existing(None), true), (Existing::Nothing, true)] {
            assert_eq!(decide(&existing, &put), WriteDecision::Put { data: data.clone(), created });
        }
        assert_eq!(decide(&existing(Some(r#"{"a":1.0}"#)), &put), WriteDecision::Unchanged);
        assert_eq!(decide(&existing(Some("{}")), &Op::Delete), WriteDecision::Delete);
        assert_eq!(decide(&existing(None), &Op::Delete), WriteDecision::NotFound);
        assert_eq!(decide(&Existing::Nothing, &Op::Delete), WriteDecision::NotFound);
    }
}
