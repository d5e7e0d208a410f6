//! docs/operations.md, the alerts and the dashboard speak of metrics that the server has, and the server has none that
//! they do not explain.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use promql_parser::parser::{self, Expr};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::{Value, json};
use strandline::server::Config;

use crate::support::{Numbers, Server, over_postgres};

/// Metrics that only one kind of database has.
const SQLITE: [&str; 2] = ["strandline_database_free_bytes", "strandline_wal_size_bytes"];
const POSTGRES: [&str; 4] = [
    "strandline_listener_connected",
    "strandline_listener_losses_total",
    "strandline_table_dead_rows",
    "strandline_table_rows",
];
/// What Prometheus adds to each sample, and its own metric of each server.
const OF_PROMETHEUS: [&str; 2] = ["job", "instance"];
const UP: &str = "up";

fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// The metrics of a server over this kind of database, in which everything has happened that a metric begins with.
async fn of_a_server() -> (BTreeSet<String>, Numbers) {
    let config =
        Config { survey_age: Duration::ZERO, compact_interval: Duration::from_millis(20), ..Config::default() };
    let server = Server::start_with(config).await;
    server.write("a", &json!({})).await;
    server.put("/v1/spaces/demo/quota", &json!({"records": 10, "bytes": 10})).await.expect(200);
    let all = server
        .numbers_when("all of them are there", |seen| {
            seen.has("strandline_compactor_last_round_timestamp_seconds")
                && seen.has("strandline_space_head{space=\"demo\"}")
                && seen.count("strandline_http_requests_total") > 1
        })
        .await;
    (all.names(), all)
}

/// All that one server or another has.
fn with_the_other_kind(mut names: BTreeSet<String>) -> BTreeSet<String> {
    let (own, others): (&[&str], &[&str]) = if over_postgres() { (&POSTGRES, &SQLITE) } else { (&SQLITE, &POSTGRES) };
    for name in own {
        assert!(names.contains(*name), "{name} is gone");
    }
    for name in others {
        assert!(names.insert((*name).into()), "{name} is of both kinds");
    }
    names
}

/// The metrics that an expression asks for, each with the labels that it names.
struct Selected(Vec<(String, Vec<String>)>);

impl ExprVisitor for Selected {
    type Error = ();

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, ()> {
        let selector = match expr {
            Expr::VectorSelector(selector) => selector,
            Expr::MatrixSelector(range) => &range.vs,
            _ => return Ok(true),
        };
        let labels = selector.matchers.matchers.iter().map(|matcher| matcher.name.clone()).collect();
        self.0.push((selector.name.clone().expect("a metric has a name"), labels));
        Ok(true)
    }
}

fn selected(expr: &str) -> Vec<(String, Vec<String>)> {
    // The dashboard's variables stand for durations and words.
    let plain = expr.replace("$__rate_interval", "5m");
    let parsed = parser::parse(&plain).unwrap_or_else(|error| panic!("{error}: {expr}"));
    let mut found = Selected(Vec::new());
    walk_expr(&mut found, &parsed).unwrap();
    assert!(!found.0.is_empty(), "{expr} asks for nothing");
    found.0
}

/// The expressions of the rules, by alert.
fn rules() -> Vec<(String, Value)> {
    let rules: Value = serde_saphyr::from_str(&document("prometheus-rules.yml")).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    rules.map(|rule| (rule["alert"].as_str().unwrap().to_owned(), rule.clone())).collect()
}

/// The expressions of the dashboard, by panel.
fn panels() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&document("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let of_panel = |panel: &Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.into_iter().map(move |target| (title.clone(), target["expr"].as_str().unwrap().to_owned()))
    };
    panels.iter().flat_map(of_panel).collect()
}

/// A name as a query has it, as a scrape has it: of a histogram one asks for its parts.
fn whole<'n>(name: &'n str, known: &BTreeSet<String>) -> &'n str {
    let parts = ["_bucket", "_sum", "_count"];
    parts.iter().find_map(|part| name.strip_suffix(part)).filter(|base| known.contains(*base)).unwrap_or(name)
}

/// The metrics that the page names, in code.
fn explained() -> BTreeSet<String> {
    let page = document("operations.md");
    let words =
        page.split('`').skip(1).step_by(2).flat_map(|code| code.split(|c: char| c != '_' && !c.is_alphanumeric()));
    words.filter(|word| word.starts_with("strandline_") || word.starts_with("process_")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_explained_and_none_that_is_not_there() {
    let (here, _) = of_a_server().await;
    let known = with_the_other_kind(here);
    let explained: BTreeSet<String> = explained().iter().map(|name| whole(name, &known).to_owned()).collect();
    let unexplained: Vec<_> = known.difference(&explained).collect();
    assert!(unexplained.is_empty(), "docs/operations.md does not explain {unexplained:?}");
    let unknown: Vec<_> = explained.difference(&known).collect();
    assert!(unknown.is_empty(), "docs/operations.md explains what is not there: {unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_panels_ask_for_metrics_that_are_there_by_labels_that_they_have() {
    let (here, numbers) = of_a_server().await;
    let known = with_the_other_kind(here.clone());
    let alerts = rules().into_iter().map(|(alert, rule)| (alert, rule["expr"].as_str().unwrap().to_owned()));
    for (place, expr) in alerts.chain(panels()) {
        for (name, labels) in selected(&expr) {
            let base = whole(&name, &known);
            assert!(name == UP || known.contains(base), "{place} asks for {name}, which is not there");
            if !here.contains(base) {
                continue;
            }
            for label in labels.iter().filter(|label| !OF_PROMETHEUS.contains(&label.as_str())) {
                assert!(numbers.has_label(&name, label), "{place} asks for {name} by {label}, which it does not have");
            }
        }
    }
    let drawn = panels().into_iter().flat_map(|(_, expr)| selected(&expr));
    let drawn: BTreeSet<String> = drawn.map(|(name, _)| whole(&name, &known).to_owned()).collect();
    let undrawn: Vec<_> = known.difference(&drawn).collect();
    assert!(undrawn.is_empty(), "the dashboard does not show {undrawn:?}");
}

#[test]
fn every_alert_says_what_it_is_and_leads_to_what_is_to_be_done() {
    let page = document("operations.md");
    let anchors: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|title| title.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"))
        .collect();
    let mut names = BTreeSet::new();
    for (alert, rule) in rules() {
        let (summary, runbook) = (&rule["annotations"]["summary"], rule["annotations"]["runbook"].as_str().unwrap());
        assert!(summary.as_str().is_some_and(|summary| summary.len() > 20), "{alert}");
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{alert}");
        let anchor = runbook.strip_prefix("docs/operations.md#").unwrap_or_else(|| panic!("{alert}: {runbook}"));
        assert!(anchors.contains(anchor), "{alert} leads to {anchor}, which is no heading of docs/operations.md");
        assert!(page.contains(&format!("`{alert}`")), "docs/operations.md does not speak of {alert}");
        assert!(names.insert(alert.clone()), "{alert} is there twice");
    }
    let spoken_of =
        page.split('`').filter(|word| word.starts_with("Strandline") && word.chars().all(char::is_alphanumeric));
    for alert in spoken_of {
        assert!(names.contains(alert), "docs/operations.md speaks of {alert}, which is no alert");
    }
}

#[test]
fn the_dashboard_can_be_imported_with_a_data_source_of_ones_own() {
    let dashboard: Value = serde_json::from_str(&document("grafana-dashboard.json")).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert!(
        variables.iter().any(|v| v["type"] == "datasource" && v["name"] == "datasource" && v["query"] == "prometheus")
    );
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        let place = &panel["gridPos"];
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{} has another one's id", panel["title"]);
        assert!(places.insert((place["y"].as_u64(), place["x"].as_u64())), "{} lies on another one", panel["title"]);
        if panel["type"] == "row" {
            continue;
        }
        assert!(!panel["description"].as_str().unwrap().is_empty(), "{} is not explained", panel["title"]);
        for source in panel["targets"].as_array().unwrap().iter().chain([panel]) {
            assert_eq!(source["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        }
    }
}
