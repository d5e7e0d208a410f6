//! Epochs: what a restore from backup does to clients, and how the store notices one (§1, §3).

use super::fixture::*;
use strandline::domain::pull::{Pulled, Reason};
use strandline::store;

/// Puts the file back as it was at `copy`.
fn put_back(copy: &std::path::Path, store: &Fixture) {
    for suffix in ["-wal", "-shm"] {
        let mut path = store.path().into_os_string();
        path.push(suffix);
        let _ = std::fs::remove_file(path);
    }
    std::fs::copy(copy, store.path()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_put_back_begins_a_new_epoch_at_its_head() {
    let mut store = Fixture::new().await;
    for id in ["a", "b", "c"] {
        store.put("todos", id, "{}").await;
    }
    store.reopen().await;
    let copy = store.directory.path().join("copy.db");
    store.close().await;
    std::fs::copy(store.path(), &copy).unwrap();
    store.reopen().await;
    let old = store.state().await.epoch();
    store.put("todos", "d", "{}").await;
    store.close().await;
    put_back(&copy, &store);
    store.reopen().await;
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
    let copy = store.directory.path().join("copy.db");
    store::backup(&store.url(), &copy).await.unwrap();
    let first = store.state().await.epoch();
    store.close().await;
    put_back(&copy, &store);
    store.reopen().await;
    let second = store.state().await.epoch();
    assert_ne!(first, second, "a backup that is opened begins a new epoch even when nothing was lost");
    store.put("todos", "b", "{}").await;
    store.put("todos", "c", "{}").await;
    store.close().await;
    put_back(&copy, &store);
    store.reopen().await;
    let third = store.state().await.epoch();
    assert_ne!(second, third);
    let resync = store.resync(&format!("{second}.3")).await;
    assert_eq!((resync.reason, resync.shared_rev), (Reason::Epoch, rev(1)));
    assert!(matches!(store.pulled(&format!("{second}.1"), None, 10).await, Pulled::Page(_)));
    assert_eq!(store.resync("never.1").await.shared_rev, rev(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_that_was_deleted_and_returns_from_a_backup_is_another_history() {
    let mut store = Fixture::new().await;
    store.put("todos", "a", "{}").await;
    let old = store.state().await.epoch();
    store.close().await;
    let copy = store.directory.path().join("copy.db");
    std::fs::copy(store.path(), &copy).unwrap();
    store.reopen().await;
    store.store.delete_space(space()).await.unwrap();
    store.close().await;
    put_back(&copy, &store);
    store.reopen().await;
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
    let copy = store.directory.path().join("copy.db");
    store::backup(&store.url(), &copy).await.unwrap();
    let twice = store::backup(&store.url(), &copy).await.unwrap_err().to_string();
    assert!(twice.contains("not overwritten"), "{twice}");
    let missing = store::DatabaseUrl::Sqlite(store.directory.path().join("none.db"));
    let missing = store::backup(&missing, &store.directory.path().join("other.db")).await.unwrap_err();
    assert!(missing.to_string().contains("no such database"), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_opens_a_file_once() {
    let store = Fixture::new().await;
    let again = open(&store.path(), &store.clock, &store.feed).await.err().unwrap().to_string();
    assert!(again.contains("open already"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_branch_that_was_left_shares_nothing_that_was_written_on_the_other() {
    let mut store = Fixture::new().await;
    store.put("todos", "a", "{}").await;
    let (early, late) = (store.directory.path().join("early.db"), store.directory.path().join("late.db"));
    store::backup(&store.url(), &early).await.unwrap();
    store.put("todos", "b", r#"{"of":"the first branch"}"#).await;
    store::backup(&store.url(), &late).await.unwrap();
    store.close().await;
    put_back(&early, &store);
    store.reopen().await;
    let between = store.state().await.epoch();
    store.put("todos", "b", r#"{"of":"the second branch"}"#).await;
    store.close().await;
    put_back(&late, &store);
    store.reopen().await;
    // Both branches have a revision 2, and it is not the same.
    assert_eq!(store.state().await.head, rev(2));
    let resync = store.resync(&format!("{between}.2")).await;
    assert_eq!((resync.reason, resync.shared_rev), (Reason::Epoch, rev(1)));
}
