//! `retention` and `clients`: what is told a DBA of tombstones and of those who need them, by the database itself and by a
//! server, which must say the same.

use serde_json::{Value, json};

use super::Desk;
use crate::support::postgres::Database;

/// Runs `test` over SQLite, and over PostgreSQL where that is installed: at a desk with a server, and with the options that
/// name the server (it is in the environment) and the database.
///
/// There is a space `s` with the record `a`, and tombstones of `b` and `c`, which the client `phone` has not heard of,
/// and `tablet` has.
pub fn over_both(test: impl Fn(&Desk, [&str; 2])) {
    let run = |desk: &Desk, database: &str| {
        desk.import("d.csv", "id\na\nb\nc\n", "");
        pull(desk, "phone", "since=3");
        desk.import("d.csv", "id\na\n", "--mirror");
        pull(desk, "tablet", "since=5&collections=c");
        // From here on the database knows them too.
        desk.ok("clients list s");
        test(desk, ["", &format!("--database {database}")]);
    };
    run(&Desk::served(), "sqlite:strandline.db");
    if let Some(database) = Database::empty() {
        run(&Desk::served_on(database.url()), database.url());
    }
}

/// Pulls from the desk's server under a name, or without one.
pub fn pull(desk: &Desk, client: &str, query: &str) {
    let request = ureq::get(format!("{}/v1/spaces/s/changes?{query}", desk.url()));
    let named = if client.is_empty() { request } else { request.header("strandline-client", client) };
    assert_eq!(named.header("user-agent", "app/1.0").call().unwrap().status(), 200);
}

/// What a server says.
fn get(desk: &Desk, path: &str) -> Value {
    let text = ureq::get(format!("{}{path}", desk.url())).call().unwrap().body_mut().read_to_string().unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The cells of each line of a table, those that hold no spaces.
fn cells(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn a_plan_says_who_would_be_left_behind_and_marks_the_spaces_own_window() {
    over_both(|desk, places| {
        let asked = get(desk, "/v1/spaces/s/retention/plan?windows=0s,1h");
        for place in places {
            assert_eq!(desk.json(&format!("retention plan s --windows 0s,1h {place}")), asked, "the protocol's shape");
            let told = desk.ok(&format!("retention plan s --windows 0s,1h {place}"));
            let told = cells(&told);
            assert_eq!(told[1][..3], ["0s", "2", "2"]);
            assert_eq!((told[1][4], told[1][5], *told[1].last().unwrap()), ("5", "1", "phone"));
            assert_eq!(told[2][..3], ["1h", "0", "0"]);

            let told = desk.ok(&format!("retention plan s {place}"));
            let windows: Vec<String> = cells(&told)[1..5].iter().map(|row| row[..2].join(" ")).collect();
            assert_eq!(windows, ["1d 0", "7d 0", "* 30d", "90d 0"]);
            assert!(told.ends_with("\n* s's own: retention 30d, not held for clients\n"), "{told}");
        }
        assert_eq!(asked["plan"][0]["clients"], json!(["phone"]));
        let preview = desk.json("compact s --older-than 0s --dry-run");
        assert_eq!(
            json!([preview["spaces"][0]["purged"], preview["spaces"][0]["clients_behind"]]),
            json!([asked["plan"][0]["tombstones"], asked["plan"][0]["clients_behind"]])
        );

        // One that no window of the plan has comes in where it belongs, and in another unit it is the same.
        desk.ok("retention set s --retention 2w");
        let windows = desk.json("retention plan s");
        let windows: Vec<&Value> = windows["plan"].as_array().unwrap().iter().map(|purge| &purge["window"]).collect();
        assert_eq!(windows, ["1d", "7d", "2w", "30d", "90d"]);
        let told = desk.ok("retention plan s --windows 14d,1d");
        assert_eq!((cells(&told)[1][..2].join(" "), cells(&told)[2][0]), ("* 14d".into(), "1d"));
        desk.ok("retention set s --retention forever");
        assert!(desk.ok("retention plan s").contains("\n*  forever"));
    });
}

#[test]
fn of_many_who_would_be_left_behind_some_are_named() {
    over_both(|desk, places| {
        for n in 0..5 {
            pull(desk, &format!("client-with-a-name-that-is-quite-long-{n}"), "since=1");
        }
        desk.ok("clients list s");
        let long = "client-with-a-name-that-…";
        for place in places {
            let told = desk.ok(&format!("retention plan s --windows 0s {place}"));
            let row = told.lines().nth(1).unwrap();
            assert!(row.ends_with(&format!("{long}, {long}, {long} and 3 more")), "{row}");
            let all = desk.json(&format!("retention plan s --windows 0s {place}"));
            assert_eq!(all["plan"][0]["clients"].as_array().unwrap().len(), 6);
        }
    });
}

#[test]
fn show_explains_which_rule_holds_the_horizon_and_who_pins_it() {
    over_both(|desk, places| {
        let show = |options: &str, place: &str| desk.ok(&format!("retention show {options} {place}"));
        for place in places {
            assert!(
                show("s", place).contains("\nrule        retention: no tombstone is older than 30d, the retention\n")
            );
        }
        let rule = "--retention 0s --hold-for-clients true --max-retention 90d";
        for place in places {
            let told = desk.ok(&format!("retention set s {rule} {place}"));
            assert_eq!(
                told,
                "s: retention 0s, held for clients up to 90d\n\
                 the next purge takes 0 tombstones; no known client is behind after it\n"
            );
        }
        let mut state = get(desk, "/v1/spaces/s/retention/state");
        state["space"] = "s".into();
        assert_eq!((&state["rule"], &state["pinned_by"][0]["client"]), (&"hold_for_clients".into(), &"phone".into()));
        for place in places {
            assert_eq!(desk.json(&format!("retention show --space s {place}"))["spaces"], json!([state]));
            assert_eq!(desk.json(&format!("retention show --all {place}"))["spaces"], json!([state]));
            let told = show("s", place);
            assert!(told.contains("rule        hold_for_clients: tombstones older than 0s are kept until"), "{told}");
            assert!(told.contains("tombstones  2, of which 0 may be purged now\n"), "{told}");
            let (_, pins) = told.split_once("\n\n").unwrap();
            assert_eq!(cells(pins)[1][..2], ["phone", "3"]);
            assert!(cells(pins)[1][2].ends_with('s') && pins.ends_with(" ago\n"), "{pins}");
            let all = show("--all", place);
            assert_eq!(cells(&all)[1], ["s", "0s", "up", "to", "90d", "none", "2", "0", "0", "hold_for_clients", "1"]);
        }
    });
}

#[test]
fn set_says_whom_the_new_rule_leaves_behind() {
    over_both(|desk, places| {
        for place in places {
            // A day of grace, so that no compactor is quicker than the look at what it would do.
            desk.ok(&format!("retention set s --retention 1d --max-tombstones none {place}"));
            let told = desk.ok(&format!("retention set s --retention 36500d --max-tombstones 0 {place}"));
            assert!(told.starts_with("s: retention 36500d, not held for clients, at most 0 tombstones\n"), "{told}");
            assert!(told.contains("1 known client is behind after it: phone (repairs of "), "{told}");
            let set = desk.json(&format!("retention set --all --max-tombstones none {place}"));
            let set = &set["spaces"][0];
            assert_eq!((&set["retention"], set.get("max_tombstones")), (&"36500d".into(), None));
            assert_eq!((&set["space"], &set["next_purge"]["window"]), (&"s".into(), &"36500d".into()));
        }
    });
}

#[test]
fn clients_are_listed_and_forgotten() {
    over_both(|desk, places| {
        let known = get(desk, "/v1/spaces/s/clients");
        for place in places {
            let list = desk.json(&format!("clients list s {place}"));
            assert_eq!(list, json!({ "clients": known["clients"] }));
            let told = desk.ok(&format!("clients list s {place}"));
            let told = cells(&told);
            assert_eq!(told[0].join(" "), "CLIENT BEHIND REV LAST SEEN COLLECTIONS AGENT");
            assert_eq!(
                (told[1][..3].join(" "), told[1][4..].join(" ")),
                ("phone 2 3".into(), "ago all app/1.0".into())
            );
            assert_eq!((told[2][..3].join(" "), told[2][5]), ("tablet 0 5".into(), "c"));
        }
        assert_eq!(known["clients"][1]["collections"], json!(["c"]));
        for (place, client, left) in [(places[0], "phone", json!(["tablet"])), (places[1], "tablet", json!([]))] {
            assert_eq!(desk.ok(&format!("clients forget s {client} {place}")), format!("forgot {client} in s\n"));
            let list = desk.json(&format!("clients list s {place}"));
            let names: Vec<&Value> = list["clients"].as_array().unwrap().iter().map(|known| &known["client"]).collect();
            assert_eq!(json!(names), left);
            let told = desk.fails(1, &format!("clients forget s {client} {place}"));
            assert!(told.contains(&format!("no client named {client} was seen in the space s")), "{told}");
        }
    });
}

#[test]
fn what_is_wrong_is_told_with_its_name() {
    over_both(|desk, places| {
        for place in places {
            for command in [
                "retention plan nope",
                "retention show nope",
                "retention set nope --max-tombstones 5",
                "clients list nope",
                "clients forget nope phone",
                "stats nope",
                "compact nope --watch",
            ] {
                let told = desk.fails(1, &format!("{command} {place}"));
                assert!(told.contains("there is no space named nope"), "{command} {place}: {told}");
            }
            let many = ["1d"; 101].join(",");
            for (command, says) in [
                ("retention plan s --windows 1d,7", "'7' for '--windows"),
                ("retention plan s --windows 1d,,2d", "--windows"),
                (&*format!("retention plan s --windows {many}"), "--windows: a plan has at most 100 windows"),
                ("retention plan", "<SPACE>"),
                ("retention set s", "--retention"),
                ("retention set s --max-tombstones -1", "-1"),
                ("retention set s --max-tombstones=x", "a whole number, or `none`"),
                ("retention set s --max-tombstones 9223372036854775808", "at most 9223372036854775807"),
                ("retention set s --hold-for-clients perhaps", "perhaps"),
                ("retention set s --max-retention 3", "a duration is a whole number"),
                ("clients forget s é", "é"),
                ("compact s --watch --dry-run", "--dry-run"),
                ("compact s --until-done", "--watch"),
                ("stats", "SPACE"),
                ("stats s --all", "--all"),
            ] {
                let told = desk.fails(2, &format!("{command} {place}"));
                assert!(told.contains(says), "{command}: {told}");
            }
        }
    });
}
