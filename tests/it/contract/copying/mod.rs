//! Copying a space from one store to another: its clients notice nothing, whatever happens on the way. Every case is tried
//! from each kind of store to each, as far as the suites run over it now.

mod clients;
mod going_on;
mod verifying;

use std::sync::Arc;

use strandline::copier::{self, Copied, CopyError};
use strandline::domain::client::{KnownClient, Place};
use strandline::domain::push::{Base, Op, PushRequest};
use strandline::domain::{Allowance, ClientName, Clock, Collections, QuotaChange, Rev};
use strandline::store::{Batch, CopyUnderWay, PolicyChange, RowsRequest, Sightings};

use super::fixture::*;
use crate::support::{Home, over_postgres};

/// A store to copy from and one to copy to, both empty, for every direction.
pub async fn pairs() -> Vec<(Fixture, Fixture)> {
    let file = Home::on_a_file as fn() -> Home;
    let directions: &[[fn() -> Home; 2]] =
        if over_postgres() { &[[file, Home::new], [Home::new, file], [Home::new; 2]] } else { &[[file; 2]] };
    let mut pairs = Vec::new();
    for [source, target] in directions {
        pairs.push((Fixture::at(source()).await, Fixture::at(target()).await));
    }
    pairs
}

/// The same, with a past in the source.
pub async fn pairs_with_a_past() -> Vec<(Fixture, Fixture)> {
    let pairs = pairs().await;
    for (source, _) in &pairs {
        give_a_past(source).await;
    }
    pairs
}

/// Copies the space as the command line does.
pub async fn copy(source: &Fixture, target: &Fixture) -> Result<Copied, CopyError> {
    copier::copy(&*source.store, &*target.store, &space(), &mut |_| {}).await
}

/// Begins a copy and writes its first `rows` rows; a copier that was interrupted there leaves just this.
pub async fn copy_in_part(source: &Fixture, target: &Fixture, rows: usize) -> CopyUnderWay {
    let copy = target.store.begin_copy(source.state().await).await.unwrap();
    let batch = rows_after(source, copy.newest, rows).await;
    target.store.copy_rows(&copy, batch.rows).await.unwrap();
    copy
}

pub async fn rows_after(source: &Fixture, after: Rev, limit: usize) -> Batch {
    let request = RowsRequest { space: space(), after, limit, max_bytes: usize::MAX };
    source.store.rows(request).await.unwrap()
}

/// The copy is what the source has, in every way that a store tells.
pub async fn assert_equal(source: &Fixture, target: &Fixture) {
    assert_eq!(source.state().await, target.state().await);
    let [there, here] = [rows_after(source, Rev::ZERO, 10_000).await, rows_after(target, Rev::ZERO, 10_000).await];
    assert_eq!(there.rows, here.rows);
    let seqs = async |store: &Fixture| store.store.seqs(space(), None, 10_000).await.unwrap();
    assert_eq!(seqs(source).await, seqs(target).await);
    let seen = async |store: &Fixture| store.store.clients(space(), None, 10_000).await.unwrap();
    assert_eq!(seen(source).await, seen(target).await);
    assert_eq!(source.everything(3).await, target.everything(3).await);
}

/// A push with a number, by a client of that name.
pub fn numbered(client: &str, seq: u64, id: &str, op: Op) -> PushRequest {
    PushRequest {
        changes: vec![proposal("todos", id, Base::Absent, op)],
        seq: Some((ClientName::new(client).unwrap(), seq)),
        ..push()
    }
}

/// A space with a past: three epochs, two collections with tombstones and horizons, one of which nothing is left,
/// clients with numbers, a policy of its own, and times that differ.
async fn give_a_past(store: &Fixture) {
    let policy = PolicyChange {
        retention: Some("7d".parse().unwrap()),
        hold_for_clients: Some(true),
        max_retention: Some("60d".parse().unwrap()),
        max_tombstones: Some(Some(1_000_000)),
    };
    store.store.configure(space(), policy).await.unwrap();
    let quota =
        QuotaChange { records: Some(Allowance::Limited(100)), bytes: Some(Allowance::Unlimited), record_bytes: None };
    store.store.set_quota(space(), quota).await.unwrap();
    for n in 0..6 {
        store.put("todos", &format!("t{n}"), &format!(r#"{{"n":{n},"price":1.10,"é":"\u0000\ud800"}}"#)).await;
        store.advance(60);
    }
    store.put("lists", "gone", "{}").await;
    store.delete("lists", "gone").await;
    store.put("todos", "purged", "{}").await;
    store.delete("todos", "purged").await;
    store.advance(60);
    store.purge().await;
    store.store.open_epoch(space()).await.unwrap();
    store.put("todos", "t0", r#"{"n":"again"}"#).await;
    store.put("notes", "a/b c", r#"{"long":[1,2,3]}"#).await;
    store.delete("todos", "t1").await;
    store.store.push(numbered("phone", 7, "p", put_op(r#"{"by":"phone"}"#))).await.unwrap();
    store.advance(60);
    store.store.open_epoch(space()).await.unwrap();
    store.store.push(numbered("tablet", 1, "t2", put_op("{}"))).await.unwrap();
    store.delete("notes", "a/b c").await;
    store.put("todos", "t1", r#"{"risen":true}"#).await;
    let seen = |name: &str, rev: u64, collections: Option<&str>| {
        let collections = collections.map(|names| Collections::parse(names).unwrap());
        let place = Place { rev: Rev::new(rev).unwrap(), cursor: None, collections };
        let name = ClientName::new(name).unwrap();
        (space(), KnownClient { name, place, agent: Some("app/1.0".into()), seen_at: store.clock.now() })
    };
    let clients = vec![seen("phone", 9, None), seen("tablet", 4, Some("lists,notes"))];
    store.store.note_clients(Sightings { clients, anonymous: Vec::new() }).await.unwrap();
}

/// Turns the target's clock to the source's time.
pub fn at_once(source: &Fixture, target: &Fixture) {
    target.clock.set(source.clock.now());
}

pub fn names(states: &[Arc<strandline::domain::SpaceState>]) -> Vec<String> {
    states.iter().map(|state| state.name.to_string()).collect()
}
