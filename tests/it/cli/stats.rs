//! `stats`: sizes, ages and lags, by the database itself and by a server, which must say the same.

use serde_json::{Value, json};

use super::retention::{over_both, pull};

/// The numbers of a space but for the last of its history, which is now.
fn without_now(mut stats: Value) -> Value {
    let last = stats["history"].as_array_mut().unwrap().pop().unwrap();
    assert_eq!((&last["head"], &last["tombstones"]), (&stats["head"], &stats["tombstones"]));
    stats
}

#[test]
fn sizes_ages_and_lags_are_told_in_full_of_one_space_and_in_a_line_each_of_all() {
    over_both(|desk, places| {
        desk.ok("spaces create empty");
        desk.import("e.csv", "id\na\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n", "");
        pull(desk, "", "since=5");
        // From here on the database knows of that pull too.
        let served = without_now(desk.json("stats s")["spaces"][0].take());
        assert_eq!(
            json!([served["head"], served["horizon"], served["records"], served["tombstones"]]),
            json!([16, 0, 12, 0])
        );
        let lags = json!([{"behind_from": 10, "behind_to": 99, "clients": 2}]);
        assert_eq!((&served["clients"], &served["anonymous"][0]["pulls"]), (&lags, &json!(1)));
        desk.import("d.csv", "id\na\nb\n", "--mirror");
        let served = without_now(desk.json("stats s")["spaces"][0].take());
        assert!(served["oldest_tombstone"].is_string());
        for place in places {
            let told = desk.json(&format!("stats s {place}"));
            assert_eq!(told["database_bytes"].is_u64(), place.contains("sqlite"), "{place}");
            let stats = without_now(told["spaces"][0].clone());
            // Time passes: tombstones grow older.
            let but_ages = |mut stats: Value| {
                stats["tombstone_ages"].take();
                stats
            };
            assert_eq!(but_ages(stats), but_ages(served.clone()));

            let text = desk.ok(&format!("stats s {place}"));
            let lines: Vec<String> =
                text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
            assert_eq!(lines[0], "COLLECTION HEAD HORIZON RECORDS BYTES TOMBSTONES BYTES");
            assert!(lines[1].starts_with("c 26 0 2 ") && lines[1].ends_with(" 10 10 B"), "{text}");
            assert!(lines[2].starts_with("all of s 26 0 2 "), "{text}");
            assert_eq!(lines[4..6], ["AGE TOMBSTONES", "0s-1h 10"]);
            assert!(lines[6].starts_with("the oldest was written ") && lines[6].ends_with("s ago"), "{text}");
            assert_eq!(lines[8], "REVISIONS BEHIND CLIENTS ANONYMOUS PULLS IN 30 DAYS THE LAST");
            assert!(lines[9].starts_with("10-99 2 1 "), "{text}");
            assert_eq!(text.contains("\nthe database is "), place.contains("sqlite"), "{text}");

            let all = desk.ok(&format!("stats --all {place}"));
            let rows: Vec<Vec<&str>> = all.lines().map(|line| line.split_whitespace().collect()).collect();
            assert_eq!(rows[1], ["empty", "0", "0", "0", "0", "B", "0", "0", "B", "none", "0", "0"]);
            assert_eq!(rows[2][..4], ["s", "26", "0", "2"]);
            assert_eq!(rows[2][rows[2].len() - 3..], ["2", "0", "10-99"]);
            assert_eq!(desk.json(&format!("stats --all {place}"))["spaces"].as_array().unwrap().len(), 2);
        }
        assert!(desk.ok("stats empty").starts_with("COLLECTION"));
        assert!(desk.ok("stats empty").contains("there are no tombstones\n\nno client was seen\n"));
    });
}
