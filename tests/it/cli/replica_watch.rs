//! `sync --watch`: a replica kept up to date in one process while others write to the same file and to the server.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::Desk;
use super::watcher::Watcher;

fn watch(desk: &Desk, arguments: &str) -> Watcher {
    Watcher::start(desk, &format!("sync copy --watch {arguments}"))
}

#[test]
fn edits_of_other_processes_and_news_from_the_server_are_synced_and_the_server_is_waited_for() {
    let mut desk = Desk::served();
    desk.import("d.csv", "id\na\n", "");
    desk.clone_space("copy");
    let watcher = watch(&desk, "--json --tries 1");
    let first = watcher.event("synced");
    assert_eq!((&first["records"], &first["pulled"], &first["repairs"]), (&1.into(), &0.into(), &Value::Array(vec![])));
    assert!(first["at"].is_string() && first["cursor"].is_string());

    desk.ok("put copy c mine {\"n\":1}");
    assert_eq!(watcher.event("synced")["pushed"], 1);
    assert_eq!(desk.held_by_server().len(), 2);
    desk.import("e.csv", "id\ntheirs\n", "");
    assert_eq!(watcher.event("synced")["pulled"], 1);
    assert_eq!(desk.ok("get copy c theirs"), "{\"id\":\"theirs\"}\n");

    desk.stop_server();
    desk.ok("put copy c meanwhile {}");
    let failed = watcher.event("failed");
    assert!(failed["error"].as_str().unwrap().contains("not available") && failed["pause_seconds"].is_f64());
    desk.start_server();
    assert_eq!(watcher.event("synced")["pushed"], 1);
    desk.assert_equal_to_server("copy");
    assert_eq!(watcher.stop(Signal::TERM), Some(0));
}

#[test]
fn a_line_is_printed_for_each_sync_that_did_something() {
    let desk = Desk::served();
    desk.import("d.csv", "id\na\n", "");
    desk.clone_space("copy");
    let watcher = watch(&desk, "");
    assert!(watcher.line().ends_with("Z up to date"));
    desk.ok("put copy c mine {}");
    assert!(watcher.line().ends_with("Z pushed 1"));
    desk.ok("delete copy c mine");
    assert!(watcher.line().ends_with("Z pushed 1"));
    desk.import("e.csv", "id\nb\nc\n", "");
    assert!(watcher.line().ends_with("Z pulled 2"));
    assert_eq!(watcher.stop(Signal::INT), Some(0));
    desk.assert_equal_to_server("copy");
}

#[test]
fn a_server_that_is_away_does_not_keep_it_from_ending() {
    let mut desk = Desk::served();
    desk.import("d.csv", "id\na\n", "");
    desk.clone_space("copy");
    desk.stop_server();
    let watcher = watch(&desk, "--json --tries 9");
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    assert_eq!(watcher.stop(Signal::TERM), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(6));
}
