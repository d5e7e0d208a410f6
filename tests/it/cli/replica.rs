//! A replica in a file, from outside: cloned, edited with and without the server, synced; conflicts; what is said of mistakes.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Desk;
use super::remote::{Script, ok, problem};

/// The data of records by collection and id, as it was written.
pub type Records = BTreeMap<(String, String), String>;

#[derive(serde::Deserialize)]
struct Line<'a> {
    collection: String,
    id: String,
    #[serde(borrow)]
    data: &'a RawValue,
}

fn records(lines: &str) -> Records {
    let record = |line| {
        let Line { collection, id, data } = serde_json::from_str(line).unwrap();
        ((collection, id), data.get().to_owned())
    };
    lines.lines().map(record).collect()
}

impl Desk {
    /// Clones the space `s` into a file.
    pub fn clone_space(&self, file: &str) -> Value {
        self.json(&format!("clone {}/v1/spaces/s {file}", self.url()))
    }

    /// What the server has.
    pub fn held_by_server(&self) -> Records {
        records(&self.ok("export --space s"))
    }

    /// What a replica shows.
    pub fn held_by(&self, file: &str) -> Records {
        let collections = self.json(&format!("list {file}"))["collections"].clone();
        let lists = collections.as_array().unwrap().iter();
        let lists = lists.map(|name| self.ok(&format!("list {file} {} --json", name.as_str().unwrap())));
        records(&lists.collect::<String>())
    }

    pub fn assert_equal_to_server(&self, file: &str) {
        assert_eq!(self.held_by(file), self.held_by_server());
        let (status, space) = (self.json(&format!("status {file}")), self.json("spaces show s"));
        assert_eq!((&status["records"], &status["checksum"]), (&space["records"], &space["checksum"]));
        assert_eq!(status["whole"], true);
    }
}

/// A server that has three records in two collections.
fn with_three() -> Desk {
    let desk = Desk::served();
    desk.import("three.ndjson", "{\"id\":\"a\",\"n\":1.10}\n{\"id\":\"b\",\"n\":2}\n", "");
    desk.write("other.ndjson", "{\"id\":\"a\",\"n\":3}\n");
    desk.ok("import --space s --collection other other.ndjson");
    desk
}

#[test]
fn a_clone_is_what_the_server_exports() {
    let desk = with_three();
    let cloned = desk.clone_space("copy");
    let space = desk.json("spaces show s");
    for (name, value) in [
        ("file", json!("copy")),
        ("url", json!(desk.url())),
        ("space", json!("s")),
        ("collections", json!(null)),
        ("resumed", json!(false)),
        ("records", json!(3)),
        ("pulled", json!(3)),
        ("repairs", json!([])),
        ("cursor", space["cursor"].clone()),
        ("checksum", space["checksum"].clone()),
    ] {
        assert_eq!(cloned[name], value, "{name}");
    }
    desk.assert_equal_to_server("copy");
    assert_eq!(desk.ok("list copy"), "c\nother\n");
    assert_eq!(desk.ok("list copy c"), "a  {\"id\":\"a\",\"n\":1.10}\nb  {\"id\":\"b\",\"n\":2}\n");
    assert_eq!(desk.ok("get copy c a"), "{\"id\":\"a\",\"n\":1.10}\n");
    assert_eq!(
        desk.ok("get copy c a --json"),
        "{\"collection\":\"c\",\"id\":\"a\",\"data\":{\"id\":\"a\",\"n\":1.10}}\n"
    );

    // The other ways to say it, and some collections alone.
    let url = desk.url();
    let told = desk.ok(&format!("clone {url}/s copy2"));
    assert!(told.starts_with(&format!("cloned s at {url} into copy2: 3 records, checksum ")), "{told}");
    let scoped = desk.json(&format!("clone {url} copy3 --space s --collections other,later"));
    assert_eq!((&scoped["records"], &scoped["collections"]), (&1.into(), &json!(["later", "other"])));
    assert_eq!(desk.held_by("copy3").len(), 1);
    assert!(desk.fails(1, "put copy3 c x {}").contains("of the collections later,other alone, and c is none of them"));
    desk.ok("put copy3 later x {}");
    assert_eq!(desk.json("sync copy3")["pushed"], 1);
    assert_eq!(desk.json("verify copy3")["right"], true);
}

#[test]
fn what_is_edited_without_the_server_is_there_after_a_sync() {
    let mut desk = with_three();
    desk.clone_space("copy");
    desk.stop_server();
    assert_eq!(
        desk.ok("put copy c new {\"n\":9007199254740993}"),
        "written c/new; 1 edit waits for `strandline sync copy`\n"
    );
    let fed = desk.feed("put copy c b --json", b"{\"n\": 1e2}");
    assert_eq!((fed.code, fed.out.as_str()), (0, "{\"collection\":\"c\",\"id\":\"b\",\"waiting\":2}\n"));
    assert_eq!(desk.feed("put copy c b -", b"{\"n\": 1e3}").code, 0);
    desk.ok("delete copy other a");
    assert_eq!(desk.ok("get copy c b"), "{\"n\":1e3}\n");
    assert!(desk.fails(1, "get copy other a").contains("there is no record other/a"));
    assert!(desk.fails(1, "delete copy other a").contains("there is no record other/a to delete"));
    let status = desk.json("status copy");
    assert_eq!((&status["edits"], &status["sending"], &status["records"]), (&3.into(), &0.into(), &3.into()));
    let shown = desk.ok("status copy");
    assert!(shown.contains("space        s\n") && shown.contains("edits        3\n"), "{shown}");

    let away = desk.fails(1, "sync copy --tries 1");
    assert!(away.contains(&format!("the server at {} is not available", desk.url())), "{away}");
    assert!(desk.ok("status copy").contains("edits        3, 3 of them pushed without an answer yet\n"));
    let kept = desk.held_by("copy");

    desk.start_server();
    let synced = desk.json("sync copy");
    assert_eq!((&synced["pushed"], &synced["conflicts"], &synced["records"]), (&3.into(), &0.into(), &3.into()));
    desk.assert_equal_to_server("copy");
    assert_eq!(desk.held_by("copy"), kept);
    assert!(desk.ok("sync copy").starts_with("nothing was new; 3 records, checksum "));

    // What others did comes the other way.
    desk.import("more.ndjson", "{\"id\":\"z\"}\n{\"id\":\"b\",\"n\":4}\n", "--mirror");
    assert!(desk.ok("sync copy").starts_with("pulled 4; 2 records, "));
    desk.assert_equal_to_server("copy");
}

/// A conflict about the record c/a, which `mine` wrote or deleted; its number.
fn quarrel(desk: &Desk, mine: &str, theirs: &str) -> u64 {
    desk.import("a.ndjson", "{\"id\":\"a\",\"n\":0}\n", "");
    desk.ok("sync copy");
    desk.ok(mine);
    desk.import("a.ndjson", theirs, "");
    let told = desk.ok("sync copy");
    assert!(told.contains("conflicts: 1"), "{told}");
    assert!(told.contains("1 edit was not taken: `strandline conflicts copy` shows what and why"), "{told}");
    desk.assert_equal_to_server("copy");
    desk.json("conflicts copy")["conflicts"][0]["number"].as_u64().unwrap()
}

#[test]
fn a_conflict_is_shown_and_restored_or_discarded() {
    let desk = with_three();
    desk.clone_space("copy");
    assert_eq!(desk.ok("conflicts copy"), "no conflicts\n");
    assert_eq!(desk.json("conflicts copy"), json!({"conflicts": []}));

    let number = quarrel(&desk, "put copy c a {\"mine\":1.0}", "{\"id\":\"a\",\"n\":5}\n");
    let shown = desk.json("conflicts copy");
    let conflict = &shown["conflicts"][0];
    assert_eq!((&conflict["collection"], &conflict["id"]), (&"c".into(), &"a".into()));
    assert_eq!((&conflict["reason"], &conflict["problem"]), (&"conflict".into(), &Value::Null));
    assert_eq!(conflict["mine"], json!({"data": {"mine": 1.0}}));
    assert_eq!(conflict["theirs"]["data"], json!({"id": "a", "n": 5}));
    assert!(conflict["theirs"]["rev"].is_u64() && conflict["found_at"].is_string());
    let shown = desk.ok("conflicts copy");
    assert!(shown.starts_with(&format!("{number}  c/a  ")), "{shown}");
    assert!(shown.ends_with("\n  mine      {\"mine\":1.0}\n  server's  {\"id\":\"a\",\"n\":5}\n"), "{shown}");

    // Restored, it is an edit again, and wins: it knows now what it replaces.
    assert_eq!(
        desk.json(&format!("conflicts copy --restore {number}")),
        json!({"restored": [number], "discarded": [], "left": 0})
    );
    assert_eq!(desk.json("sync copy")["pushed"], 1);
    assert_eq!(desk.held_by_server()[&("c".into(), "a".into())], "{\"mine\":1.0}");

    // Discarded, it is gone.
    let number = quarrel(&desk, "delete copy c a", "{\"id\":\"a\",\"n\":6}\n");
    assert_eq!(desk.json("conflicts copy")["conflicts"][0]["mine"], json!({"deleted": true}));
    assert!(desk.ok("conflicts copy").contains("  mine      (deleted)\n"));
    let unknown = desk.fails(1, &format!("conflicts copy --discard {number},77"));
    assert!(unknown.contains("there is no conflict number 77"), "{unknown}");
    assert_eq!(desk.ok(&format!("conflicts copy --discard {number}")), "discarded 1 conflict\n");
    assert_eq!(desk.ok("conflicts copy"), "no conflicts\n");

    quarrel(&desk, "put copy c a {\"mine\":2}", "{\"id\":\"a\",\"n\":7}\n");
    assert_eq!(desk.ok("conflicts copy --discard-all"), "discarded 1 conflict\n");
    assert_eq!(desk.json("sync copy")["pushed"], 0);
    desk.assert_equal_to_server("copy");
}

#[test]
fn what_the_server_cannot_take_is_listed_with_its_reason() {
    let desk = with_three();
    desk.clone_space("copy");
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(3 << 20));
    assert_eq!(desk.feed("put copy c large", large.as_bytes()).code, 0);
    desk.ok("put copy c small {}");
    let synced = desk.json("sync copy");
    assert_eq!((&synced["pushed"], &synced["rejected"]), (&1.into(), &1.into()));
    let conflict = &desk.json("conflicts copy")["conflicts"][0];
    assert_eq!(
        (&conflict["reason"], &conflict["id"], &conflict["theirs"]),
        (&"rejected".into(), &"large".into(), &Value::Null)
    );
    assert!(conflict["problem"]["code"].is_string(), "{}", conflict["problem"]);
    assert!(desk.ok("conflicts copy").contains("\n  server's  (nothing)\n  rejected  "));
    desk.assert_equal_to_server("copy");
}

#[test]
fn a_mistake_is_told_and_leaves_no_file() {
    let desk = with_three();
    let url = desk.url().to_owned();
    let told = desk.fails(1, &format!("clone {url}/nope copy"));
    assert!(
        told.contains(&format!("there is no space named nope at {url}: `strandline spaces list --url {url}`")),
        "{told}"
    );
    for (code, command, sentence) in [
        (2, "clone", "<URL>"),
        (2, "clone http://127.0.0.1:1/v1/spaces/s", "<FILE>"),
        (2, "clone 127.0.0.1:7878/s copy", "is no URL: write it as http://127.0.0.1:7878/v1/spaces/NAME"),
        (2, "clone http://127.0.0.1:7878 copy", "names no space: add /v1/spaces/NAME, or say --space NAME"),
        (2, "clone http://u:s3cret@127.0.0.1:1/s copy", "no user or password"),
        (2, "clone http://127.0.0.1:1/s copy --collections A", "must be 1 to 63 of"),
        (1, "clone http://127.0.0.1:1/s copy --tries 1", "is not available"),
        (2, "sync copy --tries 0", "0 is not in 1.."),
        (1, "sync copy", "there is no file copy: `strandline clone URL copy` makes a replica"),
        (1, "sync copy --watch", "there is no file copy"),
        (1, "status copy", "there is no file copy"),
        (1, "sync three.ndjson", "three.ndjson is no replica"),
        (1, "status strandline.db", "strandline.db is no replica"),
    ] {
        let told = desk.fails(code, command);
        assert!(told.contains(sentence) && !told.contains("s3cret"), "{command}: {told}");
        assert!(!desk.path("copy").exists() && !desk.path("copy-wal").exists(), "{command}");
    }
    let before = desk.read("three.ndjson");
    assert!(desk.fails(1, &format!("clone {url}/s three.ndjson")).contains("is there already, and is not overwritten"));
    assert!(desk.fails(1, &format!("clone {url}/s strandline.db")).contains("is not overwritten: choose another file"));
    assert_eq!(desk.read("three.ndjson"), before);

    desk.clone_space("copy");
    let other = desk.fails(1, &format!("clone {url}/s copy --collections c"));
    assert!(other.contains(&format!("copy is a replica of s at {url} already: choose another file")), "{other}");
    for (code, command, sentence) in [
        (2, "put copy", "<COLLECTION>"),
        (2, "put copy C a {}", "must be 1 to 63 of"),
        (1, "put copy c a [1]", "the data is not what a record can hold"),
        (1, "put copy c a", "the data is not what a record can hold"),
        (1, "get copy c nope", "there is no record c/nope"),
        (2, "get copy c", "<ID>"),
        (2, "conflicts copy --restore 1 --discard-all", "cannot be used with"),
        (1, "conflicts copy --restore 1", "there is no conflict number 1"),
    ] {
        let told = desk.fails(code, command);
        assert!(told.contains(sentence), "{command}: {told}");
    }
    let help = desk.ok("verify --help");
    assert!(
        help.contains("Exit codes: 0 the replica was right;") && help.contains("[env: STRANDLINE_TOKEN]"),
        "{help}"
    );
}

#[test]
fn a_token_is_sent_and_neither_kept_nor_shown() {
    let page = json!({
        "changes": [], "cursor": "e1.0", "has_more": false, "head": 0, "horizon": 0, "valid_until": null,
        "count": 0, "checksum": "0000000000000000"
    });
    let script = Script::new(vec![
        problem(401, "unauthorized", "this space asks for a token"),
        problem(403, "forbidden", "not this space"),
        ok(page),
    ]);
    let desk = Desk::new();
    let clone = format!("clone {}/s copy", script.url);
    let told = desk.fails(1, &clone);
    assert!(told.contains("this space asks for a token") && told.contains("STRANDLINE_TOKEN"), "{told}");
    assert!(!script.asked().head.contains("authorization"));
    let denied = desk.command(&clone).env("STRANDLINE_TOKEN", "s3cret").output().unwrap();
    assert_eq!(denied.status.code(), Some(1));
    assert!(!String::from_utf8(denied.stderr).unwrap().contains("s3cret"));
    assert!(script.asked().head.contains("authorization: bearer s3cret"));
    assert!(!desk.path("copy").exists());
    desk.ok(&format!("{clone} --token s3cret"));
    let asked = script.asked();
    assert!(asked.line.starts_with("GET /v1/spaces/s/changes?") && asked.head.contains("authorization: bearer s3cret"));
    assert!(!String::from_utf8_lossy(&std::fs::read(desk.path("copy")).unwrap()).contains("s3cret"));
    assert!(!desk.ok("status copy --json").contains("s3cret"));
    script.over();
}
