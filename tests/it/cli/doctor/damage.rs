//! Each kind of damage: found, mended or told what to do about, and gone for the server that runs meanwhile.

use serde_json::json;

use super::{doctor, homes, push, replica, sync, with_everything};
use crate::support::Home;

const SPACE: &str = "(SELECT id FROM spaces WHERE name = 's')";
const A: &str =
    "(SELECT c.id FROM collections c JOIN spaces s ON s.id = c.space_id WHERE c.name = 'a' AND s.name = 's')";
const GONE: &str =
    "(SELECT c.id FROM collections c JOIN spaces s ON s.id = c.space_id WHERE c.name = 'gone' AND s.name = 's')";

/// Changes one row. The statements name a space, or a collection of it, by its constant.
fn tamper(home: &Home, statement: &str) {
    home.tamper(&statement.replace(":s", SPACE).replace(":gone", GONE).replace(":a", A));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rows_prove_is_mended_and_a_running_server_answers_rightly() {
    let cases: [(&str, &[&str]); 19] = [
        ("UPDATE collections SET live = live + 3 WHERE id = :a", &["live_count"]),
        ("UPDATE collections SET live = -1 WHERE id = :a", &["live_count"]),
        ("UPDATE collections SET tombstones = tombstones - 1 WHERE id = :a", &["tombstone_count"]),
        ("UPDATE collections SET checksum = checksum + 1 WHERE id = :a", &["checksum"]),
        ("UPDATE collections SET live_bytes = 0 WHERE id = :a", &["live_bytes"]),
        ("UPDATE collections SET tombstone_bytes = 0 WHERE id = :a", &["tombstone_bytes"]),
        ("UPDATE collections SET head = head - 1 WHERE id = :a", &["collection_head_low"]),
        ("UPDATE collections SET horizon = 9007199254740000 WHERE id = :a", &["horizon_high", "stale_tombstones"]),
        ("UPDATE collections SET horizon = 0, horizon_at = 0 WHERE id = :gone", &["horizon_low"]),
        ("UPDATE collections SET horizon_at = 1 WHERE id = :gone", &["horizon_time"]),
        (
            "UPDATE collections SET horizon = (SELECT min(rev) FROM records WHERE collection_id = :b AND deleted), \
             horizon_at = (SELECT modified_at FROM records WHERE rev = (SELECT min(rev) FROM records WHERE \
             collection_id = :b AND deleted) AND collection_id = :b) WHERE id = :b",
            &["stale_tombstones"],
        ),
        ("UPDATE spaces SET modified_at = modified_at - 1 WHERE id = :s", &["modified_at"]),
        ("DELETE FROM records WHERE collection_id = :a AND id = '20'", &["live_count", "live_bytes", "checksum"]),
        ("DELETE FROM epochs WHERE space_id = :s", &["epochs_missing"]),
        ("UPDATE spaces SET head = head - 2 WHERE id = :s", &["space_head_low"]),
        (
            "UPDATE epochs SET opened_at = 999999 WHERE space_id = :s AND ordinal = (SELECT max(ordinal) FROM epochs \
             WHERE space_id = :s)",
            &["epoch_ahead"],
        ),
        ("INSERT INTO clients (space_id, name, seq, used_at) VALUES (987654, 'x', 1, 1)", &["orphans"]),
        ("INSERT INTO samples (space_id, at, head, horizon, live, tombstones) VALUES (9, 1, 1, 0, 1, 0)", &["orphans"]),
        ("INSERT INTO epochs (space_id, ordinal, epoch, opened_at) VALUES (987655, 0, 'x', 0)", &["orphans"]),
    ];
    for home in homes() {
        let (program, mut link) = with_everything(home).await;
        let home = program.home();
        doctor(home, "").assert_sound();
        for (statement, faults) in cases {
            let statement = statement.replace(":b", &A.replace("'a'", "'b'"));
            let mut old = replica(&program).await;
            tamper(home, &statement);
            let found = doctor(home, "");
            assert_eq!(found.code, 3, "{statement}: {found:?}");
            assert_eq!(found.faults().into_iter().filter(told).collect::<Vec<_>>(), sorted(faults), "{statement}");
            assert!(found.findings().iter().all(|finding| finding["repairable"] == true), "{found:?}");
            let mended = doctor(home, "--repair");
            assert_eq!(mended.faults().into_iter().filter(told).collect::<Vec<_>>(), sorted(faults), "{statement}");
            mended.assert_mended();
            doctor(home, "").assert_sound();

            let mut new = replica(&program).await;
            if !statement.starts_with("DELETE FROM records") {
                sync(&mut old).await;
                assert_eq!(old.records, new.records, "{statement}");
            }
            push(&mut link, vec![json!({"collection": "a", "id": "9", "data": {}})], None).await;
            sync(&mut new).await;
            doctor(home, "").assert_sound();
        }
    }
}

/// Beside a file it is known, too, how far its spaces once were.
fn told(fault: &&str) -> bool {
    *fault != "put_back"
}

fn sorted<'a>(faults: &[&'a str]) -> Vec<&'a str> {
    let mut faults = faults.to_vec();
    faults.sort_unstable();
    faults
}

/// What is found, what brings it about, and what undoes that.
const UNPROVEN: [(&str, &str, &str); 16] = [
    (
        "deleted_with_data",
        "UPDATE records SET deleted = NOT deleted WHERE collection_id = :a AND id = '8'",
        "UPDATE records SET deleted = NOT deleted WHERE collection_id = :a AND id = '8'",
    ),
    (
        "live_without_data",
        "UPDATE records SET deleted = NOT deleted WHERE collection_id = :a AND id = '4'",
        "UPDATE records SET deleted = NOT deleted WHERE collection_id = :a AND id = '4'",
    ),
    (
        "time_order",
        "UPDATE records SET modified_at = modified_at - 90000000 WHERE collection_id = :a AND id = '8'",
        "UPDATE records SET modified_at = modified_at + 90000000 WHERE collection_id = :a AND id = '8'",
    ),
    (
        "modified_at",
        "UPDATE records SET modified_at = modified_at + 900000000000000 WHERE rev = (SELECT head FROM spaces WHERE \
             id = :s) AND space_id = :s",
        "UPDATE records SET modified_at = modified_at - 900000000000000 WHERE rev = (SELECT head FROM spaces WHERE \
             id = :s) AND space_id = :s",
    ),
    (
        "record_id",
        "UPDATE records SET id = '' WHERE collection_id = :a AND id = '8'",
        "UPDATE records SET id = '8' WHERE collection_id = :a AND id = ''",
    ),
    (
        "unknown_collection",
        "UPDATE records SET collection_id = 987654 WHERE collection_id = :a AND id = '8'",
        "UPDATE records SET collection_id = :a WHERE collection_id = 987654",
    ),
    (
        "revision_range",
        "UPDATE records SET rev = -rev WHERE collection_id = :a AND id = '8'",
        "UPDATE records SET rev = -rev WHERE collection_id = :a AND id = '8'",
    ),
    (
        "space_head_high",
        "UPDATE spaces SET head = head + 1 WHERE id = :s",
        "UPDATE spaces SET head = head - 1 WHERE id = :s",
    ),
    (
        "collection_head_high",
        "UPDATE collections SET head = head + 5000 WHERE id = :a",
        "UPDATE collections SET head = head - 5000 WHERE id = :a",
    ),
    (
        "policy",
        "UPDATE spaces SET retention = 'soon' WHERE id = :s",
        "UPDATE spaces SET retention = '30d' WHERE id = :s",
    ),
    ("space_name", "UPDATE spaces SET name = 'Ä' WHERE name = 's'", "UPDATE spaces SET name = 's' WHERE name = 'Ä'"),
    (
        "collection_name",
        "UPDATE collections SET name = 'Ä' WHERE name = 'b'",
        "UPDATE collections SET name = 'b' WHERE name = 'Ä'",
    ),
    (
        "epochs_broken",
        "UPDATE epochs SET ordinal = 7 WHERE space_id = :s AND ordinal = 0",
        "UPDATE epochs SET ordinal = 0 WHERE space_id = :s AND ordinal = 7",
    ),
    (
        "policy",
        "UPDATE spaces SET max_tombstones = -1 WHERE id = :s",
        "UPDATE spaces SET max_tombstones = NULL WHERE id = :s",
    ),
    (
        "known_client",
        "INSERT INTO known_clients (space_id, name, rev, cursor, seen_at) SELECT id, 'odd', 1, '?', 1 FROM spaces \
             WHERE name = 's'",
        "DELETE FROM known_clients WHERE name = 'odd'",
    ),
    (
        "client_seq",
        "UPDATE clients SET seq = -seq WHERE name = 'phone'",
        "UPDATE clients SET seq = -seq WHERE name = 'phone'",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_no_row_proves_is_told_and_left_alone() {
    for home in homes() {
        let (program, _) = with_everything(home).await;
        let home = program.home();
        for (fault, damage, undo) in UNPROVEN {
            tamper(home, damage);
            let found = doctor(home, "--repair");
            assert_eq!(found.code, 3, "{damage}: {found:?}");
            let finding = found.finding(fault);
            assert!(finding["advice"].is_string() && finding["mended"] == false, "{damage}: {finding}");
            assert_eq!(doctor(home, "").findings().iter().filter(|finding| finding["repairable"] == true).count(), 0);
            tamper(home, undo);
            // A change of bytes may have been booked meanwhile.
            doctor(home, "--repair");
            doctor(home, "").assert_sound();
        }
        replica(&program).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_no_json_object_is_put_right_by_writing_the_record_again() {
    for home in homes() {
        let (program, mut link) = with_everything(home).await;
        let home = program.home();
        for data in ["[1]", "{\"a\":1,\"a\":2}", "{\"a\": 1}"] {
            tamper(home, &format!("UPDATE records SET data = '{data}' WHERE collection_id = :a AND id = '8'"));
            let found = doctor(home, "--repair");
            let finding = found.finding("data");
            assert!(finding["advice"].as_str().unwrap().contains("write the record again"), "{finding}");
            assert!(finding["stored"].as_str().unwrap().starts_with("\"8\" at revision "), "{finding}");
            assert_eq!((&finding["space"], &finding["collection"]), (&"s".into(), &"a".into()));
            push(&mut link, vec![json!({"collection": "a", "id": "8", "data": {}})], None).await;
            doctor(home, "").assert_sound();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_missing_is_told_with_the_statement_that_makes_it_and_so_are_revisions_given_twice() {
    for home in homes() {
        let (program, _) = with_everything(home).await;
        let home = program.home();
        home.run("DROP INDEX records_by_rev");
        let first = "(SELECT min(rev) FROM records WHERE collection_id = :a)";
        tamper(home, &format!("UPDATE records SET rev = -{first} WHERE rev = {first} AND collection_id = :a"));
        tamper(home, "UPDATE records SET rev = (SELECT min(rev) FROM records WHERE rev > 0) WHERE rev < 0");
        let found = doctor(home, "--repair");
        assert!(found.faults().is_superset(&["index", "revision_twice"].into()), "{found:?}");
        assert!(found.finding("index")["advice"].as_str().unwrap().contains("(space_id, rev)"), "{found:?}");
        let free = "(SELECT head + 1 FROM spaces WHERE name = 's')";
        let one = "(SELECT min(id) FROM records WHERE collection_id = :a AND rev = (SELECT min(rev) FROM records))";
        tamper(home, &format!("UPDATE records SET rev = {free} WHERE collection_id = :a AND id = {one}"));
        home.run("CREATE UNIQUE INDEX records_by_rev ON records (space_id, rev)");
        let mended = doctor(home, "--repair");
        assert!(mended.finding("space_head_low")["mended"] == true, "{mended:?}");
        replica(&program).await;
    }
}
