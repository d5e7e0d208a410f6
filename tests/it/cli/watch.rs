//! `compact --watch`: what is left of a purge that goes on elsewhere.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::watcher::Watcher;
use super::{Desk, gzip};
use crate::support::postgres::Database;

/// A space `s` with 3,000 tombstones that may be purged. `place` says on what the commands work.
fn to_purge(desk: &Desk, place: &str) {
    let rows: Vec<String> = (0..3_000).map(|n| format!("{{\"id\":{n}}}\n")).collect();
    desk.import("d.ndjson.gz", gzip(rows.concat().as_bytes()), place);
    desk.import("e.csv", "id\n", &format!("--mirror --allow-empty {place}"));
    desk.ok(&format!("retention set s --retention 0s {place}"));
}

fn watch_a_purge(desk: &Desk, place: &str) {
    to_purge(desk, place);
    let watcher = Watcher::start(desk, &format!("compact s --watch --until-done --json {place}"));
    let line = || serde_json::from_str::<Value>(&watcher.line()).unwrap();
    let first = line();
    assert_eq!((&first["space"], &first["left"], &first["purged"]), (&"s".into(), &3_000.into(), &0.into()));
    assert_eq!((&first["horizon"], &first["seconds_left"]), (&0.into(), &Value::Null));
    desk.ok(&format!("compact s {place}"));
    let mut before = first;
    let last = loop {
        let now = line();
        assert!(now["left"].as_u64() <= before["left"].as_u64() && now["purged"].as_u64() >= before["purged"].as_u64());
        if now["left"] == 0 {
            break now;
        }
        before = now;
    };
    assert_eq!((&last["purged"], &last["horizon"], &last["spaces_left"]), (&3_000.into(), &6_000.into(), &0.into()));
    assert!(last["per_second"].as_f64().unwrap() > 0.0 && last["seconds_left"] == 0.0, "{last}");
    assert_eq!(watcher.end(), Some(0));
}

#[test]
fn a_purge_is_watched_on_the_database_until_nothing_is_left() {
    watch_a_purge(&Desk::new(), "");
    if let Some(database) = Database::empty() {
        watch_a_purge(&Desk::new(), &format!("--database {}", database.url()));
    }
}

#[test]
fn a_purge_is_watched_through_a_server() {
    watch_a_purge(&Desk::served(), "");
}

#[test]
fn a_watch_of_all_spaces_prints_a_line_a_second_until_it_is_interrupted() {
    let desk = Desk::new();
    to_purge(&desk, "");
    desk.ok("spaces create other");
    for signal in [Signal::INT, Signal::TERM] {
        let watcher = Watcher::start(&desk, "compact --all --watch");
        let begun = Instant::now();
        for _ in 0..3 {
            let line = watcher.line();
            let (_, told) = line.split_once("Z ").unwrap();
            assert_eq!(
                told,
                "1 space with tombstones to purge, 3,000 left, 0 purged, 0 a second, none are being purged"
            );
        }
        assert!(begun.elapsed() > Duration::from_millis(1_500), "a line a second");
        assert_eq!(watcher.stop(signal), Some(0));
    }
    // It only watched.
    assert_eq!(desk.json("spaces show s")["tombstones"], 3_000);
    desk.ok("compact --all");
    let told = desk.ok("compact s --watch --until-done");
    assert!(told.ends_with("Z s: horizon 6000, 0 left, 0 purged, 0 a second, done\n"), "{told}");
}

#[test]
fn a_server_that_does_not_answer_does_not_keep_a_watch_from_ending() {
    let desk = Desk::new();
    // It takes connections, and nobody reads them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let watcher = Watcher::start(&desk, &format!("compact s --watch --url http://{}", silent.local_addr().unwrap()));
    let _asking = silent.accept().unwrap();
    let begun = Instant::now();
    assert_eq!(watcher.stop(Signal::INT), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(6));
}
