//! What a replica makes of a server, a network and a disk that are not as they should be.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Text;
use serde_json::json;
use strandline::domain::{CollectionName, Collections, RecordId};
use strandline::replica::{Followed, Http, Options, Origin, Replica, ReplicaError, Request, Response, Stop, Transport};
use tempfile::TempDir;

fn origin(collections: Option<&str>) -> Origin {
    let collections = collections.map(|names| Collections::parse(names).unwrap());
    Origin { url: "http://127.0.0.1:1".into(), space: "demo".parse().unwrap(), collections }
}

fn name(collection: &str, id: &str) -> (CollectionName, RecordId) {
    (collection.parse().unwrap(), RecordId::new(id).unwrap())
}

/// A server that answers by a function, which is told how many requests came before.
struct Fake<F>(F, AtomicU32);

impl<F: Fn(u32, &Request) -> Response + Send + Sync> Transport for Fake<F> {
    fn send(&self, _: &str, request: &Request) -> Result<Response, String> {
        Ok(self.0(self.1.fetch_add(1, Ordering::Relaxed), request))
    }
}

fn answer(status: u16, body: &serde_json::Value) -> Response {
    Response { status, body: body.to_string().into_bytes(), ..Response::default() }
}

/// The page of a space that is empty.
fn empty_page() -> Response {
    let page = json!({"changes": [], "cursor": "k3.0", "has_more": false, "head": 0, "count": 0, "checksum": "0000000000000000"});
    Response { etag: Some("\"k3.0\"".into()), ..answer(200, &page) }
}

fn replica(directory: &TempDir, answers: impl Fn(u32, &Request) -> Response + Send + Sync + 'static) -> Replica {
    let transport = Some(Arc::new(Fake(answers, AtomicU32::new(0))) as _);
    Replica::create(&directory.path().join("copy"), &origin(None), Options { transport, ..Options::default() }).unwrap()
}

#[test]
fn what_is_not_copied_cannot_be_edited() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("copy");
    let replica = Replica::create(&path, &origin(Some("todos")), Options::default()).unwrap();
    let data = Replica::document("{}").unwrap();
    let (notes, id) = name("notes", "a");
    // The server would have the record, and the replica not: it would be shown until the next repair drops it.
    let refused = replica.put(&notes, &id, &data).unwrap_err();
    assert_eq!(refused.to_string(), "the replica does not copy the collection notes");
    assert_eq!(replica.delete(&notes, &id).unwrap_err(), refused);
    let (todos, id) = name("todos", "a");
    replica.put(&todos, &id, &data).unwrap();
    assert_eq!(replica.waiting(), Ok(1));
}

#[test]
fn a_server_that_wants_an_hour_is_not_waited_for() {
    let directory = TempDir::new().unwrap();
    let hour = Some(Duration::from_secs(3_600));
    let replica = replica(&directory, move |_, _| Response { status: 503, retry_after: hour, ..Response::default() });
    let (tell, told) = channel();
    std::thread::spawn(move || tell.send(replica.sync()));
    let ended = told.recv_timeout(Duration::from_secs(5)).expect("an end of the sync");
    let Err(ReplicaError::Unavailable(why)) = ended else { panic!("{ended:?}") };
    assert_eq!(why, "status 503; not before 3600 seconds have passed");
}

#[test]
fn who_follows_goes_on_when_a_full_server_has_room_again() {
    let directory = TempDir::new().unwrap();
    let replica = replica(&directory, |before, request| match before {
        0 => answer(507, &json!({"code": "storage_full", "detail": "full"})),
        // The page of a captive portal.
        1 => Response { status: 200, body: b"<html>".into(), ..Response::default() },
        _ if request.path.contains("wait=") => {
            std::thread::sleep(Duration::from_millis(600));
            Response { status: 304, ..Response::default() }
        }
        _ => empty_page(),
    });
    let (stop, events) = (Stop::default(), Mutex::new(Vec::new()));
    let followed = replica.follow(&stop, |event| {
        if matches!(event, Followed::Synced(_)) {
            stop.stop();
        }
        events.lock().unwrap().push(event.clone());
    });
    assert_eq!(followed, Ok(()));
    let events = events.into_inner().unwrap();
    assert!(
        matches!(
            events.as_slice(),
            [
                Followed::Failed(ReplicaError::Refused { .. }, _),
                Followed::Failed(ReplicaError::Protocol(_), _),
                Followed::Synced(_)
            ]
        ),
        "{events:?}"
    );
}

#[test]
fn a_poll_that_is_not_held_is_not_made_again_and_again() {
    for poll in [
        // A proxy that holds no request, servers that have enough of them, and one that knows of neither.
        Response { status: 304, ..Response::default() },
        Response { status: 503, ..Response::default() },
        empty_page(),
    ] {
        let status = poll.status;
        let directory = TempDir::new().unwrap();
        let polls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&polls);
        let replica = replica(&directory, move |_, request| {
            if request.path.contains("wait=") {
                counted.fetch_add(1, Ordering::Relaxed);
                return poll.clone();
            }
            empty_page()
        });
        let stop = Stop::default();
        let (until, this) = (stop.clone(), replica.clone());
        let follows = std::thread::spawn(move || this.follow(&until, |_| {}));
        std::thread::sleep(Duration::from_millis(1_500));
        stop.stop();
        follows.join().unwrap().unwrap();
        assert!(polls.load(Ordering::Relaxed) <= 2, "{status}: {polls:?} polls");
    }
}

#[test]
fn what_cannot_be_sent_is_said_at_once() {
    let space = "demo".parse().unwrap();
    for url in ["http://", "http://a b"] {
        assert_eq!(Http::new(url, &space, None).err(), Some(ReplicaError::Address(url.into())), "{url}");
    }
    let refused = Http::new("http://127.0.0.1:1", &space, Some("sl_secret\n")).err().expect("a bad token");
    assert!(!refused.to_string().contains("secret"), "{refused}");
    assert!(refused.to_string().contains("line break"), "{refused}");
}

#[test]
fn what_is_stale_is_found_without_reading_all_records() {
    #[derive(QueryableByName)]
    struct Plan {
        #[diesel(sql_type = Text)]
        detail: String,
    }
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("copy");
    Replica::create(&path, &origin(None), Options::default()).unwrap();
    let mut file = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    // At the end of every sync that has brought anything.
    for query in ["SELECT collection, id FROM records WHERE records.stale", "DELETE FROM records WHERE records.stale"] {
        let plan: Vec<Plan> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {query}")).load(&mut file).unwrap();
        let plan: Vec<String> = plan.into_iter().map(|step| step.detail).collect();
        assert!(plan.iter().all(|step| step.contains("records_stale")), "{query}: {plan:?}");
    }
}
