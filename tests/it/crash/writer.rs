//! A client that pushes without pause, sends again what was not answered as it was, and writes down what it is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Key, Link, Record, Trouble};

/// Records of its own at the most, and records that all writers share.
const OWN: usize = 300;
const SHARED: usize = 20;
/// Between two attempts: a server that is gone is not asked as fast as the machine can.
const BREATH: Duration = Duration::from_millis(2);

pub struct Writer {
    link: Link,
    number: usize,
    batch: usize,
    rng: fastrand::Rng,
    seq: u64,
    cursor: Option<String>,
    /// Its own records, as the server must have them.
    pub records: BTreeMap<Key, Record>,
    /// What it was last told of records that others write too.
    pub shared: BTreeMap<Key, Record>,
    /// The revisions that it was told of.
    pub told: Vec<u64>,
    /// Edits that happened: each has a revision, told or not.
    pub edits: u64,
    /// Pushes that had to be sent more than once.
    pub retries: usize,
    /// Those of them that had happened the first time.
    pub duplicates: usize,
}

impl Writer {
    pub fn new(mut link: Link, number: usize, batch: usize, rng: fastrand::Rng) -> Self {
        link.name = Some(format!("writer-{number}"));
        Self {
            link,
            number,
            batch,
            rng,
            seq: 0,
            cursor: None,
            records: BTreeMap::new(),
            shared: BTreeMap::new(),
            told: Vec::new(),
            edits: 0,
            retries: 0,
            duplicates: 0,
        }
    }

    pub fn collection(&self) -> String {
        format!("own-{}", self.number)
    }

    pub async fn run(mut self, over: Arc<AtomicBool>) -> Self {
        while !over.load(Ordering::Relaxed) {
            self.push().await;
        }
        self
    }

    async fn push(&mut self) {
        self.seq += 1;
        let mut edits: BTreeMap<Key, Value> = BTreeMap::new();
        for number in 0..self.rng.usize(1..=self.batch) {
            let (key, edit) = self.edit(number);
            edits.insert(key, edit);
        }
        let changes: Vec<&Value> = edits.values().collect();
        let mut push = json!({"changes": changes, "seq": self.seq});
        if let Some(cursor) = &self.cursor {
            push["cursor"] = cursor.as_str().into();
        }
        let answer = self.send_until_answered(&push).await;
        self.duplicates += usize::from(answer["duplicate"] == true);
        self.cursor = answer["cursor"].as_str().map(str::to_owned);
        for ((key, edit), result) in edits.into_iter().zip(answer["results"].as_array().unwrap()) {
            self.note(key, &edit, result, answer["duplicate"] == true);
        }
    }

    async fn send_until_answered(&mut self, push: &Value) -> Value {
        for attempt in 0.. {
            if attempt > 0 {
                tokio::time::sleep(BREATH).await;
            }
            self.retries += usize::from(attempt == 1);
            match self.link.post("/push", push).await {
                // It is being stopped, and took nothing.
                Ok(answer) if answer.status == 503 => {}
                Ok(answer) => return answer.expect(200),
                Err(Trouble::Lost(_)) => {}
                Err(Trouble::Resync(problem)) => panic!("a kill made history: {problem}"),
            }
        }
        unreachable!("it never gives up")
    }

    /// An edit of a record of its own as it last saw it, or of a shared one whatever is there.
    fn edit(&mut self, number: usize) -> (Key, Value) {
        let data = json!({"by": self.number, "seq": self.seq, "n": number});
        if self.rng.usize(..4) == 0 {
            let id = self.rng.usize(..SHARED).to_string();
            let edit = json!({"collection": "shared", "id": id, "base_rev": "*", "data": data});
            return (("shared".into(), id), edit);
        }
        // A deleted record never comes back: its tombstone may be purged at any time.
        let picked = self.rng.usize(..OWN);
        if let Some((key, record)) = self.records.iter().nth(picked) {
            let (key, rev) = (key.clone(), record.rev);
            let edit = if self.rng.bool() {
                json!({"collection": key.0, "id": key.1, "base_rev": rev, "data": data})
            } else {
                json!({"collection": key.0, "id": key.1, "base_rev": rev, "deleted": true})
            };
            return (key, edit);
        }
        let key = (self.collection(), format!("{}-{number}", self.seq));
        let edit = json!({"collection": key.0, "id": key.1, "data": data});
        (key, edit)
    }

    fn note(&mut self, key: Key, edit: &Value, result: &Value, duplicate: bool) {
        self.edits += 1;
        let rev = result["rev"].as_u64();
        match (result["status"].as_str().unwrap(), duplicate) {
            ("applied", false) => assert!(rev.is_some()),
            // It had happened; a deletion may be purged by now, and has no revision to tell.
            ("unchanged", true) => assert!(rev.is_some() || edit["deleted"] == true),
            // It had happened, and somebody else has written since.
            ("conflict", true) if key.0 == "shared" => return,
            _ => panic!("{edit} cannot become {result}, duplicate: {duplicate}"),
        }
        self.told.extend(rev);
        let records = if key.0 == "shared" { &mut self.shared } else { &mut self.records };
        if edit["deleted"] == true {
            records.remove(&key);
        } else {
            records.insert(key, Record { rev: rev.unwrap(), data: edit["data"].clone() });
        }
    }
}
