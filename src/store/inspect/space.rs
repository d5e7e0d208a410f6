//! One space: what is wrong with it, and what mends it. Pure, so that both backends judge alike; they read, and they write
//! what this says.
//!
//! **Epochs.** They are numbered from 0 without a gap, each has a token of its own, and the first was opened at 0. The
//! later ones need not ascend: what was put back from a backup has a lower head than the epochs that it lost. Only the
//! present one is never above the head.
//!
//! **Whom a repair concerns.** A count or a checksum that was wrong made clients repair in vain; their records were
//! right, and stay so, and so do their cursors. A collection's head that was too low made scoped polls end early; count
//! and checksum have told those clients, and the next poll does. But where a *space's* head was too low, pushes may have
//! given out revisions a second time, with another meaning, and the same set of revisions has the same checksum: no client
//! would notice. So a head that is raised gets a new epoch. It is opened where the rows prove that nothing was given out
//! twice: at the newest revision up to the low head whose row is older than those above that head. Whatever was written
//! while the head was low is newer than these, and no older row lies among what was given out twice, as its revision would
//! have been taken.

use super::fault::Fault;
use super::figures::{self, Figures, Right};
use super::finding::Finding;
use super::rows::{Collection, Row, Rows};
use crate::domain::{Epoch, Retention, Rev, SpaceName, Timestamp};
use crate::store::rows::{ClientColumns, CollectionColumns};

/// A space's own row, as it is stored.
#[derive(Clone, Debug)]
pub struct Heading {
    /// `spaces.id`.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its head.
    pub head: i64,
    /// Its retention.
    pub retention: String,
    /// The age at which a hold ends.
    pub max_retention: String,
    /// The bound on its tombstones.
    pub max_tombstones: Option<i64>,
    /// When it was made.
    pub created_at: i64,
    /// The time of its newest revision.
    pub modified_at: i64,
}

/// An epoch's row: ordinal, token, and the revision at which it was opened.
pub type EpochRow = (i64, String, i64);

/// A space under examination.
#[derive(Debug)]
pub struct Examination {
    heading: Heading,
    epochs: Vec<EpochRow>,
    rows: Rows,
}

/// What came of it.
#[derive(Debug)]
pub struct Verdict {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What mends that part of it which can be mended.
    pub mend: Mend,
}

/// What is to be written, all in one transaction.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mend {
    /// The rows of collections, by id.
    pub collections: Vec<(i64, Figures)>,
    /// Collections, by id, whose tombstones up to a horizon are to go.
    pub purges: Vec<(i64, i64)>,
    /// The space's head and time.
    pub heading: Option<(i64, i64)>,
    /// A new epoch: its ordinal, and where it is opened.
    pub epoch: Option<(i64, OpenAt)>,
}

/// Where a new epoch is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenAt {
    /// At this revision.
    Rev(i64),
    /// At the newest revision up to this one whose row is older than the newest one above it; at 0 where there is none.
    ProvenUpTo(i64),
}

impl Mend {
    /// Whether nothing is to be written.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Examination {
    /// Begins.
    pub fn new(heading: Heading, collections: Vec<CollectionColumns>, epochs: Vec<EpochRow>) -> Self {
        Self { heading, epochs, rows: Rows::new(collections) }
    }

    /// Looks at the next record, in order of revision.
    pub fn record(&mut self, row: &Row<'_>) {
        self.rows.record(row);
    }

    /// Looks at what is remembered of a client.
    pub fn client(&mut self, name: &str, seq: i64) {
        self.rows.client(name, seq);
    }

    /// Looks at where a client was seen.
    pub fn known_client(&mut self, row: ClientColumns) {
        self.rows.known_client(row);
    }

    /// Rows that there should be, for who shows how far it is.
    pub fn expected(&self) -> u64 {
        let of = |one: &Collection| one.stored.live.max(0).saturating_add(one.stored.tombstones.max(0)).unsigned_abs();
        self.rows.collections.values().map(of).fold(0, u64::saturating_add)
    }

    /// Judges, once all was looked at.
    pub fn judge(mut self, now: Timestamp) -> Verdict {
        let mut verdict = Verdict { findings: Vec::new(), mend: Mend::default() };
        self.judge_names(&mut verdict.findings);
        let head = self.judge_numbers(&mut verdict, now);
        self.judge_epochs(&mut verdict, head);
        verdict.findings.extend(self.rows.findings());
        let name = &self.heading.name;
        let known = if name.is_empty() { format!("(id {})", self.heading.id) } else { name.clone() };
        verdict.findings = verdict.findings.into_iter().map(|finding| finding.space(&known)).collect();
        verdict.findings.sort_by(|one, other| (&one.collection, one.fault).cmp(&(&other.collection, other.fault)));
        verdict
    }

    fn judge_names(&self, findings: &mut Vec<Finding>) {
        let Heading { name, retention, max_retention, max_tombstones, .. } = &self.heading;
        if SpaceName::new(name).is_err() {
            findings.push(Finding::of(Fault::SpaceName).stored(format!("{name:?}")));
        }
        for policy in [retention, max_retention] {
            if policy.parse::<Retention>().is_err() {
                findings.push(Finding::of(Fault::Policy).stored(format!("{policy:?}")));
            }
        }
        if let Some(bound) = max_tombstones.filter(|bound| *bound < 0) {
            findings.push(Finding::of(Fault::Policy).stored(format!("at most {bound} tombstones")));
        }
        for collection in self.rows.collections.values() {
            if crate::domain::CollectionName::new(&collection.name).is_err() {
                findings.push(Finding::of(Fault::CollectionName).collection(format!("{:?}", collection.name)));
            }
        }
    }

    /// Heads, horizons, counts and times; answers the space's head as it should be.
    fn judge_numbers(&self, verdict: &mut Verdict, now: Timestamp) -> i64 {
        let Heading { head, created_at, modified_at, .. } = self.heading;
        let top = head.max(self.rows.newest);
        let newest_time = self.rows.times.map_or(created_at, |(_, high)| high.max(created_at));
        // A row from the future would take all times to come along; it is left alone until that time.
        let mendable = newest_time <= now.micros();
        if modified_at < newest_time {
            let time = |micros| Timestamp::from_micros(micros);
            let finding = Finding::of(Fault::ModifiedAt).stored(time(modified_at)).rows(time(newest_time));
            verdict.findings.push(if mendable {
                finding
            } else {
                finding.advice("that row is from the future: UPDATE its modified_at, or wait, and run this again")
            });
        }
        let right_time = if mendable { modified_at.max(newest_time) } else { modified_at };
        let (mut proven, mut highest) = (head.max(self.rows.newest), 0);
        for (id, collection) in &self.rows.collections {
            let mut right = figures::right(&collection.stored, &collection.counted, top);
            let mut findings = figures::differences(&collection.stored, &collection.counted, &right);
            right.figures.horizon_at = self.horizon_time(collection, &right, right_time);
            if right.figures.horizon == collection.stored.horizon
                && right.figures.horizon_at != collection.stored.horizon_at
            {
                let times = [collection.stored.horizon_at, right.figures.horizon_at].map(Timestamp::from_micros);
                findings.push(Finding::of(Fault::HorizonTime).stored(times[0]).rows(times[1]));
            }
            highest = highest.max(right.figures.head);
            if right.head_counts {
                proven = proven.max(right.figures.head);
            }
            if collection.spoiled || self.rows.strange {
                let first = "put its rows right first (see the others of this collection), and run this with --repair";
                findings = findings.into_iter().map(|finding| finding.advice(first)).collect();
            } else {
                // Not what was never to be mended, so that nothing is written where nothing is.
                if right.figures != collection.stored {
                    verdict.mend.collections.push((*id, right.figures));
                }
                if right.purge {
                    verdict.mend.purges.push((*id, right.figures.horizon));
                }
            }
            verdict.findings.extend(findings.into_iter().map(|finding| finding.collection(&collection.name)));
        }
        if proven > head {
            verdict.findings.push(Finding::of(Fault::SpaceHeadLow).stored(head).rows(proven));
        } else if head > highest && !self.rows.strange {
            verdict.findings.push(Finding::of(Fault::SpaceHeadHigh).stored(head).rows(highest));
        }
        if (proven, right_time) != (head, modified_at) {
            verdict.mend.heading = Some((proven, right_time));
        }
        proven
    }

    /// A horizon's time as it should be. Where it is not known, it is the latest that it can have been: a delta since a
    /// time is then refused sooner, never too late.
    fn horizon_time(&self, collection: &Collection, right: &Right, latest: i64) -> i64 {
        let (stored, horizon) = (&collection.stored, right.figures.horizon);
        if horizon == 0 {
            return 0;
        }
        if !self.rows.in_order {
            // The rows around it prove nothing.
            return if horizon == stored.horizon { stored.horizon_at } else { latest };
        }
        if horizon == collection.counted.newest && horizon != stored.head {
            return collection.newest_at;
        }
        let around = self.rows.around(horizon);
        let after = around.after.unwrap_or(latest);
        let fits = around.before.is_none_or(|before| before <= stored.horizon_at) && stored.horizon_at <= after;
        if horizon == stored.horizon && fits { stored.horizon_at } else { after }
    }

    fn judge_epochs(&self, verdict: &mut Verdict, head: i64) {
        let Some((last_ordinal, last, opened_at)) = self.epochs.last() else {
            verdict.findings.push(Finding::of(Fault::EpochsMissing));
            verdict.mend.epoch = Some((0, OpenAt::Rev(0)));
            return;
        };
        let broken = self.epochs.iter().zip(0_i64..).find(|((ordinal, token, opened_at), place)| {
            let twice = self.epochs.iter().filter(|(_, other, _)| other == token).count() > 1;
            let in_range = (0..=Rev::MAX.to_stored()).contains(opened_at) && (*place > 0 || *opened_at == 0);
            ordinal != place || token.parse::<Epoch>().is_err() || twice || !in_range
        });
        if let Some(((ordinal, token, opened_at), _)) = broken {
            let stored = format!("number {ordinal}, {token:?}, opened at {opened_at}");
            verdict.findings.push(Finding::of(Fault::EpochsBroken).stored(stored));
        }
        let next = last_ordinal.saturating_add(1);
        if *opened_at > head {
            let finding = Finding::of(Fault::EpochAhead).stored(format!("{last}, opened at {opened_at}")).rows(head);
            verdict.findings.push(finding);
            verdict.mend.epoch = Some((next, OpenAt::Rev(head)));
        }
        if head > self.heading.head {
            verdict.mend.epoch = Some((next, OpenAt::ProvenUpTo(self.heading.head)));
        }
    }
}
