//! `copy`: all spaces from one database to another, and what is said when it cannot be.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, RunQueryDsl, SqliteConnection};
use serde_json::Value;

use super::history::{dump, trees};
use super::{Desk, gzip};

const OTHER: &str = "sqlite:other.db";

/// Copies the desk's database to [`OTHER`]; the summary.
fn copy(desk: &Desk) -> Value {
    desk.json(&format!("copy --from sqlite:strandline.db --to {OTHER}"))
}

/// What a database tells of a space: itself, its epochs, its records, and everything with deletions, byte by byte.
pub fn told(desk: &Desk, space: &str, database: &str) -> [String; 4] {
    [
        desk.ok(&format!("spaces show {space} --json --database {database}")),
        desk.ok(&format!("epoch show --space {space} --database {database}")),
        desk.ok(&format!("export --space {space} --database {database}")),
        desk.run(&format!("export --space {space} --since 0 --database {database}")).out,
    ]
}

fn assert_copied(desk: &Desk, space: &str) {
    let [there, here] = ["sqlite:strandline.db", OTHER].map(|database| told(desk, space, database));
    assert_eq!(there, here, "{space}");
}

#[test]
fn a_real_history_is_copied_byte_for_byte() {
    let desk = Desk::new();
    for tree in trees(&[0, 400, 1200, 2000, 2798]) {
        desk.import("dump.ndjson", dump(&tree), "--id-field path --mirror");
    }
    let before = desk.json("export --space s --cursor-file kept --output all.ndjson");
    desk.ok("spaces create empty --retention forever");
    desk.write("few.csv", "id,n\n1,x\n2,\n");
    desk.ok("import --space purged --collection few few.csv");
    desk.write("one.csv", "id,n\n1,x\n");
    desk.ok("import --space purged --collection few one.csv --mirror");
    desk.ok("compact --space purged --older-than 0s");
    desk.ok("epoch new --space purged");

    let summary = copy(&desk);
    let spaces = summary["spaces"].as_array().unwrap();
    let names: Vec<&str> = spaces.iter().map(|space| space["space"].as_str().unwrap()).collect();
    assert_eq!(names, ["empty", "purged", "s"]);
    assert_eq!(summary["failed"], serde_json::json!([]));
    let shown = desk.json(&format!("spaces show s --database {OTHER}"));
    let counted = &spaces[2]["collections"][0];
    assert_eq!(counted["collection"], "c");
    for name in ["records", "tombstones", "checksum"] {
        assert_eq!(counted[name], shown[name]);
    }
    assert_eq!((&counted["records"], &counted["verified"]), (&402.into(), &true.into()));
    assert!(counted["tombstones"].as_u64().unwrap() > 100);
    let rows = counted["records"].as_u64().unwrap() + counted["tombstones"].as_u64().unwrap();
    assert_eq!((spaces[2]["rows"].as_u64(), &spaces[2]["already"]), (Some(rows), &false.into()));
    for name in names {
        assert_copied(&desk, name);
    }
    // A cursor of the source is one of the target.
    let kept = before["cursor"].as_str().unwrap();
    let since = desk.json(&format!("export --space s --since {kept} --output since.ndjson --database {OTHER}"));
    assert_eq!((&since["records"], &since["deleted"]), (&0.into(), &0.into()));

    // Again: there is nothing left to do.
    let again = copy(&desk);
    assert!(again["spaces"].as_array().unwrap().iter().all(|space| space["already"] == true && space["rows"] == 0));
    let table = desk.ok(&format!("copy --from sqlite:strandline.db --to {OTHER} --space s"));
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("SPACE  COLLECTION  RECORDS  TOMBSTONES  CHECKSUM"), "{table}");
    assert!(lines[1].starts_with("s      c") && lines[1].ends_with("verified, was there already"), "{table}");
    assert!(lines[3].starts_with("1 space of sqlite:strandline.db equal in sqlite:other.db, "), "{table}");
}

#[test]
fn a_copy_that_is_killed_again_and_again_ends_whole() {
    let desk = Desk::new();
    let rows: Vec<String> = (0..20_000).map(|n| format!("{{\"id\":{n},\"text\":\"some text\"}}\n")).collect();
    desk.import("d.ndjson.gz", gzip(rows.concat().as_bytes()), "");
    desk.ok("spaces create zebra");
    let (mut killed_half_way, mut patience) = (0, Duration::from_millis(60));
    loop {
        let mut child = desk.command(&format!("copy --from sqlite:strandline.db --to {OTHER} --json")).spawn().unwrap();
        let deadline = Instant::now() + patience;
        let done = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() > deadline => break None,
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        if let Some(status) = done {
            let output = child.wait_with_output().unwrap();
            assert!(status.success(), "{output:?}");
            let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
            if killed_half_way > 0 {
                assert!(summary["spaces"][0]["rows"].as_u64().unwrap() < 20_000, "it went on from where it was");
            }
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if desk.path("other.db").exists() {
            // Whoever looks sees a whole space or none.
            let list = desk.run(&format!("spaces list --json --database {OTHER}"));
            let list: Value = serde_json::from_str(&list.out).unwrap();
            match list["spaces"].as_array().unwrap().first() {
                None => killed_half_way += 1,
                Some(space) => assert_eq!(space["records"], 20_000),
            }
        }
        patience += Duration::from_millis(150);
    }
    assert!(killed_half_way > 0, "it was never killed on the way");
    assert_copied(&desk, "s");
    assert_copied(&desk, "zebra");
}

#[test]
fn a_server_on_the_target_has_the_space_at_once() {
    let desk = Desk::served();
    let (source, target) = ("sqlite:source.db", "sqlite:strandline.db");
    desk.write("d.csv", "id,n\na,1\nb,2\n");
    desk.ok(&format!("import --space s --collection c d.csv --database {source}"));
    desk.fails(1, "spaces show s");
    desk.ok(&format!("copy --from {source} --to {target}"));
    assert_eq!(desk.json("spaces show s"), desk.json(&format!("spaces show s --database {source}")));
    desk.import("e.csv", "id,n\nc,3\n", "");
    assert_eq!(desk.head(), 3);
    // It is another one now.
    let told = desk.run(&format!("copy --from {source} --to {target}"));
    assert_eq!(told.code, 1);
    assert!(told.err.contains("s: the target has a space named s already"), "{}", told.err);
    assert!(told.err.contains("spaces delete s --yes --database sqlite:strandline.db"), "{}", told.err);
    assert!(told.err.ends_with("error: 1 space was not copied, or not as it is now (see above)\n"), "{}", told.err);
}

/// A connection to a database that another program is making.
fn connect(path: &std::path::Path) -> SqliteConnection {
    while !path.exists() {}
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    connection.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
    connection
}

/// Counts rows, of which there are none while a table is not made yet.
fn count(database: &mut SqliteConnection, rows: &str) -> i64 {
    diesel::dsl::sql::<diesel::sql_types::BigInt>(&format!("SELECT COUNT(*) FROM {rows}"))
        .get_result(database)
        .unwrap_or(0)
}

#[test]
fn what_a_server_writes_to_the_source_after_it_was_copied_is_no_success() {
    let desk = Desk::served();
    desk.write("d.csv", "id\na\n");
    desk.ok("import --space a --collection c d.csv");
    let rows: Vec<String> = (0..20_000).map(|n| format!("{{\"id\":{n},\"text\":\"some text\"}}\n")).collect();
    desk.import("d.ndjson", rows.concat(), "");
    let copying = desk.command(&format!("copy --from sqlite:strandline.db --to {OTHER} --json")).spawn().unwrap();
    // As soon as the first space is there, the copier is held up, and a client writes to that space.
    let mut target = connect(&desk.path("other.db"));
    while count(&mut target, "spaces WHERE name = 'a'") == 0 {}
    target.batch_execute("BEGIN IMMEDIATE").unwrap();
    desk.write("d.csv", "id\nb\n");
    desk.ok("import --space a --collection c d.csv");
    target.batch_execute("COMMIT").unwrap();
    let output = copying.wait_with_output().unwrap();
    let (summary, told) = (serde_json::from_slice::<Value>(&output.stdout).unwrap(), String::from_utf8(output.stderr));
    assert_eq!(output.status.code(), Some(1), "{told:?}");
    assert_eq!((&summary["failed"][0]["space"], &summary["spaces"][0]["space"]), (&"a".into(), &"s".into()));
    assert!(told.unwrap().contains("a: it was written in the source after it was copied: stop the server there"));
}

#[test]
fn what_an_unfinished_copy_left_can_be_removed() {
    let desk = Desk::new();
    let rows: Vec<String> = (0..20_000).map(|n| format!("{{\"id\":{n}}}\n")).collect();
    desk.import("d.ndjson", rows.concat(), "");
    let command = format!("copy --from sqlite:strandline.db --to {OTHER}");
    let mut copying = desk.command(&command).spawn().unwrap();
    let mut target = connect(&desk.path("other.db"));
    while count(&mut target, "records") == 0 {}
    copying.kill().unwrap();
    copying.wait().unwrap();
    assert_eq!(count(&mut target, "spaces WHERE name IS NULL AND copying = 's'"), 1);
    assert_eq!(desk.json(&format!("{command} --discard --space s")), serde_json::json!({ "discarded": ["s"] }));
    assert_eq!(["spaces", "records", "collections", "epochs"].map(|table| count(&mut target, table)), [0; 4]);
    assert_eq!(desk.ok(&format!("{command} --discard")), "discarded 0 unfinished copies\n");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let desk = Desk::new();
    desk.import("d.csv", "id\na\n", "");
    for same in ["strandline.db", "./strandline.db", "//strandline.db"] {
        let same = same.replace("//", &format!("//{}/", desk.path("").display()));
        let told = desk.fails(2, &format!("copy --from sqlite:strandline.db --to sqlite:{same}"));
        assert!(told.contains("the same database"), "{told}");
    }
    for wrong in ["copy", "copy --from sqlite:strandline.db", "copy --from x --to y"] {
        desk.fails(2, wrong);
    }
    let told = desk.fails(1, "copy --from sqlite:typo.db --to sqlite:other.db");
    assert!(told.contains("no database at typo.db, which --from names"), "{told}");
    desk.fails(1, "copy --from sqlite:strandline.db --to sqlite:other.db --discard");
    assert!(!desk.path("typo.db").exists() && !desk.path("other.db").exists());
    let told = desk.run(&format!("copy --from sqlite:strandline.db --to {OTHER} --space nope"));
    assert_eq!(told.code, 1);
    assert!(told.err.starts_with("nope: the source has no such space\n"), "{}", told.err);
}
