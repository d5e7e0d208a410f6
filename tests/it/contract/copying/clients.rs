//! What clients know of a space holds of its copy: cursors of every kind, numbers, horizons and times.

use std::collections::BTreeMap;

use strandline::domain::push::Pushed;
use strandline::domain::repair::{FetchRequest, ManifestRequest};
use strandline::domain::{Change, CollectionName, Runs};

use super::*;

/// Every `since` that a client of this space may have, over every choice of collections.
async fn pulls(store: &Fixture) -> Vec<(String, Option<&'static str>)> {
    let state = store.state().await;
    let mut sinces: Vec<String> =
        ["", "now", "2026-11-22T20:02:00Z", "2026-11-22T20:06:00Z", "2027-01-01T00:00:00Z", "never.3", "never.3.p"]
            .map(String::from)
            .into();
    for rev in 0..=state.head.get() + 1 {
        sinces.push(rev.to_string());
        for (epoch, _) in state.lineage.entries() {
            sinces.extend([format!("{epoch}.{rev}"), format!("{epoch}.{rev}.p"), format!("{epoch}.{rev}.{rev}")]);
        }
    }
    let mut pulls: Vec<_> = sinces.iter().map(|since| (since.clone(), None)).collect();
    for choice in ["todos", "lists,notes"] {
        let scope = strandline::domain::Collections::parse(choice).unwrap().scope();
        let scoped = |since: &String| if since.contains('.') { format!("{since}~{scope}") } else { since.clone() };
        pulls.extend(sinces.iter().map(|since| (scoped(since), Some(choice))));
        // Earned over everything: another choice now.
        pulls.push((format!("{}.{}", state.epoch(), state.head), Some(choice)));
    }
    pulls
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cursor_is_answered_as_before() {
    for (source, target) in pairs_with_a_past().await {
        at_once(&source, &target);
        copy(&source, &target).await.unwrap();
        assert_equal(&source, &target).await;
        let mut kinds = BTreeMap::new();
        for (since, choice) in pulls(&source).await {
            for limit in [2, 1000] {
                let there = format!("{:?}", source.pulled(&since, choice, limit).await);
                assert_eq!(format!("{:?}", target.pulled(&since, choice, limit).await), there, "{since} {choice:?}");
                let kind = there.split_once("shared_rev").map_or_else(
                    || if there.contains("has_more: true") { "under way" } else { "whole" },
                    |_| if there.contains("Purged") { "purged" } else { "another resync" },
                );
                *kinds.entry(kind).or_insert(0) += 1;
            }
        }
        // None of them went untried.
        assert_eq!(kinds.len(), 4, "{kinds:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_under_way_goes_on_to_the_end_and_is_right() {
    for (source, target) in pairs_with_a_past().await {
        copy(&source, &target).await.unwrap();
        for first in ["", "0"] {
            // It begins at the source, and goes on wherever a server now answers.
            let (mut replica, mut since) = (BTreeMap::new(), first.to_owned());
            for server in std::iter::once(&source).chain(std::iter::repeat(&target)) {
                if first == "0" && since == "0" {
                    // Behind the horizon from the start: there as here.
                    assert_eq!(server.resync(&since).await, target.resync(&since).await);
                    break;
                }
                let page = page(server.pulled(&since, None, 2).await);
                replica.extend(
                    page.changes.into_iter().map(|change| ((change.collection.clone(), change.id.clone()), change)),
                );
                since = page.cursor.to_string();
                if let Some((count, checksum)) = page.check {
                    replica.retain(|_, change: &mut Change| !change.is_deleted());
                    assert_eq!(replica.len() as u64, count);
                    assert_eq!(
                        replica.values().map(|change| change.rev).collect::<strandline::domain::Checksum>(),
                        checksum
                    );
                    break;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_lists_manifests_and_fetches_are_the_same() {
    for (source, target) in pairs_with_a_past().await {
        copy(&source, &target).await.unwrap();
        let told = async |store: &Fixture| {
            let mut told = Vec::new();
            for (collection, id) in
                [("todos", "t0"), ("todos", "t1"), ("notes", "a/b c"), ("todos", "purged"), ("x", "y")]
            {
                let id = strandline::domain::RecordId::new(id).unwrap();
                let record = store.store.record(space(), CollectionName::new(collection).unwrap(), id).await.unwrap();
                told.push(format!("{record:?}"));
            }
            let list = strandline::store::ListRequest {
                space: space(),
                collection: CollectionName::new("todos").unwrap(),
                after: None,
                limit: 3,
                max_bytes: usize::MAX,
            };
            told.push(format!("{:?}", store.store.list(list).await.unwrap()));
            let manifest = ManifestRequest { space: space(), collections: None, from: None, to: None };
            let manifest = store.store.manifest(manifest).await.unwrap();
            let runs: Runs = manifest.runs.clone();
            told.push(format!("{manifest:?}"));
            let fetch = FetchRequest {
                space: space(),
                runs,
                collections: None,
                from: rev(0),
                limit: 1000,
                max_bytes: usize::MAX,
            };
            told.push(format!("{:?}", store.store.fetch(fetch).await.unwrap()));
            told.push(format!("{:?}", store.forecast(store.state().await.modified_at).await));
            told
        };
        assert_eq!(told(&source).await, told(&target).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_sent_again_is_still_a_duplicate_and_a_new_one_takes_the_next_revision() {
    for (source, target) in pairs_with_a_past().await {
        copy(&source, &target).await.unwrap();
        let again = || numbered("phone", 7, "p", put_op(r#"{"by":"phone"}"#));
        let [there, here] = [source.store.push(again()).await.unwrap(), target.store.push(again()).await.unwrap()];
        assert_eq!(format!("{there:?}"), format!("{here:?}"));
        assert!(matches!(here, Pushed::Done(answer) if answer.duplicate));
        // The next number is new, and so is a client that nobody knows.
        let before = target.state().await;
        for (client, seq) in [("phone", 8), ("watch", 1)] {
            let pushed = target.store.push(numbered(client, seq, &format!("by-{client}"), put_op("{}"))).await.unwrap();
            assert!(matches!(pushed, Pushed::Done(answer) if !answer.duplicate));
        }
        let after = target.state().await;
        assert_eq!(after.head, before.head.plus(2));
        // The target's clock stands before the source's last change, and time does not go back for that.
        assert_eq!(after.modified_at, before.modified_at);
        assert_eq!((after.epoch(), after.created_at), (before.epoch(), before.created_at));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_the_space_in_the_target_is_woken() {
    for (source, target) in pairs_with_a_past().await {
        let mut waiting = target.feed.subscribe(&space());
        copy(&source, &target).await.unwrap();
        let woken = tokio::time::timeout(std::time::Duration::from_secs(10), waiting.woken()).await.unwrap();
        assert_eq!(woken, strandline::feed::Woken::Changed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_space_is_copied_too() {
    for (source, target) in pairs().await {
        source.store.configure(space(), PolicyChange::default()).await.unwrap();
        let copied = copy(&source, &target).await.unwrap();
        assert_eq!((copied.rows, copied.already), (0, false));
        assert_equal(&source, &target).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_again_is_where_it_began() {
    for (source, target) in pairs_with_a_past().await {
        let back = Fixture::new().await;
        copy(&source, &target).await.unwrap();
        copy(&target, &back).await.unwrap();
        assert_equal(&source, &back).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_the_target_later_opens_no_new_epoch() {
    for (source, mut target) in pairs_with_a_past().await {
        // The target once had another space of that name, and remembers its head.
        for n in 0..50 {
            target.put("todos", &format!("old{n}"), "{}").await;
        }
        target.reopen().await;
        target.store.delete_space(space()).await.unwrap();
        copy(&source, &target).await.unwrap();
        for _ in 0..2 {
            target.reopen().await;
            assert_equal(&source, &target).await;
        }
    }
}
