//! The same commands on the database itself and through a server, which must say the same.

use serde_json::Value;

use super::{Desk, gzip};

/// What differs from run to run is put out of sight: times, the random epochs, and the pulls that a server counts, such as
/// those of an export.
fn settled(mut value: Value) -> Value {
    match &mut value {
        Value::Object(members) => {
            for name in [
                "seconds",
                "created_at",
                "modified_at",
                "epoch",
                "oldest_tombstone",
                "at",
                "database_bytes",
                "anonymous",
            ] {
                members.remove(name);
            }
            if let Some(Value::String(cursor)) = members.get_mut("cursor") {
                *cursor = cursor.split_once('.').unwrap().1.to_owned();
            }
            for member in members.values_mut() {
                *member = settled(member.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = settled(item.take());
            }
        }
        _ => {}
    }
    value
}

/// A day at the desk: the exit code, what was printed, and stderr, of each command.
fn day(desk: &Desk) -> Vec<(String, i32, Value, String)> {
    let deep = format!("{{\"id\":\"deep\",\"x\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    let large = format!("{{\"id\":\"large\",\"x\":\"{}\"}}", "x".repeat(3 << 20));
    let many: Vec<String> = (0..2_500).map(|i| format!("{{\"id\":{i},\"n\":{i}.50,\"é/\\u0000\":[null]}}\n")).collect();
    desk.write("many.ndjson.gz", gzip(many.concat().as_bytes()));
    desk.write("limits.ndjson", format!("{{\"id\":\"a/b?c&d=é%\"}}\n{deep}\n{large}\n{{\"id\":\"..\"}}\n"));
    desk.write("few.csv", "id,n\n1,x\n2,\n");
    let mut epoch = String::new();
    let commands = "spaces list
        spaces create s --retention 7d
        spaces create s
        import --space s --collection c many.ndjson.gz
        import --space s --collection c many.ndjson.gz --mirror
        import --space s --collection c limits.ndjson
        import --space s --collection other few.csv
        spaces show s
        export --space s --collection other
        export --space s --collection c,other --output all.csv
        import --space s --collection c few.csv --mirror
        export --space s --since 2500 --output since.ndjson
        export --space s --since now
        export --space s --since 99999999
        retention show --all
        retention plan s --windows 0s,1d,forever
        retention plan nope
        retention set --space s --retention forever
        retention show s
        retention set s --max-tombstones 1000000
        clients list s
        clients forget s nobody
        stats --all
        stats nope
        compact s --watch --until-done
        compact --space s
        compact --space s --older-than 0s --dry-run
        compact --space s --older-than 0s
        export --space s --since 3
        export --space s --collection c --data-only
        spaces show s
        spaces show nope
        compact --space nope
        export --space nope
        import --space new --collection c few.csv --mirror
        spaces list
        spaces delete s --yes
        spaces delete s --yes
        spaces list";
    let mut told = Vec::new();
    for command in commands.lines().map(str::trim) {
        let done = desk.run(&format!("{command} --json"));
        if let Ok(space) = serde_json::from_str::<Value>(&done.out)
            && let Some(token) = space["epoch"].as_str()
        {
            token.clone_into(&mut epoch);
        }
        let lines: Result<Vec<Value>, _> = done.out.lines().map(serde_json::from_str).collect();
        let lines = lines.unwrap_or_else(|fault| panic!("{command}: {fault}: {done:?}"));
        let lines = lines.into_iter().map(settled).collect();
        told.push((command.to_owned(), done.code, lines, done.err.replace(&epoch, "EPOCH")));
    }
    told
}

#[test]
fn a_server_makes_no_difference() {
    let (direct, served) = (Desk::new(), Desk::served());
    // A database is there only once something was written; a server has made it.
    direct.ok("spaces create gone");
    direct.ok("spaces delete gone --yes");
    let (direct_day, served_day) = (day(&direct), day(&served));
    for (direct, served) in direct_day.iter().zip(&served_day) {
        assert_eq!(direct, served);
    }
    assert_eq!(direct.read("all.csv").lines().count(), served.read("all.csv").lines().count());
    assert_eq!(direct.read("since.ndjson").lines().count(), served.read("since.ndjson").lines().count());
    let failed: Vec<_> = direct_day.iter().filter(|told| told.1 != 0).map(|told| told.0.as_str()).collect();
    assert_eq!(failed.len(), 11, "{failed:?}");
}

#[test]
fn a_server_on_the_same_database_sees_what_a_command_writes_and_a_backup_is_taken_beside_it() {
    let desk = Desk::served();
    let direct = "--database sqlite:strandline.db";
    desk.import("d.csv", "id\na\nb\n", "");
    desk.import("e.csv", "id\nb\nc\n", &format!("--mirror {direct}"));
    assert_eq!(desk.head(), 4);
    assert_eq!(desk.data(), ["{\"id\":\"b\"}", "{\"id\":\"c\"}"]);
    // The server's writer knows by then that its memory of the space is stale.
    desk.import("f.csv", "id\nd\n", "");
    assert_eq!(desk.head(), 5);
    let opened = desk.json("epoch new --all");
    assert_eq!(desk.json("spaces show s")["epoch"], opened["spaces"][0]["epoch"]);
    desk.ok("backup copy.db");
    assert_eq!(desk.json("spaces show s --database sqlite:copy.db")["head"], 5);
}

#[test]
fn the_description_of_the_api_is_printed_as_the_server_gives_it() {
    let desk = Desk::new();
    let document: Value = serde_json::from_str(&desk.ok("openapi")).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/v1/spaces/{space}/push"]["post"].is_object());
}
