//! A full disk: 507 and nothing half-applied; reads go on; writes go on once there is room.

mod small_disk;

use serde_json::{Value, json};

use crate::support::{Answer, Form, Home, Link, Program, Replica};
use small_disk::{Ballast, SmallDisk, in_a_namespace};

const RECORD: usize = 20_000;

fn change(id: &str, bytes: usize) -> Value {
    json!({"collection": "todos", "id": id, "base_rev": "*", "data": {"text": "x".repeat(bytes)}})
}

async fn push(link: &mut Link, changes: &[Value]) -> Answer {
    link.post("/push", &json!({"changes": changes})).await.unwrap()
}

async fn space(link: &mut Link) -> Value {
    link.get("").await.unwrap().expect(200)
}

/// Pushes records, each one smaller than the last, until not even the smallest finds room.
async fn fill(link: &mut Link) {
    for bytes in [RECORD, 2_000, 10] {
        for number in 0.. {
            let answer = push(link, &[change(&format!("fill-{bytes}-{number}"), bytes)]).await;
            if answer.status != 200 {
                answer.problem(507, "storage_full");
                break;
            }
        }
    }
}

/// Every kind of write is refused and changes nothing.
async fn assert_full(link: &mut Link) {
    let before = space(link).await;
    let deletion = json!({"collection": "todos", "id": "kept-0", "base_rev": "*", "deleted": true});
    for changes in
        [vec![change("new", RECORD)], vec![change("kept-1", RECORD + 1)], vec![deletion, change("new", RECORD)]]
    {
        push(link, &changes).await.problem(507, "storage_full");
    }
    let data = json!({"other": "y".repeat(RECORD)});
    link.put("/records/todos/kept-2", &data).await.unwrap().problem(507, "storage_full");
    link.post("/records/todos", &data).await.unwrap().problem(507, "storage_full");
    // Many at once are refused one by one.
    let crowd = (0..8).map(|number| {
        let mut link = link.again();
        tokio::spawn(async move { push(&mut link, &[change(&format!("crowd-{number}"), RECORD)]).await })
    });
    for answer in crowd.collect::<Vec<_>>() {
        answer.await.unwrap().problem(507, "storage_full");
    }
    assert_eq!(space(link).await, before, "what was refused left a trace");
}

/// Everything can be read, in every form, and is whole.
async fn assert_readable(link: &mut Link) {
    let head = space(link).await["head"].as_u64();
    for form in [Form::Pages(7), Form::Lines] {
        let mut replica = Replica::new(link.again(), None);
        replica.pull(form).await.unwrap();
        assert_eq!(replica.whole_at, head);
        let unknown = json!({"reason": "scope"});
        replica.forget();
        replica.repair(&unknown, form).await.unwrap();
        assert_eq!(replica.whole_at, head);
    }
    let mut live = Replica::new(link.again(), None);
    let mut feed = live.subscribe().await.unwrap();
    while live.whole_at.is_none() {
        assert!(live.follow(&mut feed).await.unwrap());
    }
    link.get("/records/todos/kept-0").await.unwrap().expect(200);
    link.get("/records/todos?limit=3").await.unwrap().expect(200);
}

fn files(disk: &SmallDisk) -> Vec<String> {
    let entries = std::fs::read_dir(disk.path()).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let disk = match SmallDisk::mount(&directory.path().join("disk"), c"size=8m") {
        Ok(disk) => disk,
        Err(_) if in_a_namespace("disk::a_full_disk_refuses_writes_and_nothing_else") => return,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "a small disk cannot be mounted: {error}");
            eprintln!("SKIPPED: a full disk was not tested, as a small disk cannot be mounted here: {error}");
            return;
        }
    };
    let mut program = Program::start(Home::file_in(disk.path())).await;
    let mut link = program.link("demo");
    let kept: Vec<Value> = (0..50).map(|number| change(&format!("kept-{number}"), RECORD)).collect();
    let first = push(&mut link, &kept).await.expect(200);
    let epoch = space(&mut link).await["epoch"].clone();
    let mut replica = Replica::new(program.link("demo"), None);
    replica.pull(Form::Pages(1000)).await.unwrap();
    assert_eq!(first["head"], 50);

    // Half of a push would fit: none of it is applied, and what does fit still is.
    let mut ballast = Ballast::new(&disk);
    ballast.leave(400_000);
    let before = space(&mut link).await;
    let many: Vec<Value> = (0..250).map(|number| change(&format!("many-{number}"), RECORD)).collect();
    push(&mut link, &many).await.problem(507, "storage_full");
    assert_eq!(space(&mut link).await, before);
    push(&mut link, &many[..2]).await.expect(200);

    ballast.leave(0);
    fill(&mut link).await;
    ballast.leave(0);
    assert_full(&mut link).await;
    assert_readable(&mut link).await;
    replica.pull(Form::Pages(10)).await.unwrap();

    // Nor does it take more to start anew, whether it was killed or told to stop.
    program.kill();
    program.start_again().await;
    assert_readable(&mut link).await;
    assert_full(&mut link).await;
    program.stop().await;
    program.start_again().await;
    assert_readable(&mut link).await;
    let full = space(&mut link).await;
    assert_eq!(full["epoch"], epoch);

    assert_eq!(files(&disk), ["ballast", "s.db", "s.db-heads", "s.db-shm", "s.db-wal"], "drafts are left");

    ballast.remove();
    push(&mut link, &many).await.expect(200);
    let now = space(&mut link).await;
    assert_eq!(now["head"].as_u64().unwrap(), full["head"].as_u64().unwrap() + 248);
    replica.pull(Form::Pages(100)).await.unwrap();
    assert_readable(&mut link).await;

    program.stop().await;
    program.check_integrity();
    program.start_again().await;
    assert_eq!(space(&mut link).await, now);
    replica.pull(Form::Lines).await.unwrap();
}
