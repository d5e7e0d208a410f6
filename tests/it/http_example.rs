//! The page of `serve --example`: what a browser has need of, and that it is not there unasked.

use strandline::server::Config;

use crate::support::Server;

const PAGE: &str = include_str!("../../examples/todo.html");
const SCRIPT: &str = include_str!("../../examples/strandline.js");

async fn server_with_example() -> Server {
    Server::start_with(Config { example: true, ..Config::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn unasked_there_is_no_example() {
    let server = Server::start().await;
    for path in ["/example", "/example/", "/example/strandline.js"] {
        server.get(path).await.problem(404, "not_found");
    }
    assert!(!server.get("/").await.text().contains("example"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_and_its_script_are_served_as_they_are() {
    let server = server_with_example().await;
    for (path, media_type, text) in [
        ("/example/", "text/html; charset=utf-8", PAGE),
        // What is behind the question mark is for the page's script.
        ("/example/?space=demo", "text/html; charset=utf-8", PAGE),
        ("/example/strandline.js", "text/javascript; charset=utf-8", SCRIPT),
    ] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, media_type), "{path}");
        assert_eq!(answer.header("cache-control"), "no-cache");
        assert!(answer.text() == text, "{path} is not the file");

        let tag = answer.header("etag");
        let again = server.get_with(path, &[("if-none-match", tag)]).await;
        assert_eq!((again.status, again.header("etag"), again.body.len()), (304, tag, 0), "{path}");
        assert_eq!(server.get_with(path, &[("if-none-match", "\"other\"")]).await.status, 200);

        let head = server.send("HEAD", path, &[], "").await;
        assert_eq!((head.status, head.header("content-type"), head.body.len()), (200, media_type, 0), "{path}");
        assert_eq!(head.header("content-length"), text.len().to_string());

        for method in ["POST", "PUT", "DELETE"] {
            let refused = server.send(method, path, &[], "").await;
            refused.problem(405, "method_not_allowed");
            assert_eq!(refused.header("allow"), "GET, HEAD");
        }
    }
    let slashless = server.get("/example?space=demo").await;
    assert_eq!((slashless.status, slashless.header("location")), (307, "/example/?space=demo"), "a browser is led on");
    server.get("/example/todo.html").await.problem(404, "not_found");
    assert!(server.get("/").await.text().contains("<a href=\"/example/\">"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_may_run_its_own_scripts_and_no_others() {
    let server = server_with_example().await;
    let answer = server.get("/example/").await;
    let policy = answer.header("content-security-policy");
    let sources = policy.split("; ").find_map(|directive| directive.strip_prefix("script-src ")).unwrap();
    assert!(sources.starts_with("'self'") && !sources.contains("unsafe"), "{sources}");
    let inline = PAGE.matches("<script").count() - PAGE.matches("></script>").count();
    assert_eq!(sources.matches("'sha256-").count(), inline, "{sources}");
    // It works without a network beside the server, and would not be let out anyway.
    assert!(policy.starts_with("default-src 'none'") && policy.contains("connect-src 'self'"), "{policy}");
    for (number, line) in PAGE.lines().enumerate() {
        let loads = ["src=\"http", "src=\"//", "href=\"http", "href=\"//", "from 'http", "from \"http", "import 'http"];
        let own = line.contains("<a ") || !loads.iter().any(|load| line.contains(load));
        assert!(own, "line {}: {line}", number + 1);
    }
}
