//! PROTOCOL.md §6 over HTTP: the manifest, fetching, and the repair procedure as a whole.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::Server;

const NDJSON: (&str, &str) = ("accept", "application/x-ndjson");

/// Revisions 1 to 10, of which 4 and 5 are superseded, 6 is a tombstone; `lists` has 10.
async fn example() -> Server {
    let server = Server::start().await;
    server.fill(5).await;
    server.delete("r00005").await;
    server.write("r00004", &json!({"again": true})).await;
    server.write("x", &json!({})).await;
    server.write("y", &json!({})).await;
    server.write_in("lists", "l", &json!({})).await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_the_exact_set_of_live_revisions() {
    let server = example().await;
    let space = server.get("/v1/spaces/demo").await.json();
    let epoch = space["epoch"].as_str().unwrap();
    let whole = server.get("/v1/spaces/demo/manifest").await.json();
    assert_eq!(
        whole,
        json!({"epoch": epoch, "cursor": format!("{epoch}.10.p"), "head": 10, "horizon": 0, "count": 7,
            "checksum": space["checksum"], "runs": [0, 3, 3, 4]})
    );
    let todos = server.get("/v1/spaces/demo/manifest?collections=todos").await.json();
    let scope = server.get("/v1/spaces/demo/changes?collections=todos").await.json()["cursor"].clone();
    let scope = scope.as_str().unwrap().split_once('~').unwrap().1.to_owned();
    assert_eq!((&todos["runs"], &todos["cursor"]), (&json!([0, 3, 3, 3]), &json!(format!("{epoch}.10.p~{scope}"))));
    for (query, runs) in [
        ("from=3", json!([2, 1, 3, 4])),
        ("to=3", json!([0, 3])),
        ("from=2&to=2", json!([1, 1])),
        ("from=4&to=6", json!([])),
        ("from=11", json!([])),
    ] {
        let part = server.get(&format!("/v1/spaces/demo/manifest?{query}")).await.json();
        assert_eq!((&part["runs"], part.get("cursor")), (&runs, None), "{query}");
    }
    for (query, says) in [("from=3&to=2", "from"), ("from=x", "from"), ("to=-1", "to"), ("since=1", "since")] {
        let answer = server.get(&format!("/v1/spaces/demo/manifest?{query}")).await;
        answer.problem_about(400, "invalid_request", says);
    }
    server.get("/v1/spaces/none/manifest").await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_gives_the_live_records_of_its_revisions() {
    let server = example().await;
    let path = "/v1/spaces/demo/fetch";
    let revs = |page: &Value| page["changes"].as_array().unwrap().iter().map(|c| c["rev"].clone()).collect::<Vec<_>>();
    let all = json!({"runs": [0, 100]});
    let page = server.post(path, &all).await.json();
    assert_eq!(
        (revs(&page), &page["has_more"], &page["next"]),
        (vec![json!(1), json!(2), json!(3), json!(7), json!(8), json!(9), json!(10)], &json!(false), &Value::Null)
    );
    let first = server.post(path, &json!({"runs": [0, 100], "limit": 3, "collections": ["todos"]})).await.json();
    assert_eq!((revs(&first).len(), &first["has_more"]), (3, &json!(true)));
    let rest = json!({"runs": [0, 100], "limit": 3, "collections": ["todos"], "from": first["next"]});
    assert_eq!(revs(&server.post(path, &rest).await.json()), [7, 8, 9]);
    assert_eq!(revs(&server.post(path, &json!({"runs": [3, 3]})).await.json()), Vec::<Value>::new());
    assert_eq!(revs(&server.post(path, &json!({"runs": []})).await.json()), Vec::<Value>::new());
    let lines = server.send("POST", path, &[NDJSON], all.to_string()).await;
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    let lines = lines.lines();
    assert_eq!((lines.len(), lines.last().unwrap()), (8, &json!({"end": true, "count": 7})));
    assert_eq!(lines[..7], page["changes"].as_array().unwrap()[..]);
    let none = server.send("POST", path, &[NDJSON], r#"{"runs":[]}"#).await.lines();
    assert_eq!(none, [json!({"end": true, "count": 0})]);
    let limited = server.send("POST", path, &[NDJSON], r#"{"runs":[0,9],"limit":3}"#).await;
    limited.problem_about(400, "invalid_request", "limit");
    for (body, says) in [
        (r#"{"runs":[1]}"#, "odd"),
        (r#"{"runs":[0,0]}"#, "index 1"),
        (r#"{"runs":[0,9007199254740992]}"#, "9007199254740991"),
        (r#"{"run":[0,1]}"#, "run"),
        (r#"{"runs":[0,1],"collections":[]}"#, "collections"),
        (r#"{"runs":[0,1],"limit":10001}"#, "limit"),
    ] {
        server.send("POST", path, &[], body).await.problem_about(400, "invalid_request", says);
    }
    server.post("/v1/spaces/none/fetch", &all).await.problem(404, "not_found");
    let nowhere = server.send("POST", "/v1/spaces/none/fetch", &[NDJSON], all.to_string()).await;
    nowhere.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_fetched_records_holds_however_many_runs_there_are() {
    let server = Server::start().await;
    server.fill(9000).await;
    // Every other revision: as many runs as records, more than one step's.
    let runs: Vec<u64> = std::iter::repeat_n([1, 1], 4500).flatten().collect();
    let body = json!({"runs": runs}).to_string();
    let lines = server.send("POST", "/v1/spaces/demo/fetch", &[NDJSON], body).await.lines();
    let revs: Vec<u64> = lines.iter().filter_map(|line| line["rev"].as_u64()).collect();
    assert_eq!(revs, (1..=4500).map(|n| n * 2).collect::<Vec<_>>());
    assert_eq!(lines.last().unwrap(), &json!({"end": true, "count": 4500}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_behind_the_horizon_repairs_itself_at_the_cost_of_the_difference() {
    let server = Server::start().await;
    server.fill(50).await;
    let mut replica: BTreeMap<u64, String> = BTreeMap::new();
    for change in server.get("/v1/spaces/demo/changes").await.json()["changes"].as_array().unwrap() {
        replica.insert(change["rev"].as_u64().unwrap(), change["id"].as_str().unwrap().into());
    }
    let old = server.cursor().await;
    server.delete("r00010").await;
    server.write("r00020", &json!({"edited": true})).await;
    server.purge().await;
    server.get(&format!("/v1/spaces/demo/changes?since={old}")).await.problem(410, "resync_required");
    let manifest = server.get("/v1/spaces/demo/manifest").await.json();
    let cursor = manifest["cursor"].as_str().unwrap().to_owned();
    // Written between the manifest and the pull, and seen by the pull.
    server.write("new", &json!({})).await;
    let mut wanted = std::collections::BTreeSet::new();
    let mut end = 0;
    for pair in manifest["runs"].as_array().unwrap().chunks(2) {
        let (skip, take) = (pair[0].as_u64().unwrap(), pair[1].as_u64().unwrap());
        wanted.extend(end + skip + 1..=end + skip + take);
        end += skip + take;
    }
    replica.retain(|rev, _| wanted.contains(rev));
    let missing: Vec<u64> = wanted.into_iter().filter(|rev| !replica.contains_key(rev)).collect();
    assert_eq!(missing, [52], "the difference is one record");
    let fetched = server.post("/v1/spaces/demo/fetch", &json!({"runs": [51, 1]})).await.json();
    let pulled = server.get(&format!("/v1/spaces/demo/changes?since={cursor}")).await.json();
    for change in [fetched["changes"].as_array().unwrap(), pulled["changes"].as_array().unwrap()].into_iter().flatten()
    {
        replica.insert(change["rev"].as_u64().unwrap(), change["id"].as_str().unwrap().into());
    }
    assert_eq!(pulled["count"], replica.len());
    let revs = replica.keys().map(|rev| strandline::domain::Rev::new(*rev).unwrap());
    assert_eq!(pulled["checksum"], revs.collect::<strandline::domain::Checksum>().to_string());
}
