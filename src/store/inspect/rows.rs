//! One space's rows, looked at one after another in order of revision, in constant memory but for its collections.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::fault::Fault;
use super::figures::{Counted, Figures};
use super::finding::Finding;
use crate::domain::{ClientName, Document, RecordId, Rev};
use crate::store::rows::{ClientColumns, CollectionColumns, known_client};

/// A record's row as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Its revision.
    pub rev: i64,
    /// `collections.id`.
    pub collection: i64,
    /// Its id.
    pub id: &'a str,
    /// Whether it says that it is a tombstone.
    pub deleted: bool,
    /// Its time.
    pub modified_at: i64,
    /// Its data.
    pub data: Data<'a>,
}

/// What was read of a record's data.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// There is none.
    Nothing,
    /// The data itself, to be checked.
    Text(&'a str),
    /// Its length in bytes, which is all that counting needs.
    Length(i64),
}

/// A collection while its rows are counted.
#[derive(Debug)]
pub struct Collection {
    /// Its name as it is stored.
    pub name: String,
    /// Its row.
    pub stored: Figures,
    /// Its rows so far.
    pub counted: Counted,
    /// The newest row's time.
    pub newest_at: i64,
    /// Whether some of its rows contradict themselves or others, so that it cannot be said what is right for it.
    pub spoiled: bool,
}

/// The times of the rows on both sides of a revision. Times do not decrease as revisions grow, so that the time of what
/// was written there lies between them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around {
    /// Of the last row at or below it.
    pub before: Option<i64>,
    /// Of the first row above it.
    pub after: Option<i64>,
}

/// The rows so far.
#[derive(Debug, Default)]
pub struct Rows {
    /// By `collections.id`.
    pub collections: BTreeMap<i64, Collection>,
    /// The revision of the last row.
    pub newest: i64,
    /// The time of the last row, and the highest of all.
    pub times: Option<(i64, i64)>,
    /// Whether times never decreased.
    pub in_order: bool,
    /// Whether rows were of collections that there are none of.
    pub strange: bool,
    around: BTreeMap<i64, Around>,
    faults: BTreeMap<(Fault, Option<i64>), (u64, String)>,
}

impl Rows {
    /// None yet, of a space with these collections.
    pub fn new(collections: Vec<CollectionColumns>) -> Self {
        let mut rows = Self { in_order: true, ..Self::default() };
        for (id, _, name, head, live, tombstones, checksum, live_bytes, tombstone_bytes, horizon, horizon_at) in
            collections
        {
            let stored = Figures { head, live, tombstones, checksum, live_bytes, tombstone_bytes, horizon, horizon_at };
            for rev in [head, horizon] {
                rows.around.insert(rev, Around::default());
            }
            let counted = Counted::default();
            rows.collections.insert(id, Collection { name, stored, counted, newest_at: 0, spoiled: false });
        }
        rows
    }

    /// The times around a revision that is the head or the horizon of a collection.
    pub fn around(&self, rev: i64) -> Around {
        // Those that no row lay above were not looked at again.
        let before = self.times.map(|(last, _)| last);
        self.around.get(&rev).copied().map_or(Around { before, after: None }, |around| match around.after {
            None => Around { before, after: None },
            Some(_) => around,
        })
    }

    /// Looks at the next record.
    pub fn record(&mut self, row: &Row<'_>) {
        let place = || format!("{:?} at revision {}", row.id, row.rev);
        if row.rev < 1 || row.rev > Rev::MAX.to_stored() {
            self.note(Fault::RevisionRange, Some(row.collection), place);
            self.spoil(row.collection);
            return;
        }
        if row.rev == self.newest {
            self.note(Fault::RevisionTwice, Some(row.collection), place);
            self.spoil(row.collection);
        }
        let last = self.times.map(|(last, _)| last);
        if last.is_some_and(|last| row.modified_at < last) {
            self.in_order = false;
            self.note(Fault::TimeOrder, None, place);
        }
        self.pass(row.rev, row.modified_at, last);
        self.newest = row.rev;
        self.times = Some((row.modified_at, self.times.map_or(row.modified_at, |(_, high)| high.max(row.modified_at))));
        if RecordId::new(row.id).is_err() {
            self.note(Fault::RecordId, Some(row.collection), place);
        }
        self.count(row);
    }

    /// Notes the times around the revisions that lie between the last row and this one.
    fn pass(&mut self, rev: i64, modified_at: i64, last: Option<i64>) {
        // Never the other way round, unless an index is damaged.
        if self.newest >= rev {
            return;
        }
        for around in self.around.range_mut(self.newest..rev).map(|(_, around)| around) {
            if around.after.is_none() {
                *around = Around { before: last, after: Some(modified_at) };
            }
        }
    }

    fn count(&mut self, row: &Row<'_>) {
        let place = || format!("{:?} at revision {}", row.id, row.rev);
        let Some(collection) = self.collections.get_mut(&row.collection) else {
            self.strange = true;
            self.note(Fault::UnknownCollection, Some(row.collection), || {
                format!("collection {}, such as of {:?}", row.collection, row.id)
            });
            return;
        };
        let counted = &mut collection.counted;
        let id_bytes = i64::try_from(row.id.len()).unwrap_or(i64::MAX);
        let data_bytes = match row.data {
            Data::Nothing => None,
            Data::Text(text) => i64::try_from(text.len()).ok(),
            Data::Length(length) => Some(length),
        };
        (counted.newest, collection.newest_at) = (row.rev, row.modified_at);
        if row.deleted {
            counted.tombstones.0 += 1;
            counted.tombstones.1 += id_bytes;
            if row.rev <= collection.stored.horizon {
                counted.stale.0 += 1;
                counted.stale.1 += id_bytes;
            }
        } else {
            counted.live.0 += 1;
            counted.live.1 += id_bytes + data_bytes.unwrap_or(0);
            counted.checksum.toggle(Rev::from_stored(row.rev));
        }
        let contradiction = match (row.deleted, data_bytes) {
            (true, Some(_)) => Some(Fault::DeletedWithData),
            (false, None) => Some(Fault::LiveWithoutData),
            _ => None,
        };
        if let Some(fault) = contradiction {
            collection.spoiled = true;
            self.note(fault, Some(row.collection), place);
        }
        if let Data::Text(text) = row.data
            && let Err(why) = check(text)
        {
            self.note(Fault::Data, Some(row.collection), || format!("{}: {why}", place()));
        }
    }

    /// Looks at what is remembered of a client.
    pub fn client(&mut self, name: &str, seq: i64) {
        if ClientName::new(name).is_err() {
            self.note(Fault::ClientName, None, || format!("{name:?}"));
        }
        if seq < 1 {
            self.note(Fault::ClientSeq, None, || format!("{seq} of {name:?}"));
        }
    }

    /// Looks at where a client was seen.
    pub fn known_client(&mut self, row: ClientColumns) {
        let (name, rev) = (row.1.clone(), row.2);
        if let Err(why) = known_client(row) {
            self.note(Fault::KnownClient, None, || format!("{name:?}: {why}"));
        } else if !(0..=Rev::MAX.to_stored()).contains(&rev) {
            self.note(Fault::KnownClient, None, || format!("{name:?} at revision {rev}"));
        }
    }

    /// What was found of single rows: one of each kind and collection, with the first row as the example.
    pub fn findings(&mut self) -> Vec<Finding> {
        let faults = std::mem::take(&mut self.faults).into_iter();
        let found = faults.map(|((fault, collection), (count, first))| {
            let finding = Finding::of(fault).stored(first).count(count);
            match collection.and_then(|id| self.collections.get(&id)) {
                Some(collection) => finding.collection(&collection.name),
                None => finding,
            }
        });
        found.collect()
    }

    fn note(&mut self, fault: Fault, collection: Option<i64>, first: impl FnOnce() -> String) {
        self.faults.entry((fault, collection)).or_insert_with(|| (0, first())).0 += 1;
    }

    fn spoil(&mut self, collection: i64) {
        if let Some(collection) = self.collections.get_mut(&collection) {
            collection.spoiled = true;
        }
    }
}

/// Whether a text is what a push leaves of a record's data.
fn check(text: &str) -> Result<(), String> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|fault| fault.to_string())?;
    let document = Document::parse(raw).map_err(|fault| fault.to_string())?;
    if document.as_str() == text { Ok(()) } else { Err("it has white space between its parts".into()) }
}
