//! The program is killed with SIGKILL again and again under load: nothing that was acknowledged is lost, no revision is
//! used twice, a push that is sent again happens once, and the replicas never notice more than a broken connection.

mod drain;
mod reader;
mod writer;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::support::{Form, Home, Program, Replica, lots};
use reader::{poll, stream};
use writer::Writer;

const KILLS: usize = 18;

/// Purges now and then, so that the horizon and the tombstones are caught in mid-air too.
async fn purge(mut link: crate::support::Link, over: Arc<AtomicBool>, purges: Arc<AtomicUsize>) {
    while !over.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(70)).await;
        if let Ok(answer) = link.post("/compact", &json!({"older_than": "0s"})).await
            && answer.status == 200
        {
            purges.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_however_often_the_server_is_killed() {
    let mut rng = lots("crash");
    let mut program = Program::start(Home::new()).await;
    let mut control = program.link("demo");
    let epoch = control.put("", &json!({"retention": "30d"})).await.unwrap().expect(201)["epoch"].clone();

    let over = Arc::new(AtomicBool::new(false));
    let purges = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..5)
        .map(|number| {
            // Two of them push in batches.
            let batch = if number < 2 { 40 } else { 1 };
            let writer = Writer::new(program.link("demo"), number, batch, fastrand::Rng::with_seed(rng.u64(..)));
            tokio::spawn(writer.run(Arc::clone(&over)))
        })
        .collect();
    let readers = [
        tokio::spawn(poll(program.link("demo"), Form::Pages(rng.usize(20..200)), Arc::clone(&over))),
        tokio::spawn(poll(program.link("demo"), Form::Lines, Arc::clone(&over))),
        tokio::spawn(stream(program.link("demo"), None, Arc::clone(&over))),
        tokio::spawn(stream(program.link("demo"), Some("shared"), Arc::clone(&over))),
    ];
    let purger = tokio::spawn(purge(program.link("demo"), Arc::clone(&over), Arc::clone(&purges)));

    let mut kills = 0;
    while kills < KILLS {
        // The load goes on for a moment that nobody can foresee.
        tokio::time::sleep(Duration::from_millis(rng.u64(20..400))).await;
        if rng.usize(..5) == 0 {
            program.stop().await;
        } else {
            program.kill();
            kills += 1;
        }
        if rng.usize(..3) == 0 {
            program.start_and_kill(Duration::from_millis(rng.u64(..80))).await;
            kills += 1;
        }
        program.start_again().await;
        let space = control.get("").await.unwrap().expect(200);
        assert_eq!(space["epoch"], epoch, "a kill breaks no history");
    }
    over.store(true, Ordering::Relaxed);

    let mut ledgers = Vec::new();
    for writer in writers {
        ledgers.push(writer.await.unwrap());
    }
    let mut checks = 0;
    for reader in readers {
        checks += reader.await.unwrap();
    }
    purger.await.unwrap();
    verify(&mut control, &ledgers).await;
    let head = control.get("").await.unwrap().expect(200)["head"].clone();

    program.stop().await;
    program.check_integrity();
    program.start_again().await;
    let space = control.get("").await.unwrap().expect(200);
    assert_eq!((&space["epoch"], &space["head"]), (&epoch, &head));
    verify(&mut control, &ledgers).await;
    let said = program.said();
    assert!(!said.contains(" ERROR ") && !said.contains("panicked"), "{said}");
    assert!(!said.contains("opened epoch"), "{said}");
    let (retries, duplicates) = ledgers.iter().fold((0, 0), |(r, d), w| (r + w.retries, d + w.duplicates));
    eprintln!(
        "crash: {kills} kills, {head} revisions, {retries} pushes sent again, {duplicates} of them had happened, \
         {checks} checks of replicas, {} purges",
        purges.load(Ordering::Relaxed)
    );
    assert!(retries > 0 && checks > 0 && purges.load(Ordering::Relaxed) > 0);
}

/// What the server has is what the writers were told, all of it and no more.
async fn verify(control: &mut crate::support::Link, ledgers: &[Writer]) {
    // Every edit took one revision: none was lost, and none that was sent again took two.
    let head = control.get("").await.unwrap().expect(200)["head"].as_u64().unwrap();
    let edits: u64 = ledgers.iter().map(|writer| writer.edits).sum();
    assert_eq!(head, edits);
    let told: Vec<u64> = ledgers.iter().flat_map(|writer| writer.told.iter().copied()).collect();
    let distinct: BTreeSet<u64> = told.iter().copied().collect();
    assert_eq!(distinct.len(), told.len(), "a revision was given twice");
    assert!(distinct.iter().all(|rev| (1..=head).contains(rev)));

    let mut replica = Replica::new(control.again(), None);
    replica.pull(Form::Pages(10_000)).await.unwrap();
    assert_eq!(replica.whole_at, Some(head));
    for writer in ledgers {
        let theirs: Vec<_> = replica.records.iter().filter(|(key, _)| key.0 == writer.collection()).collect();
        assert_eq!(theirs, writer.records.iter().collect::<Vec<_>>());
    }
    for (key, record) in replica.records.iter().filter(|(key, _)| key.0 == "shared") {
        let latest = ledgers.iter().filter_map(|writer| writer.shared.get(key)).max_by_key(|seen| seen.rev).unwrap();
        // Whoever wrote last was told so, at once or when it sent the push again.
        assert_eq!(record, latest, "{key:?}");
    }
}
