//! `export`: what is live, what changed since, and the cursor for the next run.

use std::process::Stdio;

use serde_json::Value;

use super::Desk;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The cursor in what a command told.
fn cursor(told: &str) -> String {
    let line = told.lines().find_map(|line| line.strip_prefix("cursor: "));
    line.unwrap_or_else(|| panic!("no cursor: {told}")).to_owned()
}

#[test]
fn an_export_holds_what_is_live_and_its_cursor_leads_to_what_changed_since() {
    let desk = Desk::new();
    desk.import("d.ndjson", "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}", "");
    desk.import("d.ndjson", "{\"id\":\"a\"}\n{\"id\":\"b\",\"n\":1.0}", "--mirror");
    let first = desk.run("export --space s");
    let told: Vec<(Value, Value)> = lines(&first.out).iter().map(|l| (l["id"].clone(), l["rev"].clone())).collect();
    assert_eq!(told, [("a".into(), 1.into()), ("b".into(), 4.into())]);
    assert!(first.out.contains("\"deleted\":false,\"data\":{\"id\":\"b\",\"n\":1.0}}\n"), "{}", first.out);

    let since = cursor(&first.err);
    desk.import("d.ndjson", "{\"id\":\"a\",\"n\":2}", "--mirror");
    let second = desk.run(&format!("export --space s --since {since}"));
    let told = lines(&second.out);
    assert_eq!(told.len(), 2, "{}", second.out);
    assert_eq!(told[0]["data"]["n"], 2);
    assert_eq!((&told[1]["id"], &told[1]["deleted"], told[1].get("data")), (&"b".into(), &true.into(), None));

    let third = desk.run(&format!("export --space s --since {}", cursor(&second.err)));
    assert_eq!((third.code, third.out.as_str()), (0, ""));
    assert_eq!(cursor(&third.err), cursor(&second.err));
    assert_eq!(lines(&desk.ok("export --space s --since 0")).len(), 3);
    desk.fails(2, "export --space s --since yesterday");
}

#[test]
fn csv_goes_round() {
    let desk = Desk::new();
    let csv = "id,name,note\n1,Ada,\"two\nlines, and \"\"more\"\"\"\n2,,007\n";
    desk.import("d.csv", csv, "");
    desk.ok("export --space s --collection c --data-only --output back.csv");
    assert_eq!(desk.read("back.csv"), csv);
    desk.ok("import --space copy --collection c back.csv");
    let copied = desk.run("export --space copy --collection c --data-only --format csv");
    assert_eq!(copied.out, csv);
}

#[test]
fn csv_has_a_column_a_member_or_the_data_as_json() {
    let desk = Desk::new();
    desk.import("d.ndjson", "{\"id\":1,\"n\":1.50,\"l\":[1, \"x\"]}\n{\"id\":2,\"t\":\"a\\\"b\",\"n\":null}", "");
    let columns = desk.ok("export --space s --collection c --data-only --format csv");
    assert_eq!(columns, "id,n,l,t\n1,1.50,\"[1,\"\"x\"\"]\",\n2,,,\"a\"\"b\"\n");
    desk.import("d.ndjson", "{\"id\":1,\"n\":1.50,\"l\":[1, \"x\"]}", "--mirror");
    let whole = desk.ok("export --space s --since 0 --format csv");
    let rows: Vec<&str> = whole.lines().collect();
    assert_eq!(rows[0], "collection,id,rev,modified_at,deleted,data");
    assert!(
        rows[1].starts_with("c,1,1,2")
            && rows[1].ends_with(",false,\"{\"\"id\"\":1,\"\"n\"\":1.50,\"\"l\"\":[1,\"\"x\"\"]}\"")
    );
    assert!(rows[2].starts_with("c,2,3,2") && rows[2].ends_with("Z,true,"), "{}", rows[2]);
}

#[test]
fn changes_go_round_also_where_the_data_has_no_id() {
    let desk = Desk::new();
    desk.import("d.ndjson", "{\"id\":\"a\",\"n\":1.0}\n{\"id\":\"b\"}\n{\"id\":\"c\"}", "");
    desk.import("d.ndjson", "{\"id\":\"a\",\"n\":1.0}\n{\"id\":\"c\"}", "--mirror");
    let file = desk.ok("export --space s --collection c").replace("\"data\":{\"id\":\"c\"}", "\"data\":{}");
    desk.write("changes", &file);
    desk.ok("import --space copy --collection c changes --format changes");
    let copy = desk.ok("export --space copy --collection c --data-only");
    assert_eq!(copy, "{\"id\":\"a\",\"n\":1.0}\n{}\n");
    // A delta carries deletions over.
    desk.write("delta", desk.ok("export --space s --since 0"));
    desk.write("b.ndjson", "{\"id\":\"b\"}");
    desk.ok("import --space copy --collection c b.ndjson");
    let summary = desk.json("import --space copy --collection c delta --format changes");
    assert_eq!(super::counts(&summary), [1, 1, 1, 0, 0]);
    assert_eq!(
        desk.ok("export --space copy --collection c --data-only"),
        desk.ok("export --space s --collection c --data-only")
    );
    assert!(
        desk.fails(1, "import --space copy --collection d delta --format changes").contains("is of the collection")
    );
}

#[test]
fn a_cursor_file_makes_a_nightly_job() {
    let desk = Desk::new();
    let job = "export --space s --collection c --cursor-file state --output out.ndjson";
    desk.import("d.csv", "id\na\nb\n", "");
    let first = desk.json(job);
    assert_eq!((&first["records"], &first["deleted"]), (&2.into(), &0.into()));
    assert_eq!(desk.read("state").trim(), first["cursor"]);
    desk.import("d.csv", "id\nb\nc\n", "--mirror");
    let second = desk.json(job);
    assert_eq!((&second["records"], &second["deleted"]), (&1.into(), &1.into()));
    assert_eq!(lines(&desk.read("out.ndjson")).len(), 2);
    assert_eq!(desk.json(job)["records"], 0);
    assert_eq!(desk.read("out.ndjson"), "");

    // What the next run needs is gone: it says so, and leaves all as it was.
    desk.import("d.csv", "id\nb\n", "--mirror");
    desk.ok("compact --space s --older-than 0s");
    let before = desk.read("state");
    let told = desk.fails(1, job);
    assert!(told.contains("have been purged") && told.contains("delete state"), "{told}");
    assert_eq!(desk.read("state"), before);
    std::fs::remove_file(desk.path("state")).unwrap();
    assert_eq!(desk.json(job)["records"], 1);

    desk.write("state", "junk");
    assert!(desk.fails(1, job).contains("does not hold a cursor"));
    let left: Vec<_> = std::fs::read_dir(desk.path("")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".strandline-")), "{left:?}");
}

#[test]
fn a_cursor_is_for_its_own_choice_of_collections() {
    let desk = Desk::new();
    desk.import("d.csv", "id\na\n", "");
    let scoped = cursor(&desk.run("export --space s --collection c").err);
    let told = desk.fails(1, &format!("export --space s --since {scoped}"));
    assert!(told.contains("another choice of --collection"), "{told}");
    desk.ok(&format!("export --space s --collection c --since {scoped}"));
}

#[test]
fn options_that_contradict_each_other_are_usage() {
    let desk = Desk::new();
    desk.import("d.csv", "id\na\n", "");
    for options in [
        "--data-only",
        "--collection a,b --data-only",
        "--collection c --data-only --since 0",
        "--collection c --data-only --cursor-file x",
        "--since 0 --cursor-file x",
        "--database sqlite:strandline.db --url http://127.0.0.1:1",
        "--format xml",
    ] {
        desk.fails(2, &format!("export --space s {options}"));
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let desk = Desk::new();
    let rows: Vec<String> = (0..20_000).map(|i| format!("{i}\n")).collect();
    desk.import("d.csv", format!("id\n{}", rows.concat()), "");
    let mut child = desk.command("export --space s").stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(String::from_utf8(done.stderr).unwrap(), "");
}
