//! Load on nodes that may fail: writers that number their pushes and send them again, writers that do neither, and readers.
//! At the end every one of them is compared with what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::node::PATIENCE;
use crate::crash::reader::{poll, stream};
use crate::crash::verify;
use crate::crash::writer::Writer;
use crate::support::postgres::Admin;
use crate::support::{Form, Link, Place};

/// An answer that takes longer is a hang: the limits of the server are far below.
const ANSWER: Duration = Duration::from_secs(40);

/// Pushes that are sent once, whatever is heard of them, each of a record of its own in the space `plain`.
pub struct Plain {
    link: Link,
    number: usize,
    /// The revision of each that was acknowledged.
    pub told: BTreeMap<String, u64>,
    /// Those of which it is not known whether they happened.
    pub unknown: BTreeSet<String>,
    pub slowest: Duration,
}

impl Plain {
    fn new(place: Place, number: usize) -> Self {
        let (told, unknown) = (BTreeMap::new(), BTreeSet::new());
        Self { link: Link::new(place, "plain"), number, told, unknown, slowest: Duration::ZERO }
    }

    async fn run(mut self, over: Arc<AtomicBool>) -> Self {
        for turn in 0.. {
            if over.load(Ordering::Relaxed) {
                break;
            }
            let id = format!("{}-{turn}", self.number);
            let push = json!({"changes": [{"collection": "todos", "id": id, "data": {"n": turn}}]});
            let begun = Instant::now();
            let answer = timeout(ANSWER, self.link.post("/push", &push)).await.expect("an answer, of whatever kind");
            self.slowest = self.slowest.max(begun.elapsed());
            match answer {
                Ok(answer) if answer.status == 200 => {
                    let result = &answer.json()["results"][0];
                    // Had it been carried out twice, it would be `unchanged`.
                    assert_eq!(result["status"], "applied", "{result}");
                    self.told.insert(id, result["rev"].as_u64().unwrap());
                }
                Ok(answer) => {
                    let problem = answer.expect(503);
                    assert_eq!((&problem["code"], answer.header("retry-after")), (&json!("unavailable"), "1"));
                    self.unknown.insert(id);
                }
                Err(_) => drop(self.unknown.insert(id)),
            }
        }
        self
    }
}

pub struct Load {
    over: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Writer>>,
    plain: Vec<JoinHandle<Plain>>,
    readers: Vec<JoinHandle<usize>>,
    place: Place,
}

/// What became of it.
pub struct Outcome {
    pub revisions: u64,
    pub retries: usize,
    pub duplicates: usize,
    pub acknowledged: usize,
    pub unknown: usize,
    pub whole: usize,
    pub slowest: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revisions, retries, duplicates, acknowledged, unknown, whole, slowest } = self;
        write!(
            f,
            "{revisions} revisions; {retries} pushes sent again, {duplicates} of them duplicates; of those sent once \
             {acknowledged} acknowledged, {unknown} unknown, the slowest after {slowest:?}; {whole} pulls compared"
        )
    }
}

impl Load {
    /// On nodes at `places`, in turn, by so many writers with numbers, half as many without, and readers.
    pub async fn start(places: &[Place], writers: usize, readers: usize, rng: &mut fastrand::Rng) -> Self {
        let mut control = Link::new(places[0].clone(), "demo");
        control.put("", &json!({"retention": "30d"})).await.unwrap().expect(201);
        let over = Arc::new(AtomicBool::new(false));
        let place = |number: usize| places[number % places.len()].clone();
        let numbered = (0..writers).map(|number| {
            let batch = if number % 3 == 0 { 40 } else { 2 };
            let link = Link::new(place(number), "demo");
            let writer = Writer::new(link, number, batch, fastrand::Rng::with_seed(rng.u64(..)));
            tokio::spawn(writer.run(Arc::clone(&over)))
        });
        let numbered = numbered.collect();
        let plain = (0..writers.div_ceil(2))
            .map(|number| tokio::spawn(Plain::new(place(number), number).run(Arc::clone(&over))));
        let plain = plain.collect();
        let readers = (0..readers).map(|number| {
            let (link, over) = (Link::new(place(number), "demo"), Arc::clone(&over));
            match number % 4 {
                0 => tokio::spawn(poll(link, Form::Pages(50), over)),
                1 => tokio::spawn(stream(link, None, over)),
                2 => tokio::spawn(poll(link, Form::Lines, over)),
                _ => tokio::spawn(stream(link, Some("shared"), over)),
            }
        });
        let readers = readers.collect();
        Self { over, writers: numbered, plain, readers, place: places[0].clone() }
    }

    /// Ends it, when all is well again, and compares.
    pub async fn end(self, database: &Admin) -> Outcome {
        self.over.store(true, Ordering::Relaxed);
        let mut ledgers = Vec::new();
        for writer in self.writers {
            ledgers.push(timeout(PATIENCE, writer).await.expect("a writer comes to an end").unwrap());
        }
        let mut whole = 0;
        for reader in self.readers {
            whole += timeout(PATIENCE, reader).await.expect("a reader comes to an end").unwrap();
        }
        verify(&mut Link::new(self.place.clone(), "demo"), &ledgers).await;

        let mut plain = Vec::new();
        for writer in self.plain {
            plain.push(timeout(PATIENCE, writer).await.expect("a writer comes to an end").unwrap());
        }
        check_plain(&plain, database).await;
        let head: i64 = database.ask("SELECT sum(head)::bigint FROM spaces");
        let (retries, duplicates) = ledgers.iter().fold((0, 0), |(r, d), it| (r + it.retries, d + it.duplicates));
        Outcome {
            revisions: head.unsigned_abs(),
            retries,
            duplicates,
            acknowledged: plain.iter().map(|it| it.told.len()).sum(),
            unknown: plain.iter().map(|it| it.unknown.len()).sum(),
            whole,
            slowest: plain.iter().map(|it| it.slowest).max().unwrap_or_default(),
        }
    }
}

/// What was acknowledged is there under the revision that was told; what is there beyond that was sent; and each took one
/// revision.
async fn check_plain(plain: &[Plain], database: &Admin) {
    let client = database.connect().await.unwrap();
    let sql = "SELECT r.id, r.rev FROM records r JOIN spaces s ON s.id = r.space_id WHERE s.name = 'plain'";
    let rows = client.query(sql, &[]).await.unwrap();
    let there: BTreeMap<String, u64> =
        rows.iter().map(|row| (row.get(0), row.get::<_, i64>(1).unsigned_abs())).collect();
    for (id, rev) in plain.iter().flat_map(|it| &it.told) {
        assert_eq!(there.get(id), Some(rev), "{id} was acknowledged");
    }
    let acknowledged: usize = plain.iter().map(|it| it.told.len()).sum();
    let more = there.keys().filter(|id| plain.iter().all(|it| !it.told.contains_key(*id)));
    let more: Vec<&String> = more.collect();
    assert!(more.iter().all(|id| plain.iter().any(|it| it.unknown.contains(*id))), "nobody sent some of {more:?}");
    assert_eq!(there.len(), acknowledged + more.len());
    let head: i64 = database.ask("SELECT coalesce(max(head), 0) FROM spaces WHERE name = 'plain'");
    assert_eq!(head.unsigned_abs(), there.len() as u64, "a revision for each, and no more");
}
