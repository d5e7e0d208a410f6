//! The server refuses, hangs, waits and fills up: each has an answer of its own, and nothing happens twice or halfway.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::node::Node;
use crate::support::postgres::{Admin, Cluster, Database, Settings, Stop};
use crate::support::{Answer, Link, Trouble};

/// A trigger on a table that does something to the first `times` transactions that come by.
struct Trap<'a> {
    admin: &'a Admin,
    table: &'static str,
}

impl<'a> Trap<'a> {
    /// `when` is of the trigger; `what` is PL/pgSQL.
    fn set(admin: &'a Admin, (table, when): (&'static str, &str), times: usize, what: &str) -> Self {
        let (kind, timing) = match when {
            // When the transaction is committed.
            "COMMIT" => {
                ("CONSTRAINT TRIGGER", format!("AFTER INSERT OR UPDATE ON {table} DEFERRABLE INITIALLY DEFERRED"))
            }
            when => ("TRIGGER", format!("{when} ON {table}")),
        };
        admin.run(&format!(
            "CREATE SEQUENCE trap_times;
             CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
                $$ BEGIN IF nextval('trap_times') <= {times} THEN {what}; END IF; RETURN NEW; END $$;
             CREATE {kind} trap {timing} FOR EACH ROW EXECUTE FUNCTION trap()"
        ));
        Self { admin, table }
    }

    /// How often it was come by.
    fn passed(&self) -> i64 {
        self.admin.ask("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM trap_times")
    }

    fn remove(self) {
        self.admin.run(&format!("DROP TRIGGER trap ON {}; DROP FUNCTION trap; DROP SEQUENCE trap_times", self.table));
    }
}

fn write(id: &str, seq: u64) -> Value {
    json!({"changes": [{"collection": "todos", "id": id, "data": {"seq": seq}}], "seq": seq})
}

async fn head(link: &mut Link) -> u64 {
    link.get("").await.unwrap().expect(200)["head"].as_u64().unwrap()
}

/// A client that numbers its pushes.
fn named(node: &Node) -> Link {
    let mut link = node.link("demo");
    link.name = Some("one".into());
    link
}

#[track_caller]
fn unavailable(answer: &Answer) {
    let problem = answer.expect(503);
    assert_eq!((&problem["code"], answer.header("retry-after")), (&json!("unavailable"), "1"));
}

async fn timed<T>(answer: impl Future<Output = Result<T, Trouble>>) -> (T, Duration) {
    let begun = Instant::now();
    let answer = answer.await.expect("an answer, of whatever kind");
    (answer, begun.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_rolled_back_for_others_is_done_again_and_answered_once() {
    let Some(database) = Database::empty() else { return };
    let (node, admin) = (Node::start(database.url(), &[]).await, database.admin());
    let mut link = named(&node);
    link.post("/push", &write("first", 1)).await.unwrap().expect(200);
    let mut seq = 1;
    for (error, said) in
        [("40001", "could not serialize access due to concurrent update"), ("40P01", "deadlock detected")]
    {
        for place in [
            ("records", "BEFORE INSERT"),
            ("collections", "BEFORE UPDATE"),
            ("spaces", "BEFORE UPDATE"),
            ("clients", "BEFORE INSERT OR UPDATE"),
            ("spaces", "COMMIT"),
        ] {
            let trap = Trap::set(&admin, place, 3, &format!("RAISE EXCEPTION '{said}' USING ERRCODE = '{error}'"));
            seq += 1;
            let answer = link.post("/push", &write(&format!("{seq}"), seq)).await.unwrap().expect(200);
            let result = &answer["results"][0];
            assert_eq!(
                (&result["status"], &result["rev"], &answer["duplicate"]),
                (&json!("applied"), &json!(seq), &json!(false)),
                "{place:?}"
            );
            assert!(trap.passed() > 3, "{place:?}");
            trap.remove();
        }
    }
    // What never goes through is given up, and can be sent again.
    let trap = Trap::set(&admin, ("records", "BEFORE INSERT"), 1000, "RAISE EXCEPTION 'x' USING ERRCODE = '40001'");
    unavailable(&link.post("/push", &write("last", seq + 1)).await.unwrap());
    trap.remove();
    assert_eq!(head(&mut link).await, seq);
    let answer = link.post("/push", &write("last", seq + 1)).await.unwrap().expect(200);
    assert_eq!((&answer["results"][0]["rev"], &answer["duplicate"]), (&json!(seq + 1), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_so_and_nothing_is_applied_and_reads_go_on() {
    let Some(database) = Database::empty() else { return };
    let (node, admin) = (Node::start(database.url(), &[]).await, database.admin());
    let mut link = named(&node);
    link.post("/push", &write("first", 1)).await.unwrap().expect(200);
    for place in [("records", "BEFORE INSERT"), ("clients", "BEFORE UPDATE"), ("spaces", "BEFORE UPDATE")] {
        let full = "RAISE EXCEPTION 'could not extend file \"base/16384/16402\": No space left on device'
            USING ERRCODE = 'disk_full', HINT = 'Check free disk space.'";
        let trap = Trap::set(&admin, place, 1000, full);
        let before = head(&mut link).await;
        let seq = before + 1;
        // Several at once, of which each is told so.
        let others: Vec<_> = (0..5)
            .map(|n| {
                let mut other = node.link("demo");
                let push = json!({"changes": [{"collection": "todos", "id": format!("o{n}"), "base_rev": "*", "data": {"seq": seq}}]});
                tokio::spawn(async move { other.post("/push", &push).await.unwrap() })
            })
            .collect();
        let problem = link.post("/push", &write(&format!("{seq}"), seq)).await.unwrap().expect(507);
        assert_eq!(problem["code"], "storage_full");
        for other in others {
            let answer = other.await.unwrap();
            // A push without a number passes by `clients`.
            assert!(answer.status == 507 || place.0 == "clients", "{}", answer.text());
        }
        let page = link.get("/changes").await.unwrap().expect(200);
        assert!(page["changes"].as_array().unwrap().iter().all(|change| change["id"] != format!("{seq}")));
        trap.remove();
        let before = head(&mut link).await;
        let answer = link.post("/push", &write(&format!("{seq}"), seq)).await.unwrap().expect(200);
        assert_eq!(
            (&answer["results"][0]["rev"], &answer["duplicate"]),
            (&json!(before + 1), &json!(false)),
            "{place:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_given_up_and_so_is_a_lock() {
    let Some(database) = Database::empty() else { return };
    let limits = ["--statement-timeout", "1s", "--lock-timeout", "1s", "--connect-timeout", "1s", "--readers", "2"];
    let (node, admin) = (Node::start(database.url(), &limits).await, database.admin());
    let mut link = named(&node);
    link.post("/push", &write("first", 1)).await.unwrap().expect(200);

    let trap = Trap::set(&admin, ("records", "BEFORE INSERT"), 1000, "PERFORM pg_sleep(60)");
    let (answer, slow) = timed(link.post("/push", &write("second", 2))).await;
    unavailable(&answer);
    assert!(slow < Duration::from_secs(5), "{slow:?}");
    trap.remove();
    assert_eq!(link.post("/push", &write("second", 2)).await.unwrap().expect(200)["duplicate"], false);

    // All connections for reading wait for a lock, and more than there are.
    let holder = admin.connect().await.unwrap();
    holder.batch_execute("BEGIN; LOCK TABLE records IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let mut waiting: Vec<_> = (0..12)
        .map(|_| {
            let mut link = node.link("demo");
            tokio::spawn(async move { timed(link.get("/changes?limit=1")).await })
        })
        .collect();
    let mut other = node.link("demo");
    other.name = Some("another".into());
    waiting.push(tokio::spawn(async move { timed(other.post("/push", &write("x", 1))).await }));
    let mut slowest = Duration::ZERO;
    for answer in waiting {
        let (answer, slow) = answer.await.unwrap();
        unavailable(&answer);
        slowest = slowest.max(slow);
    }
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(link.get("/changes").await.unwrap().expect(200)["count"], 2);
    eprintln!("trouble: with the table locked the last of 13 was answered after {slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_given_up_in_time_and_all_is_well_afterwards() {
    let Some(mut cluster) = Cluster::start(&Settings::default()) else { return };
    let database = Database::on(&cluster);
    let limits = ["--statement-timeout", "1s", "--lock-timeout", "1s", "--connect-timeout", "1s"];
    let mut node = Node::start(database.url(), &limits).await;
    let mut link = named(&node);
    link.post("/push", &write("first", 1)).await.unwrap().expect(200);
    link.get("/changes").await.unwrap().expect(200);
    cluster.freeze();
    let mut push = named(&node);
    let push = tokio::spawn(async move { timed(push.post("/push", &write("second", 2))).await });
    let reads: Vec<_> = ["", "/changes", "/changes?since=now", "/manifest", "/records/todos/first"]
        .map(|path| {
            let mut link = node.link("demo");
            tokio::spawn(async move { timed(link.get(path)).await })
        })
        .into();
    let mut times = Vec::new();
    for read in reads {
        let (answer, slow) = read.await.unwrap();
        times.push((answer.status, slow));
    }
    let (answer, slow) = push.await.unwrap();
    unavailable(&answer);
    eprintln!("trouble: a server that hangs: a push was given up after {slow:?}, reads after {times:?}");
    for slow in times.iter().filter(|(status, _)| *status != 200).map(|(_, slow)| *slow).chain([slow]) {
        assert!(slow < Duration::from_secs(25), "{slow:?}");
    }
    cluster.thaw();
    let answer = link.post("/push", &write("second", 2)).await.unwrap();
    let answer = if answer.status == 503 { link.post("/push", &write("second", 2)).await.unwrap() } else { answer };
    let answer = answer.expect(200);
    // The one that was given up may have been carried out: then this is its second time, and says so.
    assert_eq!(answer["results"][0]["rev"], 2, "{answer}");
    assert_eq!(head(&mut link).await, 2);

    // Told to stop while it hangs, the program ends.
    cluster.freeze();
    let mut push = named(&node);
    let push = tokio::spawn(async move { push.post("/push", &write("third", 3)).await });
    // Time enough to be on its way to the server; whether it is makes no difference to what must follow.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    let status = node.stop().await;
    eprintln!("trouble: told to stop while the server hangs, the program ended after {:?}: {status}", begun.elapsed());
    drop(push.await);
    cluster.thaw();
    cluster.stop(Stop::Fast);
}
