//! Records, lists, manifest and fetch, as §5 and §6 have them, at the level of the store.

use super::fixture::*;
use strandline::domain::repair::{FetchRequest, ManifestRequest};
use strandline::domain::{CollectionName, Collections, RecordId, Rev, Runs};
use strandline::store::{ListRequest, StoreError};

fn manifest() -> ManifestRequest {
    ManifestRequest { space: space(), collections: None, from: None, to: None }
}

fn fetch(counts: &[u64]) -> FetchRequest {
    FetchRequest {
        space: space(),
        collections: None,
        runs: Runs::new(counts.to_vec()).unwrap(),
        from: Rev::ZERO,
        limit: 100,
        max_bytes: usize::MAX,
    }
}

/// Six records in two collections: live at 1, 3, 4 and 8, dead at 6 and 7.
async fn sample() -> Fixture {
    let store = Fixture::new().await;
    store.put("todos", "a", "{}").await;
    store.put("todos", "b", "{}").await;
    store.put("lists", "c", "{}").await;
    store.put("todos", "d", "{}").await;
    store.put("lists", "e", "{}").await;
    store.delete("todos", "b").await;
    store.delete("lists", "e").await;
    store.put("todos", "f", "{}").await;
    store
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_the_exact_set_of_live_revisions() {
    let store = sample().await;
    let todos = Some(Collections::parse("todos").unwrap());
    for (request, runs) in [
        (manifest(), vec![0, 1, 1, 2, 3, 1]),
        (ManifestRequest { collections: todos.clone(), ..manifest() }, vec![0, 1, 2, 1, 3, 1]),
        (ManifestRequest { from: Some(rev(3)), to: Some(rev(7)), ..manifest() }, vec![2, 2]),
        (ManifestRequest { from: Some(rev(5)), to: Some(rev(7)), ..manifest() }, vec![]),
    ] {
        let part = request.from.is_some();
        let scoped = request.collections.is_some();
        let got = store.store.manifest(request).await.unwrap();
        assert_eq!(got.runs.counts(), runs);
        assert_eq!(got.count, got.runs.len());
        assert_eq!(got.cursor.is_none(), part);
        if let Some(cursor) = got.cursor {
            assert!(cursor.to_string().starts_with(&format!("{}.8.p", got.epoch)), "{cursor}");
            assert_eq!(cursor.scope.is_some(), scoped);
            let tally = store.state().await.tally(todos.as_ref().filter(|_| scoped));
            assert_eq!((got.count, got.checksum), (tally.live, tally.checksum));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fetch_gives_the_live_records_that_have_these_revisions() {
    let store = sample().await;
    let all = store.store.fetch(fetch(&[0, 100])).await.unwrap();
    assert_eq!(brief(&all.changes), ["a@1", "c@3", "d@4", "f@8"]);
    assert_eq!(all.next, None);
    let some = store.store.fetch(fetch(&[1, 2, 1, 2])).await.unwrap();
    assert_eq!(brief(&some.changes), ["c@3"]);
    let lists = Some(Collections::parse("lists").unwrap());
    let lists = store.store.fetch(FetchRequest { collections: lists, ..fetch(&[0, 100]) }).await.unwrap();
    assert_eq!(brief(&lists.changes), ["c@3"]);
    // Page by page.
    let first = store.store.fetch(FetchRequest { limit: 3, ..fetch(&[0, 2, 1, 50]) }).await.unwrap();
    assert_eq!(brief(&first.changes), ["a@1", "d@4", "f@8"]);
    assert_eq!(first.next, None);
    let first = store.store.fetch(FetchRequest { limit: 1, ..fetch(&[0, 2, 1, 50]) }).await.unwrap();
    assert_eq!((brief(&first.changes), first.next), (vec!["a@1".to_owned()], Some(rev(4))));
    let next = FetchRequest { limit: 10, from: rev(4), ..fetch(&[0, 2, 1, 50]) };
    assert_eq!(brief(&store.store.fetch(next).await.unwrap().changes), ["d@4", "f@8"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_in_order_of_id_by_bytes() {
    let store = Fixture::new().await;
    for id in ["b", "a", "é", "B", "z", "日"] {
        store.put("todos", id, "{}").await;
    }
    store.delete("todos", "z").await;
    let request = |after: Option<&str>, limit| ListRequest {
        space: space(),
        collection: CollectionName::new("todos").unwrap(),
        after: after.map(|id| RecordId::new(id).unwrap()),
        limit,
        max_bytes: usize::MAX,
    };
    let all = store.store.list(request(None, 10)).await.unwrap();
    assert_eq!(brief(&all.records), ["B@4", "a@2", "b@1", "é@3", "日@6"]);
    assert_eq!(all.after, None);
    let two = store.store.list(request(Some("a"), 2)).await.unwrap();
    assert_eq!((brief(&two.records), two.after.unwrap().as_str()), (vec!["b@1".to_owned(), "é@3".to_owned()], "é"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_there_or_a_tombstone_or_nothing() {
    let store = sample().await;
    let get = async |collection: &str, id: &str| {
        let (collection, id) = (CollectionName::new(collection).unwrap(), RecordId::new(id).unwrap());
        store.store.record(space(), collection, id).await.unwrap()
    };
    assert_eq!(get("todos", "d").await.unwrap().rev, rev(4));
    assert!(get("todos", "b").await.unwrap().is_deleted());
    assert_eq!(get("todos", "c").await, None);
    assert_eq!(get("never", "c").await, None);
    let nowhere = store.store.record("other".parse().unwrap(), "todos".parse().unwrap(), RecordId::new("a").unwrap());
    assert!(matches!(nowhere.await, Err(StoreError::NoSpace(_))));
}
