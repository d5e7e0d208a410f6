//! A clone that is killed on its way, and files that it left when there was next to nothing in them.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use serde_json::{Value, json};
use strandline::replica::{Options, Replica};

use super::{Desk, gzip};

#[test]
fn a_clone_that_is_killed_again_and_again_goes_on_and_ends_whole() {
    let mut desk = Desk::new();
    let rows: Vec<String> = (0..50_000).map(|n| format!("{{\"id\":{n},\"text\":\"some text\"}}\n")).collect();
    desk.import("d.ndjson.gz", gzip(rows.concat().as_bytes()), "");
    desk.start_server();
    let clone = format!("clone {}/s copy --json", desk.url());
    let (mut killed_half_way, mut patience) = (0, Duration::from_millis(20));
    let cloned = loop {
        let mut child = desk.command(&clone).spawn().unwrap();
        let deadline = Instant::now() + patience;
        let done = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() > deadline => break None,
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        if done.is_some() {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}");
            break serde_json::from_slice::<Value>(&output.stdout).unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let left = Replica::open(&desk.path("copy"), Options::default()).map(|replica| replica.status().unwrap());
        killed_half_way += u32::from(left.is_ok_and(|status| status.cursor.is_some() && !status.whole));
        patience += Duration::from_millis(200);
    };
    assert!(killed_half_way > 0, "it was never killed on the way");
    assert_eq!(cloned["resumed"], true);
    assert!(cloned["pulled"].as_u64().unwrap() < 50_000, "it went on from where it was: {cloned}");
    assert_eq!((&cloned["records"], &cloned["repairs"]), (&50_000.into(), &json!([])));
    assert_eq!(desk.json("verify copy")["right"], true);
    // Pages of a list are joined without a seam.
    assert_eq!(desk.ok("list copy c").lines().count(), 50_000);
    // Once more: there is nothing left to do.
    let again = desk.json(&clone.replace(" --json", ""));
    assert_eq!((&again["resumed"], &again["pulled"], &again["requests"]), (&true.into(), &0.into(), &1.into()));
}

#[test]
fn a_file_that_was_only_begun_is_taken_over() {
    let desk = Desk::served();
    desk.import("d.csv", "id\na\n", "");
    desk.write("empty", "");
    assert_eq!(desk.clone_space("empty")["resumed"], false);
    desk.assert_equal_to_server("empty");
    // Killed between the tables and the row that says of what it is.
    desk.clone_space("copy");
    let mut file = SqliteConnection::establish(desk.path("copy").to_str().unwrap()).unwrap();
    file.batch_execute("DELETE FROM records; DELETE FROM replica").unwrap();
    drop(file);
    assert!(desk.fails(1, "status copy").contains("is no replica"));
    assert_eq!(desk.clone_space("copy")["resumed"], false);
    desk.assert_equal_to_server("copy");
}
