//! `strandline token`, on the database and through a server.

use serde_json::{Value, json};

use super::Desk;
use super::remote::{Script, ok};

#[test]
fn a_token_is_printed_once_listed_without_it_and_revoked() {
    for desk in [Desk::new(), Desk::served()] {
        let done = desk.run("token create --name admin --grant space=*:admin");
        assert_eq!(done.code, 0, "{done:?}");
        let token = done.out.trim();
        assert!(token.starts_with("sl_") && token.len() == 46 && done.out.lines().count() == 1, "{done:?}");
        assert!(done.err.contains("(admin) does not expire; it is shown this once"), "{done:?}");
        // From here on a server asks for it.
        let with = |arguments: &str| {
            let mut command = desk.command(arguments);
            let output = command.env("STRANDLINE_TOKEN", token).output().unwrap();
            assert!(output.status.success(), "{arguments}: {output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let arguments = "token create --name nightly --grant space=team-*:write --grant space=demo:read --collections b,a --expires 90d --json";
        let issued: Value = serde_json::from_str(&with(arguments)).unwrap();
        let grants = json!([
            {"space": "team-*", "access": "write", "collections": ["a", "b"]},
            {"space": "demo", "access": "read", "collections": ["a", "b"]},
        ]);
        assert_eq!((&issued["grants"], &issued["revoked_at"]), (&grants, &Value::Null));
        let id = issued["id"].as_str().unwrap();
        let list = with("token list");
        assert!(!list.contains("sl_"), "{list}");
        let lines: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["ID", "NAME", "GRANTS", "CREATED", "STATE"]);
        assert_eq!(lines[2][..4], [id, "nightly", "team-*:write(a,b)", "demo:read(a,b)"], "{list}");
        assert!(list.lines().nth(2).unwrap().contains("expires 20"), "{list}");
        assert_eq!(with(&format!("token revoke {id}")), format!("revoked {id}\n"));
        assert!(with("token list").contains("revoked 0s ago") || with("token list").contains("revoked 1s ago"));
        let mut unknown = desk.command("token revoke ffffffffffffffff");
        let output = unknown.env("STRANDLINE_TOKEN", token).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("there is no token ffffffffffffffff"));
    }
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    let desk = Desk::new();
    for (arguments, says) in [
        ("token create --name x", "--grant"),
        ("token create --grant space=a:read", "--name"),
        ("token create --name x --grant a:read", "space=team-*:write"),
        ("token create --name x --grant space=a:own", "read, write or admin"),
        ("token create --name x --grant space=A:read", "space=team-*:write"),
        ("token create --name x --grant space=a:read --collections A", "a-z"),
        ("token create --name x --grant space=a:read --expires soon", "a duration is"),
        ("token revoke nonsense", "16 hex digits"),
    ] {
        let done = desk.run(arguments);
        assert_eq!(done.code, 2, "{arguments}: {done:?}");
        assert!(done.err.contains(says), "{arguments}: {}", done.err);
    }
    assert!(!desk.path("strandline.db").exists(), "nothing was made");
}

#[test]
fn through_a_server_it_speaks_the_protocol() {
    let token = json!({
        "id": "019ac0ffee00b33f", "name": "x", "grants": [{"space": "a", "access": "read"}], "created_at": "2026-11-22T20:30:00.000000Z",
        "expires_at": null, "revoked_at": null,
    });
    let mut issued = token.clone();
    issued["token"] = json!("sl_x");
    for (answers, command, requests) in [
        (
            vec![(201, "", issued.to_string())],
            "token create --name x --grant space=a:read --expires 1h",
            vec![
                "POST /v1/tokens {\"expires\":\"3600s\",\"grants\":[{\"access\":\"read\",\"space\":\"a\"}],\"name\":\"x\"}",
            ],
        ),
        (
            vec![ok(json!({"tokens": [token], "after": "019ac0ffee00b33f"})), ok(json!({"tokens": [], "after": null}))],
            "token list",
            vec!["GET /v1/tokens?limit=5000 ", "GET /v1/tokens?limit=5000&after=019ac0ffee00b33f "],
        ),
        (vec![(204, "", String::new())], "token revoke 019ac0ffee00b33f", vec!["DELETE /v1/tokens/019ac0ffee00b33f "]),
    ] {
        let script = Script::new(answers);
        let desk = Desk::new();
        desk.ok(&format!("{command} --url {}", script.url));
        for request in requests {
            let asked = script.asked();
            let (method, rest) = asked.line.split_once(' ').unwrap();
            let path = rest.split(' ').next().unwrap();
            let body = serde_json::from_str::<Value>(&asked.body).map_or(String::new(), |body| body.to_string());
            assert_eq!(format!("{method} {path} {body}"), request);
        }
        script.over();
    }
}
