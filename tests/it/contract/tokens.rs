//! Tokens: kept by their hash, revoked for good, their sessions with them.

use std::time::Duration;

use strandline::access::{self, NewToken};
use strandline::copier;
use strandline::domain::Grants;
use strandline::domain::access::{Token, TokenHash, TokenId, TokenKind};

use super::fixture::{Fixture, NOON};

async fn issue(fixture: &Fixture, name: &str, lifetime: Option<Duration>) -> (Token, String) {
    let grants = Grants::parse(r#"[{"space":"team-*","access":"write","collections":["a","b"]}]"#).unwrap();
    let new = NewToken { name: name.parse().unwrap(), grants, lifetime };
    access::issue(&*fixture.store, &*fixture.clock, new).await.unwrap()
}

fn session_of(token: &Token, number: u8, expires_after: u64) -> Token {
    Token {
        id: TokenId::new(&format!("00000000000000{number:02}")).unwrap(),
        hash: TokenHash::of(&format!("ss_{number}")),
        kind: TokenKind::Session(Some(token.id.clone())),
        expires_at: Some(NOON.plus(Duration::from_secs(expires_after))),
        ..token.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_found_by_its_hash_as_it_was_made() {
    let mut fixture = Fixture::new().await;
    assert!(!fixture.store.has_tokens().await.unwrap());
    let (token, secret) = issue(&fixture, "nightly", Some(Duration::from_secs(60))).await;
    assert!(fixture.store.has_tokens().await.unwrap());
    fixture.reopen().await;
    let store = &fixture.store;
    assert_eq!(store.token(TokenHash::of(&secret)).await.unwrap(), Some(token.clone()));
    assert_eq!(store.issued_token(token.id.clone()).await.unwrap(), Some(token.clone()));
    assert_eq!(store.token(TokenHash::of("another")).await.unwrap(), None);
    assert!(!store.add_token(token.clone()).await.unwrap(), "it is there already");
    let other_id = Token { id: TokenId::new("0000000000000001").unwrap(), ..token };
    assert!(!store.add_token(other_id).await.unwrap(), "and so is its hash");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_listed_in_the_order_of_their_making_without_sessions() {
    let fixture = Fixture::new().await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(issue(&fixture, &format!("n{number}"), None).await.0);
        // Ids are ordered by the millisecond.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(fixture.store.add_token(session_of(&made[0], 1, 60)).await.unwrap());
    assert_eq!(fixture.store.tokens(None, 100).await.unwrap(), made);
    assert_eq!(fixture.store.tokens(Some(made[1].id.clone()), 2).await.unwrap(), made[2..4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_stays_so_and_its_sessions_are_gone() {
    let fixture = Fixture::new().await;
    let (token, secret) = issue(&fixture, "a", None).await;
    let (other, _) = issue(&fixture, "b", None).await;
    let store = &fixture.store;
    for session in [session_of(&token, 1, 60), session_of(&token, 2, 60), session_of(&other, 3, 60)] {
        assert!(store.add_token(session).await.unwrap());
    }
    let at = NOON.plus(Duration::from_secs(7));
    let revoked = store.revoke_token(token.id.clone(), at).await.unwrap().unwrap();
    assert_eq!(revoked, Token { revoked_at: Some(at), ..token.clone() });
    let again = store.revoke_token(token.id.clone(), at.plus(Duration::from_secs(1))).await.unwrap();
    assert_eq!(again, Some(revoked.clone()), "the first time counts");
    assert_eq!(store.token(TokenHash::of(&secret)).await.unwrap(), Some(revoked));
    for (session, there) in [("ss_1", false), ("ss_2", false), ("ss_3", true)] {
        assert_eq!(store.token(TokenHash::of(session)).await.unwrap().is_some(), there, "{session}");
    }
    assert_eq!(store.revoke_token(TokenId::new("ffffffffffffffff").unwrap(), at).await.unwrap(), None);
    let session = session_of(&other, 3, 60);
    assert_eq!(store.revoke_token(session.id, at).await.unwrap(), None, "a session is no token");
    store.end_session(TokenHash::of("ss_3")).await.unwrap();
    store.end_session(TokenHash::of("ss_3")).await.unwrap();
    assert_eq!(store.token(TokenHash::of("ss_3")).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_expired_are_removed_in_steps_and_tokens_stay() {
    let fixture = Fixture::new().await;
    let (token, secret) = issue(&fixture, "a", Some(Duration::from_secs(1))).await;
    for number in 1..=5 {
        let expires = if number == 5 { 600 } else { u64::from(number) };
        assert!(fixture.store.add_token(session_of(&token, number, expires)).await.unwrap());
    }
    let before = NOON.plus(Duration::from_secs(60));
    let mut steps = Vec::new();
    for _ in 0..3 {
        steps.push(fixture.store.expire_sessions(before, 3).await.unwrap());
    }
    assert_eq!(steps, [3, 1, 0]);
    assert!(fixture.store.token(TokenHash::of("ss_5")).await.unwrap().is_some());
    assert!(fixture.store.token(TokenHash::of(&secret)).await.unwrap().is_some(), "who was in can be told of");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_takes_the_tokens_along_and_what_was_revoked_since() {
    let (source, target) = (Fixture::new().await, Fixture::new().await);
    let (kept, secret) = issue(&source, "kept", None).await;
    let (lost, _) = issue(&source, "lost", None).await;
    source.store.add_token(session_of(&kept, 1, 60)).await.unwrap();
    assert_eq!(copier::copy_tokens(&*source.store, &*target.store).await.unwrap(), 2);
    let at = NOON.plus(Duration::from_secs(7));
    source.store.revoke_token(lost.id.clone(), at).await.unwrap();
    assert_eq!(copier::copy_tokens(&*source.store, &*target.store).await.unwrap(), 2);
    assert_eq!(target.store.token(TokenHash::of(&secret)).await.unwrap(), Some(kept));
    assert_eq!(target.store.issued_token(lost.id).await.unwrap().unwrap().revoked_at, Some(at));
    assert_eq!(target.store.token(TokenHash::of("ss_1")).await.unwrap(), None, "sessions are begun anew");
}
