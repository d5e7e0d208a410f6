//! The repository's own view: what is in its tree, what was deleted, and what the server must therefore say.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};

use serde_json::{Value, json};

use crate::support::{Key, Link, Record, Replica};

/// The commits in order.
pub fn commits() -> impl Iterator<Item = Value> {
    let file = std::fs::File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/kinto-history.ndjson.gz")).unwrap();
    BufReader::new(flate2::read::GzDecoder::new(file)).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

/// The one that pushes, with its ledger of all it was told.
pub struct Repository {
    link: Link,
    tree: BTreeMap<Key, Record>,
    /// Tombstones that are not purged, with their revisions.
    dead: BTreeMap<Key, u64>,
    /// By collection: its newest revision, and the newest tombstone purged.
    heads: BTreeMap<String, u64>,
    horizons: BTreeMap<String, u64>,
    cursor: Option<String>,
    pub head: u64,
    pub commits: usize,
    pub deletions: usize,
}

impl Repository {
    pub fn new(mut link: Link) -> Self {
        link.name = Some("repository".into());
        Self {
            link,
            tree: BTreeMap::new(),
            dead: BTreeMap::new(),
            heads: BTreeMap::new(),
            horizons: BTreeMap::new(),
            cursor: None,
            head: 0,
            commits: 0,
            deletions: 0,
        }
    }

    /// Pushes a commit as a client with a replica does, and notes what became of it.
    pub async fn commit(&mut self, commit: &Value) {
        self.commits += 1;
        let edits = commit["changes"].as_array().unwrap();
        let keys: Vec<Key> = edits.iter().map(|edit| key_of(edit["id"].as_str().unwrap())).collect();
        let changes: Vec<Value> = edits.iter().zip(&keys).map(|(edit, key)| self.change(edit, key)).collect();
        let mut push = json!({"changes": changes, "seq": self.commits, "atomic": true});
        if let Some(cursor) = &self.cursor {
            push["cursor"] = cursor.as_str().into();
        }
        let answer = self.link.post("/push", &push).await.unwrap().expect(200);
        assert_eq!(answer["previous_head"], self.head);
        for ((edit, key), result) in edits.iter().zip(keys).zip(answer["results"].as_array().unwrap()) {
            self.head += 1;
            assert_eq!((&result["status"], &result["rev"]), (&json!("applied"), &json!(self.head)), "{commit}");
            self.heads.insert(key.0.clone(), self.head);
            if edit.get("deleted").is_some() {
                self.deletions += 1;
                self.tree.remove(&key);
                self.dead.insert(key, self.head);
            } else {
                self.dead.remove(&key);
                self.tree.insert(key, Record { rev: self.head, data: edit["data"].clone() });
            }
        }
        assert_eq!(answer["head"], self.head);
        self.cursor = Some(answer["cursor"].as_str().unwrap().to_owned());
    }

    fn change(&self, edit: &Value, key: &Key) -> Value {
        let mut change = edit.clone();
        change["collection"] = key.0.as_str().into();
        if let Some(record) = self.tree.get(key) {
            change["base_rev"] = record.rev.into();
        }
        change
    }

    /// Purges every tombstone there is.
    pub async fn purge(&mut self) {
        let before = self.horizon(None);
        let purged = self.link.post("/compact", &json!({"older_than": "0s"})).await.unwrap().expect(200);
        let count = self.dead.len();
        for ((collection, _), rev) in std::mem::take(&mut self.dead) {
            let horizon = self.horizons.entry(collection).or_default();
            *horizon = rev.max(*horizon);
        }
        let told = ["purged", "horizon_before", "horizon"].map(|name| purged[name].as_u64().unwrap());
        assert_eq!(told, [count as u64, before, self.horizon(None)]);
    }

    /// The highest horizon of these collections.
    pub fn horizon(&self, scope: Option<&str>) -> u64 {
        highest(&self.horizons, scope)
    }

    /// The revision of the latest change in these collections.
    pub fn last_change(&self, scope: Option<&str>) -> u64 {
        highest(&self.heads, scope)
    }

    pub fn records(&self) -> usize {
        self.tree.len()
    }

    /// The replica has the tree as it is now: the same files with the same content at the same revisions.
    pub fn assert_equal(&self, replica: &Replica) {
        let tree = self.tree.iter().filter(|(key, _)| in_scope(&key.0, replica.scope));
        let tree: BTreeMap<Key, Record> = tree.map(|(key, record)| (key.clone(), record.clone())).collect();
        assert_eq!(replica.records, tree, "after {} commits", self.commits);
    }
}

/// A file is a record of the collection of its topmost folder.
fn key_of(path: &str) -> Key {
    let collection = match path.split('/').next().unwrap() {
        top @ ("docs" | "kinto" | "tests") => top,
        _ => "rest",
    };
    (collection.to_owned(), path.to_owned())
}

fn in_scope(collection: &str, scope: Option<&str>) -> bool {
    scope.is_none_or(|scope| scope.split(',').any(|name| name == collection))
}

fn highest(revs: &BTreeMap<String, u64>, scope: Option<&str>) -> u64 {
    revs.iter().filter(|(name, _)| in_scope(name, scope)).map(|(_, rev)| *rev).max().unwrap_or(0)
}
