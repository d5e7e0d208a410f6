//! The page's login: a token for a session, and nothing to be had by forging either.

use serde_json::{Value, json};

use super::locked;
use crate::support::{Answer, Server};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// The cookie that an answer sets: `name=value`, and what the browser may do with it.
fn cookie(answer: &Answer, name: &str) -> Option<(String, String)> {
    let lines = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    let line = lines.into_iter().find(|line| line.starts_with(&format!("{name}=")))?;
    let (pair, rest) = line.split_once("; ").unwrap();
    Some((pair.to_owned(), rest.to_owned()))
}

/// The value of a field, or of a `meta`, in a page.
fn hidden(answer: &Answer, before: &str) -> String {
    let text = answer.text();
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before} is not in\n{text}"));
    rest.split('"').next().unwrap().to_owned()
}

/// Loads the login's form: its cookie, and its field.
async fn form(server: &Server, path: &str) -> (String, String) {
    let page = server.get(path).await;
    assert_eq!((page.status, page.header("www-authenticate")), (401, "Bearer"));
    (cookie(&page, "strandline_login").unwrap().0, hidden(&page, "name=\"csrf\" value=\""))
}

/// The cookie of a login with this token.
pub async fn log_in(server: &Server, token: &str) -> String {
    cookie(&try_to_log_in(server, token).await, "strandline_session").expect("a login").0
}

async fn try_to_log_in(server: &Server, token: &str) -> Answer {
    let (cookie, csrf) = form(server, "/?space=demo").await;
    let body = format!("csrf={csrf}&space=demo&token={token}");
    server.send("POST", "/session", &[FORM, ("cookie", &cookie)], body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_the_page_and_the_api_by_a_cookie_until_the_logout() {
    let (server, root) = locked().await;
    let answer = try_to_log_in(&server, &root).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/?space=demo"));
    let (session, rest) = cookie(&answer, "strandline_session").unwrap();
    for word in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(rest.contains(word), "{word} is not in {rest}");
    }
    assert!(!rest.contains("Secure") && !session.contains(&root));
    let with = [("cookie", session.as_str())];
    let page = server.get_with("/", &with).await;
    assert_eq!(page.status, 200);
    let csrf = hidden(&page, "<meta name=\"csrf\" content=\"");
    assert_eq!(hidden(&page, "name=\"csrf\" value=\""), csrf);
    assert!(!page.text().contains(session.split('=').nth(1).unwrap()), "no script learns the secret");
    server.get_with("/v1/spaces/demo", &with).await.expect(200);
    server.events("/dashboard/events?space=demo", &with).await.next().await.unwrap();
    // It changes something only with what the page knows beside it.
    let put = |headers: Vec<(&'static str, String)>| {
        let (server, session) = (&server, session.clone());
        async move {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let headers = [&headers[..], &[("cookie", &session)]].concat();
            server.send("PUT", "/v1/spaces/demo/retention", &headers, "{\"retention\":\"7d\"}").await
        }
    };
    put(vec![]).await.problem(403, "forbidden");
    put(vec![("strandline-csrf", "x".into())]).await.problem(403, "forbidden");
    put(vec![("strandline-csrf", csrf.clone())]).await.expect(200);
    // The way out: by the form alone.
    let end = |csrf: &str| format!("csrf={csrf}");
    server.send("POST", "/session/end", &[FORM, with[0]], end("x")).await.problem(403, "forbidden");
    let out = server.send("POST", "/session/end", &[FORM, with[0]], end(&csrf)).await;
    assert_eq!((out.status, out.header("location")), (303, "/"));
    assert!(cookie(&out, "strandline_session").unwrap().1.contains("Max-Age=0"));
    server.get_with("/v1/spaces/demo", &with).await.problem(401, "unauthorized");
    assert_eq!(server.get_with("/", &with).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_another_site_made_logs_nobody_in() {
    let (server, root) = locked().await;
    let (own, csrf) = form(&server, "/").await;
    let (others, others_csrf) = form(&server, "/").await;
    for (cookie, csrf) in [("", csrf.as_str()), (&own, ""), (&own, &others_csrf), (&others, &csrf)] {
        let body = format!("csrf={csrf}&token={root}");
        let headers = [FORM, ("cookie", cookie)];
        let headers = if cookie.is_empty() { &headers[..1] } else { &headers[..] };
        let answer = server.send("POST", "/session", headers, body).await;
        answer.problem(403, "forbidden");
        assert!(cookie_is_absent(&answer));
    }
    let wrong = server.send("POST", "/session", &[("content-type", "application/json")], "{}").await;
    wrong.problem(415, "unsupported_media_type");
    let body = format!("csrf={csrf}&tokne={root}");
    server.send("POST", "/session", &[FORM, ("cookie", &own)], body).await.problem(400, "invalid_request");
}

fn cookie_is_absent(answer: &Answer) -> bool {
    cookie(answer, "strandline_session").is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_told_in_the_form_and_markup_stays_text() {
    let (server, _) = locked().await;
    let answer = try_to_log_in(&server, "%3Cscript%3Ealert(1)%3C/script%3E").await;
    assert_eq!((answer.status, answer.header("content-type")), (401, "text/html; charset=utf-8"));
    assert!(answer.text().contains("Not logged in") && cookie_is_absent(&answer));
    assert!(!answer.text().contains("<script"), "{}", answer.text());
    let odd = server.get("/?space=%22%3E%3Cscript%3E").await;
    assert!(!odd.text().contains("<script") && odd.text().contains("&#34;&#62;"), "{}", odd.text());
    for page in [answer, odd] {
        assert!(page.header("content-security-policy").starts_with("default-src 'none'; script-src 'self'"));
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cache-control", "no-cache"),
        ] {
            assert_eq!(page.header(name), value, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_token_and_may_do_no_more_than_that() {
    let (server, root) = locked().await;
    let token = server.issue_for(&root, &json!([{"space": "demo", "access": "read"}]), "1h").await;
    let session = log_in(&server, token["token"].as_str().unwrap()).await;
    let with = [("cookie", session.as_str())];
    server.get_with("/v1/spaces/demo", &with).await.expect(200);
    server.get_with("/v1/spaces/demo/clients", &with).await.problem(403, "forbidden");
    // As a bearer's it is worth nothing, and it is in no list.
    let bearer = format!("Bearer {}", session.split('=').nth(1).unwrap());
    server.get_with("/v1/spaces/demo", &[("authorization", &bearer)]).await.problem(401, "unauthorized");
    assert_eq!(server.get_as(&root, "/v1/tokens").await.json()["tokens"].as_array().unwrap().len(), 2);
    let path = format!("/v1/tokens/{}", token["id"].as_str().unwrap());
    assert_eq!(server.send_as(&root, "DELETE", &path, &Value::Null).await.status, 204);
    server.get_with("/v1/spaces/demo", &with).await.problem(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_access_control_there_is_nothing_to_log_in_to() {
    let server = Server::start().await;
    assert_eq!(server.get("/").await.status, 200);
    let answer = server.send("POST", "/session", &[FORM], "token=x").await;
    assert_eq!((answer.status, answer.header("location")), (303, "/"));
    assert!(cookie_is_absent(&answer));
}
