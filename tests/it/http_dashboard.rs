//! The page at `/` as the server sees it: what it serves, what a browser may do with it, and the events that keep it
//! live. What the page does with them is tested in `dashboard/test`.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::Server;

const SCRIPT: &str = include_str!("../../dashboard/dist/app.js");
const STYLE: &str = include_str!("../../dashboard/dist/app.css");
const EVENTS: &str = "/dashboard/events?space=demo";

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_the_same_for_every_space_and_has_nothing_inline() {
    let server = Server::start().await;
    let page = server.get("/").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(page.header("cache-control"), "no-cache");
    assert_eq!(
        page.header("content-security-policy"),
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    let text = page.text();
    assert_eq!(server.get("/?space=demo").await.text(), text);
    assert!(text.contains(env!("CARGO_PKG_VERSION")));
    assert_eq!(text.matches("<script").count(), text.matches("></script>").count(), "no script within");
    for inline in ["<style", "style=", "onclick", "javascript:", "http://", "https://"] {
        assert!(!text.contains(inline), "{inline} in\n{text}");
    }
    for path in ["/dashboard/app.js", "/dashboard/app.css"] {
        assert!(text.contains(&format!("=\"{path}\"")), "{path} in\n{text}");
    }
    server.get("/?sapce=demo").await.problem_about(400, "invalid_request", "\"sapce\"");
    server.send("POST", "/", &[], "").await.problem(405, "method_not_allowed");
    let head = server.send("HEAD", "/", &[], "").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_files_are_served_as_they_are_and_revalidated() {
    let server = Server::start().await;
    for (path, media_type, text) in [
        ("/dashboard/app.js", "text/javascript; charset=utf-8", SCRIPT),
        ("/dashboard/app.css", "text/css; charset=utf-8", STYLE),
    ] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, media_type), "{path}");
        assert_eq!(answer.header("cache-control"), "no-cache");
        assert!(answer.text() == text, "{path} is not the file");
        let tag = answer.header("etag");
        let again = server.get_with(path, &[("if-none-match", tag)]).await;
        assert_eq!((again.status, again.header("etag"), again.body.len()), (304, tag, 0), "{path}");
        server.send("POST", path, &[], "").await.problem(405, "method_not_allowed");
        server.get(&format!("{path}?v=2")).await.problem(400, "invalid_request");
    }
    server.get("/dashboard/index.html").await.problem(404, "not_found");
    // Nothing is fetched from elsewhere, whatever the libraries in it would like to.
    assert!(!STYLE.contains("@import") && !STYLE.contains("url("));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_is_told_at_once_and_whenever_it_changes() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    let begun = Instant::now();
    let mut events = server.events(EVENTS, &[]).await;
    let (event, _, space) = events.next().await.unwrap();
    assert_eq!(event, "space");
    assert_eq!(space, server.get("/v1/spaces/demo").await.json());

    server.write("b", &json!({})).await;
    let (event, _, space) = events.next().await.unwrap();
    assert_eq!((event.as_str(), &space["head"]), ("space", &json!(2)));

    // What changes nothing in it is not told: the next event is that of the new retention.
    server.write("b", &json!({})).await;
    server.put("/v1/spaces/demo/retention", &json!({"retention": "7d"})).await;
    let (_, _, space) = events.next().await.unwrap();
    assert_eq!((&space["head"], &space["retention"]), (&json!(2), &json!("7d")));

    // What only the policy has is told as well, though the space looks the same.
    server.put("/v1/spaces/demo/retention", &json!({"max_retention": "90d"})).await;
    assert_eq!(events.next().await.unwrap().2, space);
    assert!(events.is_quiet().await);

    server.delete("a").await;
    assert_eq!(events.next().await.unwrap().2["tombstones"], 1);
    server.purge().await;
    let (_, _, space) = events.next().await.unwrap();
    assert_eq!((&space["tombstones"], &space["horizon"]), (&json!(0), &json!(3)));
    // Each of them at once, and not only when the stream looks again by itself.
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());

    server.send("DELETE", "/v1/spaces/demo", &[], "").await;
    assert_eq!(events.next().await.unwrap().0, "gone");
    assert!(events.next().await.is_none(), "and the stream ends");
    server.get(EVENTS).await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn however_much_is_written_the_page_hears_once_a_second() {
    let server = Server::start().await;
    server.write("a", &json!({"n": 0})).await;
    let begun = Instant::now();
    let mut events = server.events(EVENTS, &[]).await;
    let (mut heard, mut head) = (0, 0);
    for n in 1..=200 {
        server.write("a", &json!({"n": n})).await;
    }
    while head < 201 {
        head = events.next().await.unwrap().2["head"].as_u64().unwrap();
        heard += 1;
    }
    let seconds = begun.elapsed().as_secs();
    assert!(heard <= seconds + 1, "{heard} events in {seconds} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_hears_of_every_space() {
    let server = Server::start().await;
    let mut events = server.events("/dashboard/events", &[]).await;
    assert_eq!(events.next().await.unwrap().0, "spaces", "at once: what came before may have been missed");
    let paced = Instant::now();
    server.put("/v1/spaces/new", &json!({})).await;
    assert_eq!(events.next().await.unwrap().0, "spaces");
    assert!(paced.elapsed() >= Duration::from_millis(900), "{:?}", paced.elapsed());
    assert!(events.is_quiet().await);
    server.write("a", &json!({})).await;
    assert_eq!(events.next().await.unwrap().0, "spaces");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_the_events_at_once() {
    let mut server = Server::start().await;
    server.write("a", &json!({})).await;
    let mut of_one = server.events(EVENTS, &[]).await;
    let mut of_all = server.events("/dashboard/events", &[]).await;
    of_one.next().await.unwrap();
    of_all.next().await.unwrap();
    // One of them is just being paced, the other waits.
    server.write("b", &json!({})).await;
    let begun = Instant::now();
    server.stop().await;
    while of_one.next().await.is_some() {}
    while of_all.next().await.is_some() {}
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_refused_like_everything_else() {
    let server = Server::start().await;
    server.get("/dashboard/events?space=nobody").await.problem(404, "not_found");
    server.get("/dashboard/events?space=No").await.problem(400, "invalid_request");
    server.get("/dashboard/events?sapce=demo").await.problem_about(400, "invalid_request", "\"sapce\"");
    server.write("a", &json!({})).await;
    let head = server.send("HEAD", EVENTS, &[], "").await;
    assert_eq!((head.status, head.header("content-type"), head.body.len()), (200, "text/event-stream", 0));
}
