//! Epochs: what a restore from backup does to clients, and how the store notices one (§1, §3).

use std::path::Path;

use super::fixture::*;
use crate::support::over_postgres;
use strandline::domain::Rev;
use strandline::domain::pull::{Pulled, Reason};
use strandline::store;

/// What a cursor of an epoch shares that was opened after the backup was taken. A file's heads are kept beside it and
/// survive its restore; a database on a server is all that its store has, and an epoch unknown to it shares nothing.
fn of_an_epoch_between(shared: u64) -> Rev {
    if over_postgres() { Rev::ZERO } else { rev(shared) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_put_back_begins_a_new_epoch_at_its_head() {
    let mut store = Fixture::new().await;
    for id in ["a", "b", "c"] {
        store.put("todos", id, "{}").await;
    }
    store.reopen().await;
    let copy = store.copy().await;
    let old = store.state().await.epoch();
    store.put("todos", "d", "{}").await;
    store.restore(&copy).await;
    let state = store.state().await;
    assert_ne!(state.epoch(), old);
    assert_eq!(state.head, rev(3));
    // Up to the shared revision, a whole cursor goes on; beyond it, or under way, it does not.
    let fine = store.page(&format!("{old}.3")).await;
    assert_eq!(fine.cursor.to_string(), format!("{}.3", state.epoch()));
    for lost in [format!("{old}.4"), format!("{old}.2.p"), format!("{old}.2.3")] {
        let resync = store.resync(&lost).await;
        assert_eq!((resync.reason, resync.shared_rev), (Reason::Epoch, rev(3)), "{lost}");
    }
    // It is a matter of the restore, not of every start.
    store.reopen().await;
    assert_eq!(store.state().await.epoch(), state.epoch());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_restore_of_one_backup_remembers_the_epoch_between() {
    let mut store = Fixture::new().await;
    store.put("todos", "a", "{}").await;
    let copy = store.back_up().await;
    let first = store.state().await.epoch();
    store.restore(&copy).await;
    let second = store.state().await.epoch();
    assert_ne!(first, second, "a backup that is opened begins a new epoch even when nothing was lost");
    store.put("todos", "b", "{}").await;
    store.put("todos", "c", "{}").await;
    store.restore(&copy).await;
    let third = store.state().await.epoch();
    assert_ne!(second, third);
    let resync = store.resync(&format!("{second}.3")).await;
    assert_eq!((resync.reason, resync.shared_rev), (Reason::Epoch, of_an_epoch_between(1)));
    let shared = store.pulled(&format!("{second}.{}", of_an_epoch_between(1)), None, 10).await;
    assert!(matches!(shared, Pulled::Page(_)), "{shared:?}");
    assert_eq!(store.resync("never.1").await.shared_rev, rev(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_that_was_deleted_and_returns_from_a_backup_is_another_history() {
    let mut store = Fixture::new().await;
    store.put("todos", "a", "{}").await;
    let old = store.state().await.epoch();
    let copy = store.copy().await;
    store.store.delete_space(space()).await.unwrap();
    store.restore(&copy).await;
    assert_ne!(store.state().await.epoch(), old);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_is_opened_by_hand_shares_everything_up_to_the_head() {
    let store = Fixture::new().await;
    store.put("todos", "a", "{}").await;
    let old = store.state().await.epoch();
    let state = store.store.open_epoch(space()).await.unwrap();
    assert_ne!(state.epoch(), old);
    store.put("todos", "b", "{}").await;
    assert_eq!(brief(&store.page(&format!("{old}.1")).await.changes), ["b@2"]);
    assert_eq!(store.resync(&format!("{old}.2")).await.shared_rev, rev(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_one_snapshot_and_overwrites_nothing() {
    let store = Fixture::new().await;
    store.put("todos", "a", "{}").await;
    let url = store.home.url();
    if over_postgres() {
        let refused = store::backup(&url, Path::new("copy.db")).await.unwrap_err().to_string();
        assert!(refused.contains("pg_dump"), "{refused}");
        return;
    }
    let (copy, other) = (store.home.place_of_a_copy(), store.home.place_of_a_copy());
    store::backup(&url, &copy).await.unwrap();
    let twice = store::backup(&url, &copy).await.unwrap_err().to_string();
    assert!(twice.contains("not overwritten"), "{twice}");
    let missing = store::DatabaseUrl::Sqlite(copy.with_file_name("none.db"));
    let missing = store::backup(&missing, &other).await.unwrap_err();
    assert!(missing.to_string().contains("no such database"), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_opens_a_file_once() {
    let store = Fixture::new().await;
    let again = open(&store.home.url(), &store.clock, &store.feed).await;
    if over_postgres() {
        // Any number of nodes on one database, and so any number of stores in one process.
        again.unwrap().close().await;
        return;
    }
    let again = again.err().unwrap().to_string();
    assert!(again.contains("open already"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_branch_that_was_left_shares_nothing_that_was_written_on_the_other() {
    let mut store = Fixture::new().await;
    store.put("todos", "a", "{}").await;
    let early = store.back_up().await;
    store.put("todos", "b", r#"{"of":"the first branch"}"#).await;
    let late = store.back_up().await;
    store.restore(&early).await;
    let between = store.state().await.epoch();
    store.put("todos", "b", r#"{"of":"the second branch"}"#).await;
    store.restore(&late).await;
    // Both branches have a revision 2, and it is not the same.
    assert_eq!(store.state().await.head, rev(2));
    let resync = store.resync(&format!("{between}.2")).await;
    assert_eq!((resync.reason, resync.shared_rev), (Reason::Epoch, of_an_epoch_between(1)));
}
