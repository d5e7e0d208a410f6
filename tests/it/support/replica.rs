//! A client that keeps a replica and edits nothing: PROTOCOL.md §3 and §6 from the page, sharing no code with the server.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Link;
use super::link::Pieces;

/// (collection, id)
pub type Key = (String, String);

#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// 0 once it is forgotten.
    pub rev: u64,
    pub data: Value,
}

/// Why a request has no answer to go on with.
#[derive(Debug)]
pub enum Trouble {
    /// The server is gone, or went away in the midst of its answer, or has no database at present (503).
    Lost(String),
    /// 410, and its problem.
    Resync(Value),
}

impl From<reqwest::Error> for Trouble {
    fn from(error: reqwest::Error) -> Self {
        Self::Lost(error.to_string())
    }
}

/// In which form it pulls and fetches.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    Pages(usize),
    Lines,
}

pub struct Replica {
    pub link: Link,
    /// As in the query: names with commas between them.
    pub scope: Option<&'static str>,
    pub records: BTreeMap<Key, Record>,
    pub cursor: Option<String>,
    /// The head at which it was last whole and had checked itself.
    pub whole_at: Option<u64>,
    /// What was asked and answered since it was whole, for whoever has to find out why it is not.
    story: Vec<String>,
}

/// A live feed.
pub struct Feed(Pieces);

impl Replica {
    pub fn new(link: Link, scope: Option<&'static str>) -> Self {
        Self { link, scope, records: BTreeMap::new(), cursor: None, whole_at: None, story: Vec::new() }
    }

    /// Holds nothing, as on its first day.
    pub fn forget(&mut self) {
        self.records.clear();
        (self.cursor, self.whole_at) = (None, None);
    }

    fn query(&self, also: &[String]) -> String {
        let since = self.cursor.iter().map(|cursor| format!("since={cursor}"));
        let scope = self.scope.iter().map(|scope| format!("collections={scope}"));
        format!("?{}", since.chain(scope).chain(also.iter().cloned()).collect::<Vec<_>>().join("&"))
    }

    /// Pulls to the end, and compares itself with the server.
    pub async fn pull(&mut self, form: Form) -> Result<(), Trouble> {
        match form {
            Form::Pages(limit) => while !self.pull_page(limit).await? {},
            Form::Lines => while !self.pull_lines().await? {},
        }
        Ok(())
    }

    /// Pulls one page. Whether it was the last.
    pub async fn pull_page(&mut self, limit: usize) -> Result<bool, Trouble> {
        let query = self.query(&[format!("limit={limit}")]);
        let page = self.link.get(&format!("/changes{query}")).await?.ready()?.expect(200);
        let changes = page["changes"].as_array().unwrap();
        assert!(changes.len() <= limit, "a page keeps to its limit");
        let revs: Vec<&Value> = changes.iter().map(|change| &change["rev"]).collect();
        self.story.push(format!("{query}: {revs:?}, cursor {}, head {}", page["cursor"], page["head"]));
        let whole = self.apply_page(&page);
        if whole && !self.is_as_told(&page) {
            self.explain().await?;
        }
        if whole {
            self.check(&page);
        }
        Ok(whole)
    }

    /// Pulls one stream of lines. Whether it led to the end: the head may have moved on meanwhile.
    async fn pull_lines(&mut self) -> Result<bool, Trouble> {
        let path = format!("/changes{}", self.query(&[]));
        let mut lines = self.link.lines(&path).await?;
        let mut last = Value::Null;
        while let Some(line) = lines.next().await? {
            last = serde_json::from_slice(&line).unwrap();
            if last.get("collection").is_some() {
                self.apply(&last);
            } else {
                self.cursor = last["cursor"].as_str().map(str::to_owned);
            }
        }
        self.link.bytes += lines.bytes;
        if last["has_more"] == false {
            self.check(&last);
        }
        // A stream without its last line was cut short, and is resumed like one that has more.
        Ok(last["has_more"] == false)
    }

    /// Subscribes to the live feed at its cursor.
    pub async fn subscribe(&mut self) -> Result<Feed, Trouble> {
        let path = format!("/changes{}", self.query(&[]));
        Ok(Feed(self.link.events(&path).await?))
    }

    /// Applies the next event. `false` when the server closed the feed.
    pub async fn follow(&mut self, feed: &mut Feed) -> Result<bool, Trouble> {
        while let Some(event) = feed.0.next().await? {
            let event = String::from_utf8(event).unwrap();
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
            let Some(data) = field("data: ") else { continue };
            let data: Value = serde_json::from_str(data).unwrap();
            if field("event: ") == Some("resync") {
                return Err(Trouble::Resync(data));
            }
            assert_eq!(field("id: "), data["cursor"].as_str());
            if self.apply_page(&data) {
                self.check(&data);
            }
            return Ok(true);
        }
        Ok(false)
    }

    fn apply_page(&mut self, page: &Value) -> bool {
        for change in page["changes"].as_array().unwrap() {
            self.apply(change);
        }
        self.cursor = page["cursor"].as_str().map(str::to_owned);
        page["has_more"] == false
    }

    fn apply(&mut self, change: &Value) {
        let text = |name: &str| change[name].as_str().unwrap().to_owned();
        let key = (text("collection"), text("id"));
        let rev = change["rev"].as_u64().unwrap();
        if self.records.get(&key).is_some_and(|held| held.rev > rev) {
            return;
        }
        if change["deleted"] == true {
            self.records.remove(&key);
        } else {
            self.records.insert(key, Record { rev, data: change["data"].clone() });
        }
    }

    /// The replica invariant (§1), by count and checksum.
    fn check(&mut self, told: &Value) {
        assert!(self.is_as_told(told), "the replica is not what it should be: {told}");
        self.whole_at = told["head"].as_u64();
        self.story.clear();
    }

    fn is_as_told(&self, told: &Value) -> bool {
        let checksum = self.records.values().fold(0, |sum, record| sum ^ mix(record.rev));
        told["count"] == self.records.len() && told["checksum"] == format!("{checksum:016x}")
    }

    /// Fails with all that can be said of a replica that is not what it should be.
    async fn explain(&mut self) -> Result<(), Trouble> {
        let manifest = self.link.get(&format!("/manifest{}", self.query(&[]))).await?.ready()?.expect(200);
        let theirs = revisions(&manifest["runs"]);
        let ours: BTreeSet<u64> = self.records.values().map(|record| record.rev).collect();
        let (missing, extra): (Vec<_>, Vec<_>) =
            (theirs.difference(&ours).collect(), ours.difference(&theirs).collect());
        let (cursor, count, story) = (&manifest["cursor"], &manifest["count"], self.story.join("\n  "));
        panic!("not what it should be; of {count} at {cursor} missing {missing:?}, too many {extra:?}:\n  {story}");
    }

    /// The repair procedure (§6) after a 410.
    pub async fn repair(&mut self, problem: &Value, form: Form) -> Result<(), Trouble> {
        // 1.
        if problem["reason"] == "epoch" || problem["reason"] == "ahead" {
            let shared = problem["shared_rev"].as_u64().unwrap();
            self.records.values_mut().filter(|record| record.rev > shared).for_each(|record| record.rev = 0);
        }
        // 2.
        self.cursor = None;
        let manifest = self.link.get(&format!("/manifest{}", self.query(&[]))).await?.ready()?.expect(200);
        self.cursor = Some(manifest["cursor"].as_str().unwrap().to_owned());
        let theirs = revisions(&manifest["runs"]);
        let (cursor, head, count) = (&manifest["cursor"], &manifest["head"], &manifest["count"]);
        self.story.push(format!("{problem}; manifest {cursor} at {head} of {count}"));
        // 3.
        self.records.retain(|_, record| theirs.contains(&record.rev));
        // 4.
        let held: BTreeSet<u64> = self.records.values().map(|record| record.rev).collect();
        let missing: Vec<u64> = theirs.difference(&held).copied().collect();
        if !missing.is_empty() {
            self.fetch(&missing, form).await?;
        }
        // 5.
        self.pull(form).await
    }

    async fn fetch(&mut self, missing: &[u64], form: Form) -> Result<(), Trouble> {
        let mut body = json!({"runs": runs(missing)});
        if let Some(scope) = self.scope {
            body["collections"] = scope.split(',').collect();
        }
        match form {
            Form::Pages(limit) => self.fetch_pages(body, limit).await,
            Form::Lines => self.fetch_lines(&body).await,
        }
    }

    async fn fetch_pages(&mut self, mut body: Value, limit: usize) -> Result<(), Trouble> {
        body["limit"] = limit.into();
        loop {
            let page = self.link.post("/fetch", &body).await?.ready()?.expect(200);
            let fetched = page["changes"].as_array().unwrap().len();
            self.story.push(format!("fetch from {}: {fetched}, next {}", body["from"], page["next"]));
            for change in page["changes"].as_array().unwrap() {
                self.apply(change);
            }
            if page["has_more"] == false {
                return Ok(());
            }
            body["from"] = page["next"].clone();
        }
    }

    async fn fetch_lines(&mut self, body: &Value) -> Result<(), Trouble> {
        let mut lines = self.link.post_for_lines("/fetch", body).await?;
        let (mut last, mut count) = (Value::Null, 0);
        while let Some(line) = lines.next().await? {
            last = serde_json::from_slice(&line).unwrap();
            if last.get("collection").is_some() {
                self.apply(&last);
                count += 1;
            }
        }
        self.link.bytes += lines.bytes;
        assert_eq!(last, json!({"end": true, "count": count}));
        Ok(())
    }
}

fn mix(rev: u64) -> u64 {
    let z = rev.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn revisions(runs: &Value) -> BTreeSet<u64> {
    let counts: Vec<u64> = runs.as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect();
    let (mut set, mut at) = (BTreeSet::new(), 1);
    for pair in counts.chunks(2) {
        at += pair[0];
        set.extend(at..at + pair[1]);
        at += pair[1];
    }
    set
}

fn runs(ascending: &[u64]) -> Vec<u64> {
    let (mut counts, mut next) = (Vec::new(), 1);
    for rev in ascending {
        match counts.last_mut() {
            Some(take) if *rev == next => *take += 1,
            _ => counts.extend([rev - next, 1]),
        }
        next = rev + 1;
    }
    counts
}

#[test]
fn the_examples_of_the_protocol_hold_for_this_client_too() {
    let sum = |revs: std::ops::RangeInclusive<u64>| revs.fold(0, |sum, rev| sum ^ mix(rev));
    assert_eq!((sum(1..=1), sum(1..=1000)), (0x910a_2dec_8902_5cc1, 0x3759_d9d3_f4d2_b8d1));
    let set: Vec<u64> = (1..=50).chain(54..=153).collect();
    assert_eq!(runs(&set), [0, 50, 3, 100]);
    assert_eq!(revisions(&json!([0, 50, 3, 100])), set.into_iter().collect());
}
