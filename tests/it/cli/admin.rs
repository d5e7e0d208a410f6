//! `spaces`, `retention`, `compact`, `epoch`, `backup`, and what holds for every command.

use serde_json::{Value, json};

use super::Desk;

#[test]
fn a_space_is_made_shown_listed_and_deleted() {
    let desk = Desk::new();
    assert!(desk.ok("spaces create demo --retention 7d").starts_with("created demo (epoch "));
    assert!(desk.fails(1, "spaces create demo").contains("is there already"));
    let shown = desk.json("spaces show demo");
    assert_eq!(
        (&shown["head"], &shown["retention"], &shown["checksum"]),
        (&0.into(), &"7d".into(), &"0000000000000000".into())
    );
    assert_eq!(shown["cursor"], format!("{}.0", shown["epoch"].as_str().unwrap()));
    desk.import("d.csv", "id\na\nb\n", "");
    let list = desk.ok("spaces list");
    let first: Vec<&str> = list.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(first, ["SPACE", "demo", "s"]);
    assert_eq!(desk.json("spaces list")["spaces"][1]["records"], 2);

    assert!(desk.fails(2, "spaces delete s").contains("--yes"));
    assert_eq!(desk.ok("spaces delete s --yes"), "deleted s with 2 records\n");
    assert!(desk.fails(1, "spaces show s").contains("no space named s"));
    assert!(desk.fails(1, "spaces delete s --yes").contains("no space named s"));
}

#[test]
fn a_quota_is_shown_and_set_and_holds_for_an_import() {
    let desk = Desk::new();
    desk.import("d.csv", "id\na\nb\n", "");
    let shown = desk.json("spaces quota s");
    let unsaid = json!({"space": "s", "records": null, "bytes": null, "record_bytes": null,
        "used": {"records": 2, "bytes": 22}});
    assert_eq!(shown, unsaid);
    let set = desk.json("spaces quota s --records 3 --bytes 2KiB --record-bytes none");
    assert_eq!((&set["records"], &set["bytes"], &set["record_bytes"]), (&3.into(), &2048.into(), &"none".into()));
    assert_eq!(desk.json("spaces quota s --record-bytes default")["record_bytes"], Value::Null);
    assert_eq!(
        desk.ok("spaces quota s"),
        "OF            QUOTA     USED\n\
         records       3         2\n\
         bytes         2.00 KiB  22 B\n\
         record bytes  default\n"
    );
    desk.write("more.csv", "id\nc\nd\n");
    let full = desk.fails(1, "import --space s --collection c more.csv");
    assert!(full.contains("holds 2 records and would hold 4") && full.contains("spaces quota"), "{full}");
    assert_eq!(desk.json("spaces show s")["records"], 2);
    for wrong in ["--records many", "--records -1", "--bytes 2KB", "--bytes 9223372036854775808", "--records 1e3"] {
        desk.fails(2, &format!("spaces quota s {wrong}"));
    }
    assert!(desk.fails(1, "spaces quota nope --records 1").contains("no space named nope"));
}

#[test]
fn retention_and_compaction_are_for_a_space_or_for_all() {
    let desk = Desk::new();
    desk.ok("spaces create other");
    desk.import("d.csv", "id\na\nb\nc\n", "");
    desk.import("d.csv", "id\na\n", "--mirror");
    assert_eq!(desk.json("retention set --space s --retention forever")["spaces"][0]["retention"], "forever");
    let shown = desk.json("retention show --all");
    assert_eq!(
        (&shown["spaces"][0]["retention"], &shown["spaces"][1]["retention"]),
        (&"30d".into(), &"forever".into())
    );
    assert_eq!(desk.json("compact --all")["spaces"][1]["purged"], 0);
    let preview = desk.json("compact --space s --older-than 0s --dry-run");
    assert_eq!((&preview["spaces"][0]["purged"], &preview["spaces"][0]["horizon"]), (&2.into(), &5.into()));
    assert_eq!(desk.json("spaces show s")["tombstones"], 2);
    assert_eq!(desk.json("compact --space s --older-than 0s")["spaces"], preview["spaces"]);
    let after = desk.json("spaces show s");
    assert_eq!((&after["tombstones"], &after["horizon"], &after["head"]), (&0.into(), &5.into(), &5.into()));

    for wrong in ["compact", "compact --space s --all", "retention show", "retention set --all", "epoch new"] {
        desk.fails(2, wrong);
    }
    for wrong in ["compact --space nope", "retention set --space nope --retention 1d", "epoch new --space nope"] {
        assert!(desk.fails(1, wrong).contains("no space named nope"), "{wrong}");
    }
}

#[test]
fn a_new_epoch_begins_at_the_head_and_leaves_good_cursors_good() {
    let desk = Desk::new();
    desk.import("d.csv", "id\na\n", "");
    let before = desk.json("spaces show s");
    let opened = &desk.json("epoch new --space s")["spaces"][0];
    assert_eq!((&opened["previous_epoch"], &opened["head"]), (&before["epoch"], &1.into()));
    assert_ne!(opened["epoch"], before["epoch"]);
    let shown = &desk.json("epoch show --all")["spaces"][0];
    assert_eq!(shown["epoch"], opened["epoch"]);
    assert_eq!(shown["epochs"].as_array().unwrap().len(), 2);
    assert_eq!(shown["epochs"][1]["opened_at"], 1);
    desk.ok(&format!("export --space s --since {}", before["cursor"].as_str().unwrap()));
    let ahead = format!("export --space s --since {}.2", before["epoch"].as_str().unwrap());
    assert!(desk.fails(1, &ahead).contains("put back to an earlier state"));
}

#[test]
fn a_backup_taken_while_another_process_writes_is_whole_and_of_another_epoch() {
    let desk = Desk::new();
    desk.ok("spaces create s");
    let rows: Vec<String> = (0..30_000).map(|i| format!("{i},some text to make it larger\n")).collect();
    desk.write("d.csv", format!("id,text\n{}", rows.concat()));
    let mut writer = desk.command("import --space s --collection c d.csv").spawn().unwrap();
    let mut backups = 0;
    while writer.try_wait().unwrap().is_none() {
        desk.ok(&format!("backup copy-{backups}.db"));
        backups += 1;
    }
    assert!(writer.wait().unwrap().success());
    let epoch = desk.json("spaces show s")["epoch"].clone();
    let mut in_mid_write = 0;
    for i in 0..backups {
        let shown = desk.json(&format!("spaces show s --database sqlite:copy-{i}.db"));
        assert_eq!(shown["head"], shown["records"], "each record was written once");
        assert_eq!(shown["head"].as_u64().unwrap() % 1_000, 0, "a push is there as a whole or not at all");
        assert_ne!(shown["epoch"], epoch);
        in_mid_write += u64::from((1..30_000).contains(&shown["head"].as_u64().unwrap()));
        // The export compares what it read with the checksum of the space.
        let export = desk.ok(&format!("export --space s --database sqlite:copy-{i}.db"));
        assert_eq!(export.lines().count() as u64, shown["records"].as_u64().unwrap());
    }
    assert!(in_mid_write > 0, "no backup was taken while the import ran");
    assert!(desk.fails(1, "backup copy-0.db").contains("exists"));
}

#[test]
fn a_mistyped_database_is_an_error_and_not_an_empty_answer() {
    let desk = Desk::new();
    for command in [
        "spaces list",
        "spaces show s",
        "spaces delete s --yes",
        "export --space s",
        "compact --all",
        "retention show --all",
        "epoch new --all",
        "backup b.db",
    ] {
        let told = desk.fails(1, &format!("{command} --database sqlite:typo.db"));
        assert!(told.contains("no database at typo.db"), "{command}: {told}");
    }
    assert!(!desk.path("typo.db").exists());
    desk.write("junk.db", "this is no database, whatever its name says, and it is longer than a header of SQLite is");
    assert!(desk.fails(1, "spaces list --database sqlite:junk.db").starts_with("error: "));
    desk.fails(2, "spaces list --database mysql://x");
}

#[test]
fn what_is_typed_beats_the_environment_and_two_answers_there_are_none() {
    let desk = Desk::new();
    desk.import("d.csv", "id\na\n", "");
    let run = |arguments: &str, set: &[(&str, &str)]| {
        let output = desk.command(arguments).envs(set.iter().copied()).output().unwrap();
        output.status.code().unwrap()
    };
    let (database, url) = (("STRANDLINE_DATABASE", "sqlite:typo.db"), ("STRANDLINE_URL", "http://127.0.0.1:1"));
    assert_eq!(run("spaces list", &[]), 0);
    assert_eq!(run("spaces list", &[database]), 1);
    assert_eq!(run("spaces list --database sqlite:strandline.db", &[database, url]), 0);
    assert_eq!(run("spaces list", &[database, url]), 2);
    assert_eq!(run("spaces list", &[("STRANDLINE_DATABASE", "typo.db")]), 2);
    assert_eq!(run("backup b.db", &[url]), 0, "a backup is the database's alone");
    assert_eq!(run("spaces list --url 127.0.0.1:1", &[]), 2);
}
