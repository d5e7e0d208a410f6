//! A replica of a store in this process, which checks itself whenever it is whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;
use strandline::domain::pull::{Page, PullRequest, Pulled};
use strandline::domain::push::{Base, Op, Outcome, Proposal, PushAnswer, PushRequest, Pushed};
use strandline::domain::{Checksum, CollectionName, Document, RecordId, Since, SpaceName};
use strandline::feed::Feed;
use strandline::store::{self, RemoteOptions, Store, StoreError, StoreOptions};

pub const SPACE: &str = "demo";

/// Opens one more store on the database that `url` names.
pub async fn open(url: &str, remote: RemoteOptions) -> Arc<dyn Store> {
    let options = StoreOptions { feed: Feed::default(), remote, ..StoreOptions::default() };
    store::open(&url.parse().unwrap(), options).await.unwrap()
}

#[derive(Clone, Default)]
pub struct Mirror {
    /// The revision of each live record, by collection and id.
    pub revs: BTreeMap<(String, String), u64>,
    pub cursor: String,
    /// The head at which it was last whole.
    pub whole_at: u64,
}

impl Mirror {
    /// Takes one page of `limit` changes. Whether it was the last.
    pub async fn page(&mut self, store: &dyn Store, limit: usize) -> Result<bool, StoreError> {
        let since = if self.cursor.is_empty() { Since::Nothing } else { Since::parse(&self.cursor).unwrap() };
        let space = SpaceName::new(SPACE).unwrap();
        let request =
            PullRequest { space, since, collections: None, limit, max_bytes: usize::MAX, upto: None, held: None };
        match store.pull(request).await? {
            Pulled::Page(page) => Ok(self.apply(&page)),
            other => panic!("a pull from {} became {other:?}", self.cursor),
        }
    }

    /// Pulls to the end.
    pub async fn pull(&mut self, store: &dyn Store, limit: usize) -> Result<(), StoreError> {
        while !self.page(store, limit).await? {}
        Ok(())
    }

    fn apply(&mut self, page: &Page) -> bool {
        for change in &page.changes {
            let key = (change.collection.to_string(), change.id.to_string());
            if change.is_deleted() {
                self.revs.remove(&key);
            } else {
                self.revs.insert(key, change.rev.get());
            }
        }
        self.cursor = page.cursor.to_string();
        let Some((count, checksum)) = page.check else {
            assert!(page.has_more, "a last page has a checksum");
            return false;
        };
        let own: Checksum = self.revs.values().map(|rev| strandline::domain::Rev::new(*rev).unwrap()).collect();
        assert_eq!((self.revs.len() as u64, own), (count, checksum), "not whole at {}", self.cursor);
        assert!(page.head.get() >= self.whole_at, "the store went back");
        self.whole_at = page.head.get();
        true
    }
}

/// A record whatever is there.
pub fn put(collection: &str, id: &str, data: &str) -> Proposal {
    let data = Document::parse(serde_json::from_str::<&RawValue>(data).unwrap()).unwrap();
    proposal(collection, id, Op::Put(data))
}

pub fn delete(collection: &str, id: &str) -> Proposal {
    proposal(collection, id, Op::Delete)
}

fn proposal(collection: &str, id: &str, op: Op) -> Proposal {
    let collection = CollectionName::new(collection).unwrap();
    Proposal { collection, id: RecordId::new(id).unwrap(), base: Base::Any, op }
}

pub async fn push(store: &dyn Store, space: &str, changes: Vec<Proposal>) -> Result<PushAnswer, StoreError> {
    let request = PushRequest {
        space: SpaceName::new(space).unwrap(),
        changes,
        cursor: None,
        collections: None,
        seq: None,
        atomic: false,
        max_record_bytes: 1 << 20,
    };
    match store.push(request).await? {
        Pushed::Done(answer) => Ok(answer),
        other => panic!("a push became {other:?}"),
    }
}

/// The revisions that a push was told of, all of whose changes were applied.
pub fn told(answer: &PushAnswer) -> Vec<u64> {
    let rev = |outcome: &Outcome| match outcome {
        Outcome::Applied { rev, .. } => rev.get(),
        other => panic!("not applied: {other:?}"),
    };
    answer.results.iter().map(rev).collect()
}
