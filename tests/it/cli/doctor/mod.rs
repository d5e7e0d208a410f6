//! `doctor`, on databases of both stores that a server is running on: what is sound is left alone, and what was damaged past
//! the store is named, and mended where it can be.

mod damage;
mod file;
mod history;

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::postgres::{Cluster, Database, Settings};
use crate::support::{Form, Home, Link, Program, Replica, Trouble};

/// An SQLite file, and where PostgreSQL is installed a database on a server that is as durable as one should be.
fn homes() -> Vec<Home> {
    static DURABLE: LazyLock<Option<Cluster>> =
        LazyLock::new(|| Cluster::start(&Settings::default().set("fsync", "on")));
    let database = DURABLE.as_ref().map(|cluster| Home::Database(Database::on(cluster)));
    std::iter::once(Home::on_a_file()).chain(database).collect()
}

/// What the doctor said.
#[derive(Debug)]
struct Diagnosis {
    code: i32,
    err: String,
    summary: Value,
}

impl Diagnosis {
    /// The words of what it found.
    fn faults(&self) -> BTreeSet<&str> {
        self.findings().iter().map(|finding| finding["fault"].as_str().unwrap()).collect()
    }

    fn findings(&self) -> &[Value] {
        self.summary["findings"].as_array().unwrap()
    }

    fn finding(&self, fault: &str) -> &Value {
        let found = self.findings().iter().find(|finding| finding["fault"] == fault);
        found.unwrap_or_else(|| panic!("no {fault}: {self:?}"))
    }

    #[track_caller]
    fn assert_sound(&self) {
        assert_eq!((self.code, self.summary["sound"].as_bool()), (0, Some(true)), "{self:?}");
    }

    /// All that was found is mended.
    #[track_caller]
    fn assert_mended(&self) {
        assert_eq!(self.code, 3, "{self:?}");
        assert!(self.findings().iter().all(|finding| finding["mended"] == true), "{self:?}");
        assert!(self.err.ends_with("; all is mended now\n"), "{self:?}");
    }
}

/// Has the doctor look.
fn doctor(home: &Home, options: &str) -> Diagnosis {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strandline"));
    command.args(["doctor", "--json", "--database", &home.argument()]).args(options.split_whitespace());
    let output = command.env_remove("RUST_LOG").output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let summary = serde_json::from_str(&out).unwrap_or_else(|fault| panic!("{fault}: {out}{err}"));
    Diagnosis { code: output.status.code().unwrap(), err, summary }
}

/// A server on a database with a space `s`: two collections with live records and tombstones, some of them purged, one
/// whose newest change is purged; and a client that numbers its pushes.
async fn with_everything(home: Home) -> (Program, Link) {
    let program = Program::start(home).await;
    let mut link = program.link("s");
    link.name = Some("phone".into());
    let put = |collection: &str, n: usize| json!({"collection": collection, "id": format!("{n}"), "data": {"n": n}});
    let delete = |collection: &str, n: usize| json!({"collection": collection, "id": format!("{n}"), "deleted": true});
    for (seq, changes) in [
        (1..=20).flat_map(|n| [put("a", n), put("b", n)]).chain([put("gone", 1)]).collect::<Vec<_>>(),
        vec![delete("a", 1), delete("b", 2), delete("gone", 1)],
    ]
    .into_iter()
    .enumerate()
    {
        push(&mut link, changes, Some(seq + 1)).await;
    }
    link.post("/compact", &json!({"older_than": "0s"})).await.unwrap().expect(200);
    for n in 3..=6 {
        push(&mut link, vec![delete("a", n), delete("b", n)], None).await;
    }
    push(&mut link, (7..=9).flat_map(|n| [put("a", n), put("b", n)]).collect(), None).await;
    (program, link)
}

/// Pushes changes, whatever is there.
async fn push(link: &mut Link, mut changes: Vec<Value>, seq: Option<usize>) -> Value {
    for change in &mut changes {
        change["base_rev"] = "*".into();
        if let Some(data) = change.get_mut("data") {
            // Never what is there already.
            data["at"] = format!("{:?}", std::time::Instant::now()).into();
        }
    }
    let mut body = json!({"changes": changes});
    if let Some(seq) = seq {
        body["seq"] = seq.into();
    }
    link.post("/push", &body).await.unwrap().expect(200)
}

/// A replica that is whole.
async fn replica(program: &Program) -> Replica {
    let mut replica = Replica::new(program.link("s"), None);
    replica.pull(Form::Pages(100)).await.unwrap();
    replica
}

/// Pulls, and repairs if that is asked for; whether it was.
async fn sync(replica: &mut Replica) -> bool {
    match replica.pull(Form::Pages(100)).await {
        Ok(()) => false,
        Err(Trouble::Resync(problem)) => {
            replica.repair(&problem, Form::Pages(100)).await.unwrap();
            true
        }
        Err(Trouble::Lost(why)) => panic!("{why}"),
    }
}
