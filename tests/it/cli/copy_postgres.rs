//! `copy` from a file to PostgreSQL, and back.

use serde_json::Value;

use super::copy::told;
use super::history::{dump, trees};
use super::{Desk, gzip};
use crate::support::postgres::{Cluster, Database, Settings};

const FILE: &str = "sqlite:strandline.db";
const BACK: &str = "sqlite:back.db";

#[test]
fn a_real_history_goes_to_postgres_and_back_byte_for_byte() {
    const PASSWORD: &str = "s3cr3t:@/?";
    let Some(cluster) = Cluster::start(&Settings::default().password(PASSWORD)) else { return };
    let database = Database::on(&cluster);
    let url = database.url();
    let desk = Desk::new();
    for tree in trees(&[0, 400, 1200, 2000, 2798]) {
        desk.import("dump.ndjson", dump(&tree), "--id-field path --mirror");
    }
    // Characters that databases are known to differ about.
    let odd = "{\"id\":\"É/\u{1f30a} a\",\"\\u0000\":\"\\ud800\",\"n\":1.10e400,\"z\":1,\"a\":[-0,\"\u{ffff}\"]}\n{\"id\":\"e\"}\n";
    desk.write("odd.ndjson", odd);
    desk.ok("import --space odd --collection c odd.ndjson");
    desk.write("one.ndjson", odd.lines().next().unwrap());
    desk.ok("import --space odd --collection c one.ndjson --mirror");
    desk.ok("epoch new --space odd");
    desk.import("dump.ndjson", dump(&trees(&[2600])[0]), "--id-field path --mirror");
    desk.ok("compact --space odd --older-than 0s");

    for (from, to) in [(FILE, url), (url, BACK)] {
        for already in [false, true] {
            let done = desk.run(&format!("copy --from {from} --to {to} --json"));
            assert_eq!((done.code, done.err.as_str()), (0, ""), "{}", done.out);
            assert!(!done.out.contains("s3cr3t"), "{}", done.out);
            let summary: Value = serde_json::from_str(&done.out).unwrap();
            for (space, name) in summary["spaces"].as_array().unwrap().iter().zip(["odd", "s"]) {
                assert_eq!((&space["space"], &space["already"]), (&name.into(), &already.into()));
                assert_eq!(space["collections"][0]["verified"], true);
            }
        }
    }
    for space in ["odd", "s"] {
        let there = told(&desk, space, FILE);
        assert_eq!(there, told(&desk, space, url));
        assert_eq!(there, told(&desk, space, BACK));
    }
    assert!(told(&desk, "s", url)[3].contains("\"deleted\":true"));
    assert!(desk.ok(&format!("export --space odd --database {url}")).contains("1.10e400"));
}

#[test]
fn a_copy_to_postgres_that_is_killed_goes_on() {
    let Some(database) = Database::empty() else { return };
    let (desk, admin) = (Desk::new(), database.admin());
    let rows: Vec<String> = (0..20_000).map(|n| format!("{{\"id\":{n},\"text\":\"some text\"}}\n")).collect();
    desk.import("d.ndjson.gz", gzip(rows.concat().as_bytes()), "");
    let command = format!("copy --from {FILE} --to {}", database.url());
    let mut copying = desk.command(&command).spawn().unwrap();
    let under_way = "SELECT count(*) FROM pg_class WHERE relname = 'records'";
    while admin.ask::<i64>(under_way) == 0 || admin.ask::<i64>("SELECT count(*) FROM records") == 0 {}
    copying.kill().unwrap();
    copying.wait().unwrap();
    let state = admin.ask::<String>("SELECT coalesce(name, 'none') || ' ' || coalesce(copying, 'none') FROM spaces");
    assert_eq!(state, "none s", "it was killed on the way");
    assert_eq!(desk.json(&format!("spaces list --database {}", database.url()))["spaces"], serde_json::json!([]));
    let summary = desk.json(&command);
    let copied = summary["spaces"][0]["rows"].as_u64().unwrap();
    assert!(copied > 0 && copied < 20_000, "{copied}");
    assert_eq!(told(&desk, "s", FILE), told(&desk, "s", database.url()));
}
