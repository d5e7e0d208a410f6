//! A copy that is interrupted goes on where it was; until it is finished, nobody sees it.

use strandline::domain::repair::{FetchRequest, ManifestRequest};
use strandline::domain::{ClientName, CollectionName, RecordId, Runs, SpaceState};
use strandline::store::{ClientSeq, Costs, ListRequest, StoreError};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_in_order_of_revision_bounded_by_number_and_bytes_below_the_horizon_too() {
    let source = Fixture::new().await;
    give_a_past(&source).await;
    let all = rows_after(&source, rev(0), 1000).await;
    assert!(!all.more);
    assert!(all.rows.is_sorted_by_key(|row| row.rev));
    assert_eq!(all.state, source.state().await);
    let (live, dead): (Vec<_>, Vec<_>) = all.rows.iter().partition(|row| !row.is_deleted());
    let tally = all.state.tally(None);
    assert_eq!((live.len() as u64, dead.len() as u64), (tally.live, tally.tombstones));
    assert!(tally.horizon > all.rows[0].rev);
    // In steps it is the same.
    for (limit, max_bytes) in [(3, usize::MAX), (1, usize::MAX), (1000, 1), (1000, 400)] {
        let (mut rows, mut after) = (Vec::new(), rev(0));
        loop {
            let request = RowsRequest { space: space(), after, limit, max_bytes };
            let batch = source.store.rows(request).await.unwrap();
            assert!(batch.rows.len() <= limit && !batch.rows.is_empty());
            after = batch.rows.last().unwrap().rev;
            rows.extend(batch.rows);
            if !batch.more {
                break;
            }
        }
        assert_eq!(rows, all.rows, "{limit} {max_bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_clients_come_in_order_of_name() {
    let source = Fixture::new().await;
    give_a_past(&source).await;
    let all = source.store.seqs(space(), None, 10).await.unwrap();
    let brief: Vec<_> = all.iter().map(|one| (one.client.as_str(), one.seq)).collect();
    assert_eq!(brief, [("phone", 7), ("tablet", 1)]);
    assert_eq!(source.store.seqs(space(), None, 1).await.unwrap(), all[..1]);
    let phone = ClientName::new("phone").unwrap();
    assert_eq!(source.store.seqs(space(), Some(phone), 10).await.unwrap(), all[1..]);
    let tablet = ClientName::new("tablet").unwrap();
    assert_eq!(source.store.seqs(space(), Some(tablet), 10).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_interrupted_goes_on_with_the_rest() {
    for (source, mut target) in pairs_with_a_past().await {
        let rows = rows_after(&source, rev(0), 1000).await.rows;
        let begun = copy_in_part(&source, &target, 4).await;
        assert_eq!(begun.newest, rev(0));
        target.reopen().await;
        let again = target.store.begin_copy(source.state().await).await.unwrap();
        assert_eq!(again.newest, rows[3].rev);
        // Rows that come twice are no harm.
        target.store.copy_rows(&again, rows[..4].to_vec()).await.unwrap();
        let copied = copy(&source, &target).await.unwrap();
        assert_eq!(copied.rows, rows.len() as u64 - 4);
        assert_equal(&source, &target).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_in_the_source_meanwhile_is_copied_by_its_new_revisions() {
    for (source, target) in pairs_with_a_past().await {
        copy_in_part(&source, &target, 5).await;
        source.put("todos", "t3", r#"{"n":"copied already"}"#).await;
        source.delete("todos", "t4").await;
        source.put("fresh", "f", "{}").await;
        source.store.push(numbered("phone", 8, "p2", put_op("{}"))).await.unwrap();
        copy(&source, &target).await.unwrap();
        assert_equal(&source, &target).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tombstones_that_the_source_purges_after_they_were_copied_go_from_the_copy_too() {
    for (source, target) in pairs_with_a_past().await {
        source.delete("todos", "t5").await;
        copy_in_part(&source, &target, 1000).await;
        assert!(source.purge().await.tombstones > 0);
        let copied = copy(&source, &target).await.unwrap();
        assert_eq!(copied.rows, 0, "nothing had to be copied anew");
        assert_equal(&source, &target).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_was_purged_before_it_was_copied_has_the_space_copied_anew() {
    for (source, target) in pairs_with_a_past().await {
        copy_in_part(&source, &target, 1000).await;
        source.delete("todos", "t5").await;
        source.purge().await;
        let copied = copy(&source, &target).await.unwrap();
        assert_eq!(copied.rows, rows_after(&source, rev(0), 1000).await.rows.len() as u64);
        assert_equal(&source, &target).await;
        // What was given up is swept away.
        while target.store.sweep_step(3).await.unwrap() > 0 {}
        assert_equal(&source, &target).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_begun_in_another_history_is_given_up() {
    for (source, target) in pairs_with_a_past().await {
        let stale = copy_in_part(&source, &target, 5).await;
        source.store.open_epoch(space()).await.unwrap();
        let anew = target.store.begin_copy(source.state().await).await.unwrap();
        assert_eq!(anew.newest, rev(0));
        // Whoever still has the old one in hand writes into neither.
        let rows = rows_after(&source, rev(0), 5).await.rows;
        let phone = ClientSeq { client: ClientName::new("phone").unwrap(), seq: 1, used_at: NOON };
        assert!(matches!(target.store.copy_rows(&stale, rows).await, Err(StoreError::NoSpace(_))));
        assert!(matches!(target.store.copy_seqs(&stale, vec![phone]).await, Err(StoreError::NoSpace(_))));
        assert!(matches!(target.store.finish_copy(&stale, source.state().await).await, Err(StoreError::NoSpace(_))));
        copy(&source, &target).await.unwrap();
        assert_equal(&source, &target).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_records_go_in_steps_and_the_progress_only_rises() {
    for (source, target) in pairs().await {
        let changes =
            (0..4_500).map(|n| proposal("todos", &format!("r{n}"), Base::Any, put_op(r#"{"n":1}"#))).collect();
        source.push(changes).await;
        let mut seen = Vec::new();
        let copied =
            copier::copy(&*source.store, &*target.store, &space(), &mut |progress| seen.push(progress)).await.unwrap();
        assert_eq!(copied.rows, 4_500);
        assert!(seen.len() > 2 && seen.is_sorted_by_key(|progress| (progress.copied, progress.rows)), "{seen:?}");
        assert_eq!((seen.last().unwrap().copied, seen.last().unwrap().rows), (rev(4_500), 4_500));
        assert_eq!(source.state().await, target.state().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_a_copy_that_is_not_finished() {
    for (source, mut target) in pairs_with_a_past().await {
        copy_in_part(&source, &target, 7).await;
        for reopened in [false, true] {
            if reopened {
                target.reopen().await;
            }
            let store = &target.store;
            assert_eq!(names(&store.spaces("", None, 10).await.unwrap()), [""; 0]);
            let todos = CollectionName::new("todos").unwrap();
            let list =
                ListRequest { space: space(), collection: todos.clone(), after: None, limit: 9, max_bytes: usize::MAX };
            let manifest = ManifestRequest { space: space(), collections: None, from: None, to: None };
            let runs: Runs = std::iter::once(rev(1)).collect();
            let fetch =
                FetchRequest { space: space(), runs, collections: None, from: rev(0), limit: 9, max_bytes: usize::MAX };
            let request = RowsRequest { space: space(), after: rev(0), limit: 9, max_bytes: usize::MAX };
            let id = RecordId::new("t0").unwrap();
            let bounds = source.store.purge_bounds(space(), older(source.state().await.modified_at)).await.unwrap();
            let phone = ClientName::new("phone").unwrap();
            for (what, answer) in [
                ("space", store.space(&space()).await.err()),
                ("pull", store.pull(pull("", None)).await.err()),
                ("record", store.record(space(), todos.clone(), id).await.err()),
                ("list", store.list(list).await.err()),
                ("manifest", store.manifest(manifest).await.err()),
                ("fetch", store.fetch(fetch).await.err()),
                ("rows", store.rows(request).await.err()),
                ("seqs", store.seqs(space(), None, 9).await.err()),
                ("purge", store.purge_step(space(), &bounds, 9).await.err()),
                ("bounds", store.purge_bounds(space(), older(NOON)).await.err()),
                ("forecast", store.forecast(space(), vec![older(NOON)], Costs::Told).await.err()),
                ("oldest", store.oldest_tombstone(space()).await.err()),
                ("clients", store.clients(space(), None, 9).await.err()),
                ("forget", store.forget_client(space(), phone.clone()).await.err()),
                ("anonymous", store.anonymous_pulls(space(), NOON).await.err()),
                ("samples", store.samples(space()).await.err()),
                ("epoch", store.open_epoch(space()).await.err()),
                ("delete", store.delete_space(space()).await.err()),
            ] {
                assert!(matches!(answer, Some(StoreError::NoSpace(_))), "{what}: {answer:?}");
            }
            // Nor does the sweep take it for what a deleted space left.
            assert_eq!(store.sweep_step(1000).await.unwrap(), 0);
        }
        copy(&source, &target).await.unwrap();
        assert_equal(&source, &target).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_given_up_is_swept_away_step_by_step() {
    for (source, target) in pairs_with_a_past().await {
        assert!(!target.store.discard_copy(space()).await.unwrap());
        copy_in_part(&source, &target, 7).await;
        assert!(target.store.discard_copy(space()).await.unwrap());
        assert!(!target.store.discard_copy(space()).await.unwrap());
        let mut steps = 0;
        while target.store.sweep_step(3).await.unwrap() > 0 {
            steps += 1;
        }
        assert!(steps >= 3, "{steps}");
        assert_eq!(
            copy(&source, &target).await.unwrap().rows,
            rows_after(&source, rev(0), 1000).await.rows.len() as u64
        );
        assert_equal(&source, &target).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_that_is_there_is_never_touched() {
    for (source, target) in pairs_with_a_past().await {
        // A client of the target makes one of that name while a copy is under way.
        copy_in_part(&source, &target, 1000).await;
        let under_way = target.store.begin_copy(source.state().await).await.unwrap();
        target.put("todos", "its own", "{}").await;
        let own: Arc<SpaceState> = target.state().await;
        let finished = target.store.finish_copy(&under_way, source.state().await).await;
        assert!(matches!(finished, Err(StoreError::SpaceExists(_))), "{finished:?}");
        let begun = target.store.begin_copy(source.state().await).await;
        assert!(matches!(begun, Err(StoreError::SpaceExists(_))), "{begun:?}");
        assert!(matches!(copy(&source, &target).await, Err(CopyError::Occupied(_))));
        assert_eq!(target.state().await, own);
        // Once it is gone, the copy goes on.
        target.store.delete_space(space()).await.unwrap();
        assert_eq!(copy(&source, &target).await.unwrap().rows, 0);
        assert_equal(&source, &target).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_and_equal_is_left_alone_whatever_either_side_purged_since() {
    for (source, target) in pairs_with_a_past().await {
        copy(&source, &target).await.unwrap();
        for purged in [None, Some(&target), Some(&source)] {
            if let Some(store) = purged {
                assert!(store.purge().await.tombstones > 0);
            }
            let again = copy(&source, &target).await.unwrap();
            assert!(again.already && again.rows == 0 && again.state == target.state().await);
        }
        source.put("todos", "t0", r#"{"only":"there"}"#).await;
        assert!(matches!(copy(&source, &target).await, Err(CopyError::Occupied(_))));
        target.put("todos", "t0", r#"{"only":"here, and longer"}"#).await;
        assert!(matches!(copy(&source, &target).await, Err(CopyError::Occupied(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_that_the_source_does_not_have_is_said_so() {
    for (source, target) in pairs().await {
        let missing = copy(&source, &target).await;
        assert!(matches!(missing, Err(CopyError::Source(StoreError::NoSpace(_)))), "{missing:?}");
        let seqs = source.store.seqs(space(), None, 1).await;
        assert!(matches!(seqs, Err(StoreError::NoSpace(_))), "{seqs:?}");
    }
}
