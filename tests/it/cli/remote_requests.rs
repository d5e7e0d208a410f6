//! What each command on spaces, retention and clients asks of a server, to the letter.

use serde_json::json;

use super::Desk;
use super::remote::{Script, ok, problem, space};

#[test]
fn spaces_retention_and_compaction_speak_the_protocol() {
    let policy = json!({ "retention": "7d", "hold_for_clients": true, "max_retention": "90d" });
    let state = json!({
        "retention": "7d", "hold_for_clients": false, "max_retention": "90d", "rule": "none", "detail": "…", "head": 1,
        "horizon": 0, "tombstones": 0, "purgeable": 0, "oldest_tombstone": null, "pinned_by": []
    });
    let client = json!({
        "client": "a/b%c", "cursor": null, "rev": 1, "behind": 0, "last_seen": "2026-11-22T20:30:00.000000Z", "agent": null
    });
    let quota = json!({
        "records": 10, "bytes": null, "record_bytes": "none", "used": { "records": 1, "bytes": 2 },
        "effective": { "records": 10, "bytes": 1024, "record_bytes": "none" }
    });
    let purged = json!({ "purged": 3, "bytes": 12, "horizon_before": 1, "horizon": 8, "clients_behind": 0 });
    for (answers, command, requests) in [
        (
            vec![ok(json!({ "spaces": [space(1)], "after": "s" })), ok(json!({ "spaces": [], "after": null }))],
            "spaces list",
            vec!["GET /v1/spaces ", "GET /v1/spaces?after=s "],
        ),
        (
            vec![ok(space(1)), (204, "", String::new())],
            "spaces delete s --yes",
            vec!["GET /v1/spaces/s ", "DELETE /v1/spaces/s "],
        ),
        (
            vec![problem(404, "not_found", "x"), ok(space(0))],
            "spaces create s --retention 7d",
            vec!["GET /v1/spaces/s ", "PUT /v1/spaces/s {\"retention\":\"7d\"}"],
        ),
        (vec![ok(&quota)], "spaces quota s", vec!["GET /v1/spaces/s/quota "]),
        (
            vec![ok(&quota)],
            "spaces quota s --records 10 --bytes default --record-bytes none",
            vec!["PUT /v1/spaces/s/quota {\"bytes\":null,\"record_bytes\":\"none\",\"records\":10}"],
        ),
        (
            vec![ok(&policy), ok(json!({ "plan": [] }))],
            "retention set s --retention 7d --hold-for-clients true --max-retention 90d --max-tombstones none",
            vec![
                "PUT /v1/spaces/s/retention {\"hold_for_clients\":true,\"max_retention\":\"90d\",\
                 \"max_tombstones\":null,\"retention\":\"7d\"}",
                "GET /v1/spaces/s/retention/plan?windows=7d ",
            ],
        ),
        (vec![ok(&state)], "retention show s", vec!["GET /v1/spaces/s/retention/state "]),
        (
            vec![ok(&policy), ok(json!({ "plan": [] }))],
            "retention plan s",
            vec!["GET /v1/spaces/s/retention ", "GET /v1/spaces/s/retention/plan?windows=1d,7d,30d,90d "],
        ),
        (
            vec![ok(json!({ "clients": [client], "after": "a/b%c" })), ok(json!({ "clients": [], "after": null }))],
            "clients list s",
            vec!["GET /v1/spaces/s/clients?limit=5000 ", "GET /v1/spaces/s/clients?limit=5000&after=a%2Fb%25c "],
        ),
        (
            vec![ok(space(1)), (204, "", String::new())],
            "clients forget s a/b%c",
            vec!["GET /v1/spaces/s ", "DELETE /v1/spaces/s/clients/a%2Fb%25c "],
        ),
        (vec![ok(&state)], "compact s --watch --until-done", vec!["GET /v1/spaces/s/retention/state "]),
        (
            vec![ok(&purged)],
            "compact --space s --older-than 7d --dry-run",
            vec!["POST /v1/spaces/s/compact {\"older_than\":\"7d\",\"force\":false,\"dry_run\":true}"],
        ),
        (vec![ok(&purged)], "compact s --force", vec!["POST /v1/spaces/s/compact {\"force\":true,\"dry_run\":false}"]),
    ] {
        let script = Script::new(answers);
        Desk::new().ok(&format!("{command} --url {}", script.url));
        for want in requests {
            let asked = script.asked();
            assert_eq!(format!("{} {}", asked.line.trim_end_matches(" HTTP/1.1"), asked.body), want);
        }
        script.over();
    }
}
