//! The vectors that every client of the local model runs (clients/vectors, clients/PROTOCOL-CLIENT.md, 9).

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use strandline::domain::{Checksum, CollectionName, Collections, RecordId, Rev, Runs};
use strandline::replica::{Options, Origin, Replica, ReplicaError, Request, Response, Transport};
use tempfile::TempDir;

use super::file;

fn vectors(name: &str) -> Value {
    let path = format!("{}/clients/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The server of a case: it expects requests in order, and knows their answers.
struct Script {
    exchanges: Mutex<VecDeque<Value>>,
    path: PathBuf,
    /// The replica, for what is done while a request is on its way.
    replica: Mutex<Option<Replica>>,
    asked: Mutex<Vec<String>>,
}

/// Path and query, whose parameters are in any order.
fn target(text: &str) -> (String, BTreeSet<String>) {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let query = form_urlencoded::parse(query.as_bytes()).map(|(name, value)| format!("{name}={value}"));
    (path.to_owned(), query.collect())
}

impl Transport for Script {
    fn send(&self, client: &str, request: &Request) -> Result<Response, String> {
        assert!(!client.is_empty());
        let method = if request.body.is_some() { "POST" } else { "GET" };
        let asked = format!("{method} {}", request.path);
        self.asked.lock().unwrap().push(asked.clone());
        let expected = self.exchanges.lock().unwrap().pop_front();
        let expected = expected.unwrap_or_else(|| panic!("nobody expects {asked} {:?}", request.body));
        assert_eq!(target(&asked), target(expected["ask"].as_str().unwrap()));
        let body: Option<Value> = request.body.as_deref().map(|text| serde_json::from_str(text).unwrap());
        assert_eq!(body.as_ref(), expected.get("body"), "{asked}");
        assert_eq!(request.if_none_match.as_deref(), expected.get("if_none_match").map(|etag| etag.as_str().unwrap()));
        if let Some(steps) = expected.get("meanwhile") {
            let replica = self.replica.lock().unwrap().clone().unwrap();
            steps.as_array().unwrap().iter().for_each(|step| local(&replica, &self.path, step));
        }
        let answer = &expected["answer"];
        if answer == "lost" {
            return Err("the connection was lost".into());
        }
        Ok(Response {
            status: u16::try_from(answer["status"].as_u64().unwrap()).unwrap(),
            etag: answer["etag"].as_str().map(str::to_owned),
            retry_after: None,
            body: answer.get("body").map(|body| body.to_string().into_bytes()).unwrap_or_default(),
        })
    }
}

fn key(named: &Value) -> (CollectionName, RecordId) {
    (CollectionName::new(named[0].as_str().unwrap()).unwrap(), RecordId::new(named[1].as_str().unwrap()).unwrap())
}

/// A step that needs no server.
fn local(replica: &Replica, path: &std::path::Path, step: &Value) {
    if let Some(put) = step.get("put") {
        let (collection, id) = key(put);
        replica.put(&collection, &id, &Replica::document(&put[2].to_string()).unwrap()).unwrap();
    } else if let Some(delete) = step.get("delete") {
        let (collection, id) = key(delete);
        replica.delete(&collection, &id).unwrap();
    } else if let Some(see) = step.get("see") {
        let (collection, id) = key(see);
        let seen = replica.get(&collection, &id).unwrap();
        let seen: Value = seen.map_or(Value::Null, |data| serde_json::from_str(data.as_str()).unwrap());
        assert_eq!(seen, see[2], "{collection}/{id}");
        let listed = replica.list(&collection, None, 100).unwrap();
        assert_eq!(listed.iter().any(|(listed, _)| *listed == id), !seen.is_null(), "{collection}/{id} in the list");
    } else if let Some(number) = step.get("restore") {
        replica.restore(conflict(replica, number)).unwrap();
    } else if let Some(number) = step.get("discard") {
        replica.discard(conflict(replica, number)).unwrap();
    } else if let Some(expected) = step.get("state") {
        let state = file::state(path);
        for (name, value) in expected.as_object().unwrap() {
            let value = if name == "records" { sorted(value) } else { value.clone() };
            assert_eq!(state[name], value, "{name}");
        }
    } else {
        panic!("no step: {step}");
    }
}

fn conflict(replica: &Replica, place: &Value) -> u64 {
    replica.conflicts().unwrap()[usize::try_from(place.as_u64().unwrap()).unwrap()].number
}

fn sorted(records: &Value) -> Value {
    let mut records = records.as_array().unwrap().clone();
    records.sort_by_key(|record| (record["collection"].to_string(), record["id"].to_string()));
    records.into()
}

fn ending(ended: &Result<strandline::replica::Report, ReplicaError>) -> &'static str {
    match ended {
        Ok(_) => "ok",
        Err(ReplicaError::Unavailable(_)) => "unavailable",
        Err(ReplicaError::Denied(_)) => "denied",
        Err(ReplicaError::Gone) => "gone",
        Err(ReplicaError::Wrong) => "wrong",
        Err(ReplicaError::Refused { .. } | ReplicaError::Protocol(_)) => "refused",
        Err(error) => panic!("{error}"),
    }
}

fn play(case: &Value) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("copy");
    let collections = case["collections"].as_array().map(|names| {
        let names = names.iter().map(|name| CollectionName::new(name.as_str().unwrap()).unwrap());
        Collections::new(names.collect()).unwrap()
    });
    let origin = Origin { url: "http://127.0.0.1:1".into(), space: "demo".parse().unwrap(), collections };
    let script = Arc::new(Script {
        exchanges: Mutex::default(),
        path: path.clone(),
        replica: Mutex::default(),
        asked: Mutex::default(),
    });
    let options = || Options { transport: Some(Arc::clone(&script) as _), tries: 1, ..Options::default() };
    let mut replica = Replica::create(&path, &origin, options()).unwrap();
    for step in case["steps"].as_array().unwrap() {
        if let Some(ends) = step.get("sync") {
            *script.exchanges.lock().unwrap() = step["exchanges"].as_array().unwrap().clone().into();
            *script.replica.lock().unwrap() = Some(replica.clone());
            let ended = replica.sync();
            assert_eq!(ending(&ended), ends.as_str().unwrap(), "{ended:?}");
            let left = script.exchanges.lock().unwrap().clone();
            assert!(left.is_empty(), "it does not ask {left:?}; it asked {:?}", script.asked.lock().unwrap());
            *script.replica.lock().unwrap() = None;
        } else if step.get("restart").is_some() {
            drop(replica);
            replica = Replica::open(&path, options()).unwrap();
        } else {
            local(&replica, &path, step);
        }
    }
}

#[test]
fn every_case_goes_as_it_is_written() {
    let mut failed = Vec::new();
    for case in vectors("sync.json").as_array().unwrap() {
        let played = std::panic::catch_unwind(|| play(case));
        if played.is_err() {
            failed.push(case["name"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(failed, Vec::<String>::new());
}

#[test]
fn checksums_and_runs_are_as_they_are_written() {
    let sets = vectors("sets.json");
    let revs = |set: &Value| {
        let revs = set["revs"].as_array().unwrap().iter();
        revs.map(|rev| Rev::new(rev.as_u64().unwrap()).unwrap()).collect::<Vec<_>>()
    };
    for set in sets["checksums"].as_array().unwrap() {
        assert_eq!(json!(revs(set).into_iter().collect::<Checksum>().to_string()), set["checksum"]);
    }
    for set in sets["runs"].as_array().unwrap() {
        assert_eq!(json!(revs(set).into_iter().collect::<Runs>().counts()), set["runs"]);
    }
}
