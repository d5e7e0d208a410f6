//! `import`: files become changes, and what did not change takes no revision.

use std::fmt::Write;

use super::{Desk, counts, gzip};

#[test]
fn a_file_is_imported_once_and_again_without_a_revision() {
    let desk = Desk::new();
    let lines = "{\"id\":\"a\",\"n\":1.50,\"big\":12345678901234567890123}\n\n{\"id\":7,\"é\":\"x\"}";
    let summary = desk.import("d.ndjson", lines, "");
    assert_eq!(counts(&summary), [2, 0, 0, 0, 0]);
    assert_eq!((&summary["read"], &summary["head"]), (&2.into(), &2.into()));
    // Spelled otherwise, but equal as JSON: the text that was first stays.
    let again = desk.import("d.jsonl", "{\"big\":12345678901234567890123,\"n\":1.5,\"id\":\"a\"}", "");
    assert_eq!(counts(&again), [0, 1, 0, 0, 0]);
    assert_eq!(desk.head(), 2);
    assert_eq!(desk.data(), ["{\"id\":\"a\",\"n\":1.50,\"big\":12345678901234567890123}", "{\"id\":7,\"é\":\"x\"}"]);
}

#[test]
fn csv_gzip_stdin_and_a_byte_order_mark_are_understood() {
    let desk = Desk::new();
    let csv = "\u{feff}key,name\r\n1,\"Ada, Countess\"\r\n2,\r\n";
    let want = ["{\"key\":\"1\",\"name\":\"Ada, Countess\"}", "{\"key\":\"2\",\"name\":\"\"}"];
    assert_eq!(counts(&desk.import("d.csv", csv, "--id-field key")), [2, 0, 0, 0, 0]);
    assert_eq!(desk.data(), want);
    // By the name, by the content, and in two members as `cat a.gz b.gz` makes them.
    assert_eq!(counts(&desk.import("d.csv.gz", gzip(csv.as_bytes()), "--id-field key")), [0, 2, 0, 0, 0]);
    assert_eq!(counts(&desk.import("dump", gzip(csv.as_bytes()), "--id-field key --format csv")), [0, 2, 0, 0, 0]);
    let two = [gzip(b"{\"id\":\"a\"}\n"), gzip(b"{\"id\":\"b\"}\n")].concat();
    let done = desk.feed("import --space s --collection other - --format ndjson", &two);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.contains("applied              2\n"), "{}", done.out);
    assert!(desk.fails(2, "import --space s --collection c dump").contains("--format"));
    assert!(desk.fails(2, "import --space s --collection c -").contains("--format"));
}

#[test]
fn a_file_with_a_fault_changes_nothing() {
    let desk = Desk::new();
    desk.import("d.ndjson", "{\"id\":\"a\"}", "");
    let cut = &gzip(b"{\"id\":\"x\"}\n{\"id\":\"y\"}\n")[..20];
    for (name, content, why) in [
        ("e.ndjson", &b"{\"id\":\"x\"}\n{\"id\":\"y\",\n"[..], "line 2: is not JSON"),
        ("e.ndjson", b"{\"id\":\"x\"}\n{\"ID\":\"y\"}\n", "line 2: has no member \"id\""),
        ("e.ndjson", b"{\"id\":\"x\"}\n{\"id\":true}\n", "line 2: the member \"id\" must be"),
        ("e.ndjson", b"{\"id\":\"x\"}\n\xff\xfe\n", "line 2: is not UTF-8"),
        (
            "e.ndjson",
            b"{\"id\":\"x\"}\n{\"id\":\"y\"}\n{\"id\":\"x\",\"n\":2}\n",
            "line 3: the id \"x\" stands on line 1",
        ),
        ("e.csv", b"id,n\nx,1\ny\n", "line 3: has 1 cells, the header has 2"),
        ("e.csv", b"id,n\nx,1\n\nx,2\n", "line 4: the id \"x\" stands on line 2"),
        ("e.csv", b"key,n\nx,1\n", "no column \"id\""),
        ("e.ndjson.gz", cut, "cannot be read"),
    ] {
        desk.write(name, content);
        for mirror in ["", "--mirror"] {
            let told = desk.fails(1, &format!("import --space s --collection c {name} {mirror}"));
            assert!(told.contains(why), "{why}: {told}");
        }
    }
    assert_eq!(desk.head(), 1);
    assert!(desk.fails(1, "import --space s --collection c nowhere.csv").contains("nowhere.csv"));
}

#[test]
fn of_many_duplicates_twenty_are_shown_and_all_are_counted() {
    let desk = Desk::new();
    desk.write("d.csv", format!("id\n{}", "same\n".repeat(31)));
    let told = desk.fails(1, "import --space s --collection c d.csv");
    assert_eq!(told.lines().count(), 21, "{told}");
    assert!(told.contains("30 lines cannot be imported (the first 20 are shown)"), "{told}");
}

#[test]
fn a_record_beyond_a_limit_is_rejected_alone() {
    let desk = Desk::new();
    let deep = format!("{{\"id\":\"deep\",\"x\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    let large = format!("{{\"id\":\"large\",\"x\":\"{}\"}}", "x".repeat(1 << 20));
    desk.write("d.ndjson", format!("{{\"id\":\"a\"}}\n{deep}\n{large}\n{{\"id\":\"b\"}}\n"));
    let done = desk.run("import --space s --collection c d.ndjson --json");
    assert_eq!(done.code, 1);
    let summary: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(counts(&summary), [2, 0, 0, 0, 2]);
    assert_eq!(summary["rejected_records"][0]["line"], 2);
    assert!(done.err.contains("line 3: \"large\" was rejected"), "{}", done.err);
}

#[test]
fn a_mirror_makes_the_collection_equal_to_the_file() {
    let desk = Desk::new();
    desk.import("d.ndjson", "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}", "");
    desk.write("other.ndjson", "{\"id\":\"elsewhere\"}");
    desk.ok("import --space s --collection other other.ndjson");
    let summary = desk.import("e.ndjson", "{\"id\":\"a\"}\n{\"id\":\"b\",\"n\":1}\n{\"id\":\"d\"}", "--mirror");
    assert_eq!(counts(&summary), [2, 1, 1, 0, 0]);
    assert_eq!(desk.data(), ["{\"id\":\"a\"}", "{\"id\":\"b\",\"n\":1}", "{\"id\":\"d\"}"]);
    assert_eq!(desk.head(), 7);
    assert_eq!(counts(&desk.import("e.ndjson", desk.read("e.ndjson"), "--mirror")), [0, 3, 0, 0, 0]);
    assert_eq!(desk.head(), 7);
    assert_eq!(desk.ok("export --space s --collection other --data-only"), "{\"id\":\"elsewhere\"}\n");
}

#[test]
fn an_empty_file_empties_a_collection_only_when_told_to() {
    let desk = Desk::new();
    desk.import("d.csv", "id\na\nb\n", "");
    desk.write("e.csv", "id\n");
    assert!(desk.fails(1, "import --space s --collection c e.csv --mirror").contains("--allow-empty"));
    assert_eq!(desk.data().len(), 2);
    assert_eq!(counts(&desk.import("e.csv", "id\n", "--mirror --allow-empty")), [0, 0, 2, 0, 0]);
    assert!(desk.data().is_empty());
    desk.fails(2, "import --space s --collection c e.csv --allow-empty");
}

#[test]
fn more_than_a_batch_is_mirrored_away_and_back() {
    let desk = Desk::new();
    let mut lines = String::new();
    for i in 0..6_500 {
        writeln!(lines, "{{\"id\":{i},\"n\":\"{i}\"}}").unwrap();
    }
    assert_eq!(counts(&desk.import("d.ndjson", &lines, "")), [6_500, 0, 0, 0, 0]);
    assert_eq!(counts(&desk.import("e.ndjson", "{\"id\":\"x\"}", "--mirror")), [1, 0, 6_500, 0, 0]);
    assert_eq!(counts(&desk.import("d.ndjson", &lines, "--mirror")), [6_500, 0, 1, 0, 0]);
    assert_eq!(desk.head(), 6_500 * 3 + 2);
    assert_eq!(desk.data().len(), 6_500);
}
