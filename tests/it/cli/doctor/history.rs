//! A real history is sound at any time, also while it is written; and history that was written twice is told to clients.

use serde_json::json;

use super::{doctor, homes, push, replica, sync};
use crate::history::repository::{Repository, commits};
use crate::support::{Form, Home, Program, Replica};

#[tokio::test(flavor = "multi_thread")]
async fn a_real_history_is_sound_while_it_is_written_and_purged() {
    for home in homes() {
        let program = Program::start(home).await;
        let mut repository = Repository::new(program.link("kinto"));
        let mut all = commits().take(900).enumerate();
        // There is a space from here on.
        if let Some((_, first)) = all.next() {
            repository.commit(&first).await;
        }
        let mut looks = 0;
        std::thread::scope(|scope| {
            let (home, (done, written)) = (program.home(), std::sync::mpsc::channel::<()>());
            let looking = scope.spawn(move || {
                let mut looks = 0;
                // Until the writer has finished, and once more.
                while written.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
                    doctor(home, if looks % 2 == 0 { "" } else { "--space kinto --repair" }).assert_sound();
                    looks += 1;
                }
                doctor(home, "").assert_sound();
                looks
            });
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    for (number, commit) in all {
                        repository.commit(&commit).await;
                        if number % 150 == 149 {
                            repository.purge().await;
                        }
                    }
                });
            });
            drop(done);
            looks = looking.join().unwrap();
        });
        assert!(looks > 2, "it looked {looks} times");
        let mut replica = Replica::new(program.link("kinto"), None);
        replica.pull(Form::Lines).await.unwrap();
        repository.assert_equal(&replica);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_mended_beside_a_writer_and_stays_mended() {
    for home in homes() {
        let program = Program::start(home).await;
        let mut repository = Repository::new(program.link("kinto"));
        let mut all = commits();
        for commit in all.by_ref().take(200) {
            repository.commit(&commit).await;
        }
        // In collections that the writer is writing to, so that it may put right or carry on what it finds.
        program.home().tamper("UPDATE collections SET live_bytes = live_bytes + 7 WHERE name = 'kinto'");
        program.home().tamper("UPDATE collections SET checksum = checksum + 7 WHERE name = 'docs'");
        std::thread::scope(|scope| {
            let home = program.home();
            let mending = scope.spawn(move || doctor(home, "--repair"));
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    for commit in all.by_ref().take(200) {
                        repository.commit(&commit).await;
                    }
                });
            });
            mending.join().unwrap();
        });
        doctor(program.home(), "").assert_sound();
        let mut replica = Replica::new(program.link("kinto"), None);
        replica.pull(Form::Lines).await.unwrap();
        repository.assert_equal(&replica);
    }
}

/// A head that was put back lets a push have a revision that clients know with another meaning. The same revisions have
/// the same checksum: no client could notice by itself.
#[tokio::test(flavor = "multi_thread")]
async fn revisions_that_were_given_out_twice_are_told_to_whoever_holds_them() {
    for home in homes() {
        let program = Program::start(home).await;
        let mut link = program.link("s");
        let put = |id: &str| vec![json!({"collection": "c", "id": id, "data": {}})];
        for id in ["one", "two", "three", "four", "two"] {
            push(&mut link, put(id), None).await;
        }
        let mut behind = Replica::new(program.link("s"), None);
        behind.pull_page(1).await.unwrap();
        let mut whole = replica(&program).await;
        // Revision 2 is free: what was there has moved on.
        let version = if matches!(program.home(), Home::Database(_)) { ", version = version + 1" } else { "" };
        program.home().tamper(&format!("UPDATE spaces SET head = 1{version} WHERE name = 's'"));
        assert_eq!(push(&mut link, put("five"), None).await["results"][0]["rev"], 2);
        let mended = doctor(program.home(), "--repair");
        let low = mended.finding("space_head_low");
        assert_eq!((&low["stored"], &low["rows"], &low["mended"]), (&"2".into(), &"5".into(), &true.into()));
        // What was written is newer than what lies above it. That is true, and stays so until it is written again.
        assert!(mended.finding("time_order")["advice"].is_string());
        let opened = program.home().ask("SELECT opened_at FROM epochs WHERE ordinal = 1");
        assert_eq!(opened, 1, "the rows prove of the first revision alone that it was given out once");

        assert!(sync(&mut whole).await, "what it holds at revision 2 may be another record");
        let fresh = replica(&program).await;
        assert_eq!(whole.records, fresh.records);
        assert!(fresh.records.contains_key(&("c".to_owned(), "five".to_owned())));
        assert_eq!(push(&mut link, put("six"), None).await["results"][0]["rev"], 6);
        sync(&mut whole).await;
    }
}
