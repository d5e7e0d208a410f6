//! Every route with every kind of caller, held against a table.

use std::collections::BTreeSet;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use strandline::access::JwtOptions;

use super::fill;
use super::issuer::{Issuer, SECRET, raw};
use crate::support::{Answer, Server};

/// What each kind of caller gets at each route: `ok` it comes in; a status it is turned away with.
///
/// - nobody: no credential, or a bad one, of each kind there is; `ok` is what is open to everybody, the login among it
/// - other: administers another space
/// - lists: may write the collection `lists` of the space, and no other
/// - manager: administers the collection `lists` of the space, and no other
/// - read, write, admin: have this access to the space
/// - prefix: administers the spaces that begin with `de`
/// - root: administers everything
const TABLE: &str = "
    route                                                nobody other lists manager read write admin prefix root
    GET    /v1/spaces/{space}/changes                    401    404   ok    ok      ok   ok    ok    ok     ok
    POST   /v1/spaces/{space}/push                       401    404   ok    ok      403  ok    ok    ok     ok
    GET    /v1/spaces/{space}/records/{collection}/{id}  401    404   403   403     ok   ok    ok    ok     ok
    PUT    /v1/spaces/{space}/records/{collection}/{id}  401    404   403   403     403  ok    ok    ok     ok
    PATCH  /v1/spaces/{space}/records/{collection}/{id}  401    404   403   403     403  ok    ok    ok     ok
    DELETE /v1/spaces/{space}/records/{collection}/{id}  401    404   403   403     403  ok    ok    ok     ok
    GET    /v1/spaces/{space}/records/{collection}       401    404   403   403     ok   ok    ok    ok     ok
    POST   /v1/spaces/{space}/records/{collection}       401    404   403   403     403  ok    ok    ok     ok
    GET    /v1/spaces/{space}/manifest                   401    404   ok    ok      ok   ok    ok    ok     ok
    POST   /v1/spaces/{space}/fetch                      401    404   ok    ok      ok   ok    ok    ok     ok
    GET    /v1/spaces/{space}                            401    404   ok    ok      ok   ok    ok    ok     ok
    PUT    /v1/spaces/{space}                            401    404   403   403     403  403   ok    ok     ok
    DELETE /v1/spaces/{space}                            401    404   403   403     403  403   ok    ok     ok
    GET    /v1/spaces/{space}/quota                      401    404   ok    ok      ok   ok    ok    ok     ok
    PUT    /v1/spaces/{space}/quota                      401    404   403   403     403  403   ok    ok     ok
    GET    /v1/spaces/{space}/retention                  401    404   ok    ok      ok   ok    ok    ok     ok
    PUT    /v1/spaces/{space}/retention                  401    404   403   403     403  403   ok    ok     ok
    GET    /v1/spaces/{space}/retention/plan             401    404   403   403     403  403   ok    ok     ok
    GET    /v1/spaces/{space}/retention/state            401    404   403   403     403  403   ok    ok     ok
    POST   /v1/spaces/{space}/compact                    401    404   403   403     403  403   ok    ok     ok
    GET    /v1/spaces/{space}/clients                    401    404   403   403     403  403   ok    ok     ok
    DELETE /v1/spaces/{space}/clients/{client}           401    404   403   403     403  403   ok    ok     ok
    GET    /v1/spaces/{space}/stats                      401    404   403   403     403  403   ok    ok     ok
    GET    /v1/spaces                                    401    ok    ok    ok      ok   ok    ok    ok     ok
    GET    /v1/tokens                                    401    ok    403   ok      403  403   ok    ok     ok
    POST   /v1/tokens                                    401    ok    403   ok      403  403   ok    ok     ok
    DELETE /v1/tokens/{token_id}                         401    ok    403   ok      403  403   ok    ok     ok
    GET    /metrics                                      401    403   403   403     403  403   403   403    ok
    GET    /openapi.json                                 ok     ok    ok    ok      ok   ok    ok    ok     ok
    GET    /healthz                                      ok     ok    ok    ok      ok   ok    ok    ok     ok
    GET    /readyz                                       ok     ok    ok    ok      ok   ok    ok    ok     ok
    GET    /                                             ok     ok    ok    ok      ok   ok    ok    ok     ok
    POST   /session                                      ok     ok    ok    ok      ok   ok    ok    ok     ok
    POST   /session/end                                  ok     ok    ok    ok      ok   ok    ok    ok     ok
    GET    /dashboard/app.js                             ok     ok    ok    ok      ok   ok    ok    ok     ok
    GET    /dashboard/app.css                            ok     ok    ok    ok      ok   ok    ok    ok     ok
    GET    /dashboard/events                             401    ok    ok    ok      ok   ok    ok    ok     ok
    GET    /no/such/path                                 401    ok    ok    ok      ok   ok    ok    ok     ok
";

/// Routes of the page, and none at all, of which the description says nothing.
const UNDESCRIBED: [&str; 6] = [
    "POST /session",
    "POST /session/end",
    "GET /dashboard/app.js",
    "GET /dashboard/app.css",
    "GET /dashboard/events",
    "GET /no/such/path",
];

struct Row {
    method: String,
    path: String,
    cells: Vec<String>,
}

/// The names of the columns, and the rows.
fn table() -> (Vec<&'static str>, Vec<Row>) {
    let mut lines =
        TABLE.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).filter(|line| !line.is_empty());
    let columns = lines.next().unwrap()[1..].to_vec();
    let row = |line: Vec<&str>| {
        let cells: Vec<String> = line[2..].iter().map(ToString::to_string).collect();
        assert_eq!(cells.len(), columns.len(), "{line:?}");
        Row { method: line[0].into(), path: line[1].into(), cells }
    };
    let rows = lines.map(row).collect();
    (columns, rows)
}

/// A space, a collection, a record, a client and a token that are there or may be.
fn filled(path: &str) -> String {
    let names = [("{space}", "demo"), ("{collection}", "todos"), ("{id}", "a"), ("{client}", "phone")];
    let path = names.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value));
    path.replace("{token_id}", "019ac0ffee00b33f")
}

/// A request that changes nothing even if it is let in: a parameter that no route knows is refused by the handler.
async fn probe(server: &Server, row: &Row, headers: &[(&str, &str)]) -> Answer {
    server.send(&row.method, &format!("{}?sure=no", filled(&row.path)), headers, "").await
}

/// Whether it came in: the handler itself answers.
fn came_in(answer: &Answer, row: &Row) -> bool {
    if row.path == "/no/such/path" {
        return answer.status == 404 && answer.text().contains("there is nothing at");
    }
    answer.status == 400 && answer.text().contains("\\\"sure\\\" is unknown")
}

async fn server() -> (Server, Issuer) {
    let issuer = Issuer::new();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys.json");
    std::fs::write(&file, issuer.jwks().to_string()).unwrap();
    let options = JwtOptions {
        keys: Some(file.to_str().unwrap().parse().unwrap()),
        secret: Some(SECRET.to_vec().into()),
        issuer: Some("https://login.example".into()),
        audience: vec!["strandline".into(), "other".into()],
        template: None,
    };
    let server = Server::start_for(options).await;
    (server, issuer)
}

/// Claims that are good, but for what `change` says.
pub fn claims(server: &Server, change: &Value) -> Value {
    let now = server.now();
    let mut claims = json!({
        "sub": "anna", "iss": "https://login.example", "aud": ["x", "strandline"], "exp": now + 3600, "nbf": now, "iat": now,
        "strandline": [{"space": "*", "access": "admin"}],
    });
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_the_table_says() {
    let (columns, rows) = table();
    let document = serde_json::to_value(strandline::http::openapi_document()).unwrap();
    let described = document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    let all: BTreeSet<String> = described.chain(UNDESCRIBED.map(String::from)).collect();
    let listed: BTreeSet<String> = rows.iter().map(|row| format!("{} {}", row.method, row.path)).collect();
    assert_eq!(all, listed, "the table has every route, and no other");

    let (server, issuer) = server().await;
    let root = issuer.sign(Algorithm::ES256, &claims(&server, &json!({})));
    let push = json!({"changes": [{"collection": "todos", "id": "a", "data": {}}]});
    server.send_as(&root, "POST", "/v1/spaces/demo/push", &push).await.expect(200);
    let mut tokens = Vec::new();
    for column in &columns[1..] {
        let grant = match *column {
            "other" => json!({"space": "other", "access": "admin"}),
            "lists" => json!({"space": "demo", "access": "write", "collections": ["lists"]}),
            "manager" => json!({"space": "demo", "access": "admin", "collections": ["lists"]}),
            "read" | "write" | "admin" => json!({"space": "demo", "access": column}),
            "prefix" => json!({"space": "de*", "access": "admin"}),
            "root" => json!({"space": "*", "access": "admin"}),
            other => panic!("nobody is called {other}"),
        };
        tokens.push(format!("Bearer {}", server.issue(&root, &json!([grant])).await));
    }
    for row in &rows {
        let mut methods = vec![row.method.as_str()];
        if row.method == "GET" {
            methods.push("HEAD");
        }
        for method in methods {
            let row = Row { method: method.into(), path: row.path.clone(), cells: row.cells.clone() };
            for (place, column) in columns.iter().enumerate().skip(1) {
                let answer = probe(&server, &row, &[("authorization", &tokens[place - 1])]).await;
                judge(&answer, &row, &row.cells[place], column);
            }
            let answer = probe(&server, &row, &[]).await;
            judge(&answer, &row, &row.cells[0], "nobody");
        }
    }
}

#[track_caller]
fn judge(answer: &Answer, row: &Row, expected: &str, who: &str) {
    let what = format!("{} {} for {who}: {} {}", row.method, row.path, answer.status, answer.text());
    // An answer to HEAD has no body to tell by.
    let let_in = if row.method == "HEAD" { matches!(answer.status, 400 | 404) } else { came_in(answer, row) };
    match expected {
        "ok" => assert!(let_in, "{what}"),
        status => {
            assert_eq!(answer.status.to_string(), status, "{what}");
            if row.method == "HEAD" {
                return;
            }
            let code = match status {
                "401" => "unauthorized",
                "403" => "forbidden",
                _ => "not_found",
            };
            answer.problem(answer.status, code);
            if code == "unauthorized" {
                assert_eq!(answer.header("www-authenticate"), "Bearer", "{what}");
            }
            if code == "not_found" {
                answer.problem_about(404, "not_found", "there is no space named demo");
            }
        }
    }
}

/// Credentials that are worth nothing, each with what it is.
async fn bad_credentials(server: &Server, issuer: &Issuer, root: &str) -> Vec<(&'static str, String)> {
    let everything = json!([{"space": "*", "access": "admin"}]);
    let expired = server.issue_for(root, &everything, "1h").await;
    let revoked = server.issue_for(root, &everything, "forever").await;
    let path = format!("/v1/tokens/{}", revoked["id"].as_str().unwrap());
    assert_eq!(server.send_as(root, "DELETE", &path, &Value::Null).await.status, 204);
    server.clock.advance(Duration::from_secs(3600));
    let bearer = |token: &str| format!("Bearer {token}");
    let token = |value: &Value| bearer(value["token"].as_str().unwrap());
    let good = issuer.sign(Algorithm::RS256, &claims(server, &json!({})));
    let signed = |change: Value| bearer(&issuer.sign(Algorithm::RS256, &claims(server, &change)));
    let forged = {
        // The old trick: the public key taken for a shared secret.
        let key = EncodingKey::from_secret(&issuer.rsa_public());
        let header = Header { kid: Some("rsa-1".into()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims(server, &json!({})), &key).unwrap()
    };
    let unsigned = |algorithm: &str| raw(&json!({"alg": algorithm, "typ": "JWT"}), &claims(server, &json!({})), b"");
    let critical = {
        let header = Header { crit: Some(vec!["b64".into()]), kid: None, ..Header::new(Algorithm::HS256) };
        encode(&header, &claims(server, &json!({})), &EncodingKey::from_secret(SECRET)).unwrap()
    };
    let now = server.now();
    vec![
        ("empty", "Bearer ".into()),
        ("garbage", bearer("garbage")),
        ("another scheme", "Basic cm9vdDpyb290".into()),
        ("a token without its scheme", root.to_owned()),
        ("unknown", bearer(&format!("sl_{}", "A".repeat(43)))),
        ("cut short", bearer(&root[..root.len() - 1])),
        ("with more", bearer(&format!("{root}A"))),
        ("expired", token(&expired)),
        ("revoked", token(&revoked)),
        ("a session, which is for a cookie", bearer(&format!("ss_{}", "A".repeat(43)))),
        ("too long", bearer(&"a".repeat(20_000))),
        ("of another issuer", signed(json!({"iss": "https://evil.example"}))),
        ("of no issuer", signed(json!({"iss": null}))),
        ("for another audience", signed(json!({"aud": "elsewhere"}))),
        ("for no audience", signed(json!({"aud": null}))),
        ("an expired JWT", signed(json!({"exp": now - 61}))),
        ("a JWT that never expires", signed(json!({"exp": null}))),
        ("a JWT that expires in words", signed(json!({"exp": "tomorrow"}))),
        ("a JWT of tomorrow", signed(json!({"nbf": now + 61}))),
        ("a JWT with grants that are none", signed(json!({"strandline": [{"space": "*", "access": "root"}]}))),
        (
            "a JWT by an algorithm that is not pinned",
            bearer(&issuer.sign(Algorithm::RS512, &claims(server, &json!({})))),
        ),
        ("signed with the public key as a secret", bearer(&forged)),
        ("signed by none", bearer(&unsigned("none"))),
        ("signed by None", bearer(&unsigned("None"))),
        ("without a signature", bearer(&unsigned("RS256"))),
        ("with another's signature", bearer(&format!("{}A", &good[..good.len() - 2]))),
        ("with an extension that must be understood", bearer(&critical)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_is_worth_nothing_opens_no_route() {
    let (server, issuer) = server().await;
    let first = issuer.sign(Algorithm::EdDSA, &claims(&server, &json!({"exp": server.now() + 86_400})));
    let root = server.issue(&first, &json!([{"space": "*", "access": "admin"}])).await;
    let bad = bad_credentials(&server, &issuer, &root).await;
    let (_, rows) = table();
    for row in rows.iter().filter(|row| row.cells[0] == "401") {
        for (what, credential) in &bad {
            let answer = probe(&server, row, &[("authorization", credential)]).await;
            judge(&answer, row, "401", what);
        }
        for (what, headers) in [
            (
                "two at once",
                vec![("authorization", format!("Bearer {root}")), ("authorization", format!("Bearer {root}"))],
            ),
            ("a token as a cookie", vec![("cookie", format!("strandline_session={root}"))]),
            ("a made-up session", vec![("cookie", format!("strandline_session=ss_{}", "A".repeat(43)))]),
        ] {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = probe(&server, row, &headers).await;
            judge(&answer, row, "401", what);
        }
        // A token in the URL is never looked at.
        let path = format!("{}?access_token={root}&token={root}", filled(&row.path));
        let answer = server.send(&row.method, &path, &[], "").await;
        assert_eq!(answer.status, 401, "{} {}", row.method, row.path);
    }
    assert_eq!(server.get_as(&root, "/v1/spaces").await.status, 200, "and the good one still opens them");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_key_there_is_no_access_control() {
    let server = Server::start().await;
    fill(&server).await;
    let (_, rows) = table();
    for row in &rows {
        judge(&probe(&server, row, &[]).await, row, "ok", "anybody");
        judge(&probe(&server, row, &[("authorization", "Bearer garbage")]).await, row, "ok", "anybody with anything");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_changes_nothing_where_there_is_no_access_control() {
    let config = strandline::server::Config { cors_origins: vec!["https://app.example".into()], ..Default::default() };
    let server = Server::start_with(config).await;
    let push = || json!({"changes": [{"collection": "todos", "id": "a", "data": {}}]}).to_string();
    for (site, origin, status) in [
        ("cross-site", "https://evil.example", 403),
        ("same-site", "http://localhost:9999", 403),
        ("cross-site", "null", 403),
        ("cross-site", "https://app.example", 200),
        ("same-origin", "http://127.0.0.1", 200),
        ("none", "", 200),
    ] {
        let headers = [("sec-fetch-site", site), ("origin", origin)];
        let headers = if origin.is_empty() { &headers[..1] } else { &headers[..] };
        let answer = server.send("POST", "/v1/spaces/demo/push", headers, push()).await;
        // The rules for other origins (CORS) may have refused it first.
        let refused = answer.status == 403 || (answer.status == 400 && answer.text().contains("rigin"));
        assert_eq!(refused, status == 403, "{site} {origin}: {} {}", answer.status, answer.text());
    }
}
