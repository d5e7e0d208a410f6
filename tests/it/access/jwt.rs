//! JWTs of other issuers: their keys, wherever these come from, and what their claims allow.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use strandline::access::{JwtOptions, Jwts};

use super::issuer::{Issuer, SECRET};
use super::page::log_in;
use super::routes::claims;
use crate::support::{Server, Web};

#[tokio::test(flavor = "multi_thread")]
async fn each_algorithm_of_the_protocol_opens_the_door() {
    let issuer = Issuer::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), issuer.jwks().to_string()).unwrap();
    let keys = Some(file.path().to_str().unwrap().parse().unwrap());
    let server =
        Server::start_for(JwtOptions { keys, secret: Some(SECRET.to_vec().into()), ..JwtOptions::default() }).await;
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::HS256] {
        for (change, status) in [
            (json!({}), 200),
            (json!({"iss": "anybody", "aud": null}), 200),
            (json!({"exp": server.now() - 59, "nbf": server.now() + 59}), 200),
            (json!({"exp": server.now() - 60}), 401),
        ] {
            let token = issuer.sign(algorithm, &claims(&server, &change));
            let answer = server.get_as(&token, "/v1/spaces").await;
            assert_eq!(answer.status, status, "{algorithm:?} {change}: {}", answer.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_of_an_app_has_a_space_without_anything_being_issued() {
    let options = JwtOptions {
        secret: Some(SECRET.to_vec().into()),
        template: Some("user-{sub}:write".parse().unwrap()),
        ..JwtOptions::default()
    };
    let (server, issuer) = (Server::start_for(options).await, Issuer::new());
    let token = |sub: &str, grants: Value| {
        issuer.sign(Algorithm::HS256, &claims(&server, &json!({"sub": sub, "strandline": grants})))
    };
    let (anna, ben) = (
        token("anna", Value::Null),
        token("ben", json!([{"space": "user-anna", "access": "read", "collections": ["shared"]}])),
    );
    let push = |collection: &str| json!({"changes": [{"collection": collection, "id": "a", "data": {}}]});
    server.send_as(&anna, "POST", "/v1/spaces/user-anna/push", &push("private")).await.expect(200);
    server.send_as(&anna, "POST", "/v1/spaces/user-anna/push", &push("shared")).await.expect(200);
    server.send_as(&anna, "POST", "/v1/spaces/user-ben/push", &push("x")).await.problem(404, "not_found");
    server.send_as(&anna, "DELETE", "/v1/spaces/user-anna", &Value::Null).await.problem(403, "forbidden");
    // What a token says of itself comes to that.
    assert_eq!(server.get_as(&ben, "/v1/spaces/user-anna/changes").await.expect(200)["count"], 1);
    server.send_as(&ben, "POST", "/v1/spaces/user-anna/push", &push("shared")).await.problem(403, "forbidden");
    server.send_as(&ben, "POST", "/v1/spaces/user-ben/push", &push("x")).await.expect(200);
    for sub in ["*", "anna*", "Anna", "../anna", "anna%2a"] {
        let spaces = server.get_as(&token(sub, Value::Null), "/v1/spaces").await.expect(200);
        assert_eq!(spaces["spaces"], json!([]), "{sub}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_nothing_comes_in_and_sees_nothing() {
    let server = Server::start_for(JwtOptions { secret: Some(SECRET.to_vec().into()), ..JwtOptions::default() }).await;
    for grants in [json!([]), Value::Null] {
        let token = Issuer::new().sign(Algorithm::HS256, &claims(&server, &json!({"strandline": grants})));
        assert_eq!(server.get_as(&token, "/v1/spaces").await.expect(200)["spaces"], json!([]), "{grants}");
        server.get_as(&token, "/v1/spaces/demo").await.problem(404, "not_found");
        let session = log_in(&server, &token).await;
        let page = server.get_with("/", &[("cookie", &session)]).await;
        assert_eq!(page.status, 200, "{grants}: {}", page.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_are_fetched_when_a_token_names_one_but_not_for_every_name() {
    let issuer = Arc::new(Mutex::new(Issuer::new()));
    let (asked, keys) = (Arc::<AtomicUsize>::default(), Arc::clone(&issuer));
    let counter = Arc::clone(&asked);
    let web = Web::start(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        (200, keys.lock().unwrap().jwks().to_string())
    });
    let options = JwtOptions { keys: Some(web.url("/keys").parse().unwrap()), ..JwtOptions::default() };
    let server = Server::start_for(options).await;
    let status = async || {
        let token = issuer.lock().unwrap().sign(Algorithm::ES256, &claims(&server, &json!({})));
        server.get_as(&token, "/v1/spaces").await.status
    };
    assert_eq!((status().await, asked.load(Ordering::SeqCst)), (200, 1), "once, at the start");
    *issuer.lock().unwrap() = Issuer::of_generation(2);
    assert_eq!((status().await, asked.load(Ordering::SeqCst)), (200, 2), "again for the new one");
    for generation in 3..10 {
        // Names that somebody makes up: the keys themselves have not changed.
        let made_up = Issuer::of_generation(generation);
        let token = made_up.sign(Algorithm::ES256, &claims(&server, &json!({})));
        server.get_as(&token, "/v1/spaces").await.problem(401, "unauthorized");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2, "at most once a minute");
    assert_eq!(status().await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_keys_cannot_be_had_yet_a_jwt_is_told_to_come_again() {
    let issuer = Issuer::new();
    let (there, keys) = (Arc::<AtomicUsize>::default(), issuer.jwks().to_string());
    let open = Arc::clone(&there);
    let web =
        Web::start(move |_| if open.load(Ordering::SeqCst) == 0 { (500, "no".into()) } else { (200, keys.clone()) });
    let options = JwtOptions { keys: Some(web.url("/keys").parse().unwrap()), ..JwtOptions::default() };
    let server = Server::start_for(options).await;
    let token = issuer.sign(Algorithm::RS256, &claims(&server, &json!({})));
    let answer = server.get_as(&token, "/v1/spaces").await;
    answer.problem(503, "unavailable");
    assert!(!answer.header("retry-after").is_empty());
    server.get("/v1/spaces").await.problem(401, "unauthorized");
    server.get_as("garbage", "/v1/spaces").await.problem(401, "unauthorized");
    there.store(1, Ordering::SeqCst);
    let begun = Instant::now();
    while server.get_as(&token, "/v1/spaces").await.status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not ask again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_none_are_refused_at_the_start() {
    let write = |text: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    };
    let mut short = Issuer::new().jwks();
    short["keys"][0]["n"] = json!("AQAB");
    short["keys"].as_array_mut().unwrap().truncate(1);
    for (text, says) in [
        ("", "no JWK set"),
        ("{\"keys\": []}", "no key for RS256"),
        ("{\"keys\": [{\"kty\": \"EC\", \"crv\": \"P-384\", \"x\": \"AQAB\", \"y\": \"AQAB\"}]}", "no key for"),
        (&short.to_string(), "no key for"),
    ] {
        let file = write(text);
        let keys = Some(file.path().to_str().unwrap().parse().unwrap());
        let fault = Jwts::new(JwtOptions { keys, ..JwtOptions::default() }).await.err().unwrap();
        assert!(fault.contains(says) && fault.contains(file.path().to_str().unwrap()), "{fault}");
    }
    let secret = Some(b"too short".to_vec().into());
    let fault = Jwts::new(JwtOptions { secret, ..JwtOptions::default() }).await.err().unwrap();
    assert!(fault.contains("32 bytes"), "{fault}");
    let issuer = Some("x".into());
    let fault = Jwts::new(JwtOptions { issuer, ..JwtOptions::default() }).await.err().unwrap();
    assert!(fault.contains("no key"), "{fault}");
    // What no configuration has is what no server asks for.
    assert!(Jwts::new(JwtOptions::default()).await.unwrap().is_none());
}
