//! Whether a replica is right, and the exit code that says so: files that somebody else wrote to.

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use serde_json::{Value, json};

use super::Desk;

/// A replica of a hundred records, and its server.
fn with_copy() -> Desk {
    let desk = Desk::served();
    let rows: Vec<String> = (0..100).map(|n| format!("{{\"id\":\"{n}\",\"n\":{n}}}\n")).collect();
    desk.import("d.ndjson", rows.concat(), "");
    desk.clone_space("copy");
    desk
}

/// Changes the file past the replica.
fn damage(desk: &Desk, statement: &str) {
    let mut file = SqliteConnection::establish(desk.path("copy").to_str().unwrap()).unwrap();
    file.batch_execute(statement).unwrap();
}

#[test]
fn a_replica_that_is_right_is_verified_without_being_touched() {
    let desk = with_copy();
    let told = desk.ok("verify copy");
    assert!(
        told.starts_with("right: 100 records, checksum ") && told.ends_with(", as the server has them\n"),
        "{told}"
    );
    // Edits wait, news is pulled.
    desk.ok("put copy c mine {}");
    desk.import("e.ndjson", "{\"id\":\"theirs\"}\n", "");
    let space = desk.json("spaces show s");
    let verdict = desk.json("verify copy --repair");
    for (name, value) in [("right", true), ("sound", true), ("same", true), ("repaired", false)] {
        assert_eq!(verdict[name], value, "{name}");
    }
    let sum = json!({"records": 101, "checksum": space["checksum"]});
    assert_eq!((&verdict["here"], &verdict["server"]), (&sum, &sum));
    assert_eq!((&verdict["report"]["pulled"], &verdict["report"]["pushed"]), (&1.into(), &0.into()));
    assert_eq!(desk.json("status copy")["edits"], 1);
    assert_eq!(desk.json("spaces show s")["head"], space["head"]);
    desk.json("sync copy");
    desk.assert_equal_to_server("copy");
}

#[test]
fn damage_is_found_again_and_again_until_it_is_mended() {
    for statement in [
        "DELETE FROM records WHERE id = '7'",
        "UPDATE records SET rev = 1000 WHERE id = '7'",
        "INSERT INTO records VALUES ('c', 'ghost', 1000, 0, '{}', 0)",
    ] {
        let desk = with_copy();
        damage(&desk, statement);
        for sound in [false, true] {
            let found = desk.run("verify copy --json");
            assert_eq!(found.code, 3, "{statement}: {found:?}");
            let told = "the replica is not what the server has: `strandline verify copy --repair` mends it";
            assert!(found.err.contains(told), "{found:?}");
            let verdict: Value = serde_json::from_str(&found.out).unwrap();
            // What the file says of itself is put right by counting; what is in it is not.
            assert_eq!((&verdict["sound"], &verdict["same"]), (&sound.into(), &false.into()), "{statement}");
            assert_eq!((&verdict["right"], &verdict["repaired"]), (&false.into(), &false.into()));
            assert_ne!(verdict["here"], verdict["server"]);
        }
        let mended = desk.run("verify copy --repair");
        assert_eq!(mended.code, 3, "{statement}: {mended:?}");
        assert!(mended.err.contains("was not what the server has; it is mended now"), "{mended:?}");
        assert!(mended.out.starts_with("here     ") && mended.out.contains("\nserver   100 records"), "{mended:?}");
        assert!(desk.ok("verify copy").starts_with("right: 100 records"));
        desk.assert_equal_to_server("copy");
    }
}

#[test]
fn a_count_that_was_wrong_of_records_that_are_right_is_told() {
    let desk = with_copy();
    damage(&desk, "UPDATE replica SET count = 7");
    let found = desk.run("verify copy --json");
    assert!(found.code == 3 && found.err.contains("what the file said of its records was wrong"), "{found:?}");
    let verdict: Value = serde_json::from_str(&found.out).unwrap();
    assert_eq!((&verdict["sound"], &verdict["same"]), (&false.into(), &true.into()));
    assert_eq!(desk.json("verify copy")["right"], true);
}

#[test]
fn damage_is_mended_at_once_when_that_is_asked_for_and_by_the_next_sync_of_its_own() {
    let desk = with_copy();
    damage(&desk, "DELETE FROM records WHERE id = '7'");
    let mended = desk.run("verify copy --repair --json");
    let verdict: Value = serde_json::from_str(&mended.out).unwrap();
    assert_eq!((mended.code, &verdict["repaired"], &verdict["report"]["fetched"]), (3, &true.into(), &1.into()));
    assert_eq!((&verdict["here"]["records"], &verdict["server"]["records"]), (&99.into(), &100.into()));
    desk.assert_equal_to_server("copy");

    damage(&desk, "UPDATE records SET rev = 1000 WHERE id = '7'");
    desk.import("e.ndjson", "{\"id\":\"new\"}\n", "");
    assert_eq!(desk.run("verify copy").code, 3);
    desk.ok("put copy c mine {}");
    let synced = desk.run("sync copy");
    assert_eq!(synced.code, 3, "{synced:?}");
    assert!(synced.out.contains("repaired (different)"), "{synced:?}");
    assert!(synced.err.contains("was not what the server has, and is mended now"), "{synced:?}");
    assert!(desk.ok("sync copy").starts_with("nothing was new; 102 records"));
    desk.assert_equal_to_server("copy");
}

#[test]
fn who_was_away_for_too_long_is_repaired_and_was_right() {
    let desk = with_copy();
    desk.import("few.ndjson", "{\"id\":\"1\",\"n\":1}\n{\"id\":\"2\",\"n\":-2}\n", "--mirror");
    desk.ok("compact --space s --older-than 0s");
    assert_eq!(desk.json("verify copy")["report"]["repairs"], json!(["purged"]));
    desk.assert_equal_to_server("copy");
    desk.import("fewer.ndjson", "{\"id\":\"2\",\"n\":-2}\n", "--mirror");
    desk.ok("compact --space s --older-than 0s");
    assert!(desk.ok("sync copy").starts_with("repaired (purged); 1 record, "));
    desk.assert_equal_to_server("copy");
}
