//! What `/metrics` says, read as strictly as Prometheus reads it.

#![expect(clippy::float_cmp, reason = "counts, which a float holds exactly")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::Server;

/// What takes longer will not happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// The samples of one scrape, each under its name and its labels in order, as in `name{a="1",b="2"}`.
#[derive(Clone)]
pub struct Numbers(BTreeMap<String, f64>);

impl Numbers {
    /// Reads a text, and asserts that it is in order: each metric is described once and before its samples, no sample is
    /// there twice, and buckets add up.
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").expect("the text is whole");
        let (mut samples, mut described) = (BTreeMap::new(), BTreeSet::new());
        let (mut family, mut kind, mut helped) = ("", "", "");
        for line in body.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, sentence) = help.split_once(' ').unwrap();
                assert!(sentence.ends_with('.') && described.insert(name), "{line}");
                helped = name;
            } else if let Some(kinds) = line.strip_prefix("# TYPE ") {
                (family, kind) = kinds.split_once(' ').unwrap();
                assert!(family == helped && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
            } else {
                let (key, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
                let (name, labels) = key.split_once('{').map_or((key, ""), |(name, rest)| {
                    (name, rest.strip_suffix('}').unwrap_or_else(|| panic!("{line}")))
                });
                let suffixes: &[&str] = match kind {
                    "counter" => &["_total"],
                    "histogram" => &["_sum", "_count", "_bucket"],
                    _ => &[""],
                };
                let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} stands under {family}"));
                assert!(suffixes.contains(&suffix), "{line} is no sample of a {kind}");
                let value: f64 = value.parse().unwrap();
                assert!(samples.insert(keyed(name, labels), value).is_none(), "{line} is there twice");
            }
        }
        let numbers = Self(samples);
        numbers.assert_buckets();
        numbers
    }

    /// The last bucket of a histogram holds all.
    fn assert_buckets(&self) {
        for (key, whole) in self.0.iter().filter(|(key, _)| key.contains("le=\"+Inf\"")) {
            let (name, labels) = key.split_once("_bucket{").unwrap();
            let others: Vec<&str> =
                labels.trim_end_matches('}').split(',').filter(|label| !label.starts_with("le=")).collect();
            assert_eq!(self.get(&keyed(&format!("{name}_count"), &others.join(","))), *whole, "{key}");
        }
    }

    /// A sample; 0 where there is none yet.
    pub fn get(&self, key: &str) -> f64 {
        self.0.get(key).copied().unwrap_or(0.0)
    }

    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Whether a sample of this name has this label.
    pub fn has_label(&self, name: &str, label: &str) -> bool {
        let has = |key: &str| {
            let (of, labels) = key.split_once('{').unwrap_or((key, ""));
            of == name && (labels.starts_with(&format!("{label}=")) || labels.contains(&format!(",{label}=")))
        };
        self.0.keys().any(|key| has(key))
    }

    /// How often a sample of this metric is there.
    pub fn count(&self, name: &str) -> usize {
        self.0.keys().filter(|key| key.split('{').next() == Some(name)).count()
    }

    /// The names of the samples, less what makes a histogram of its name.
    pub fn names(&self) -> BTreeSet<String> {
        let name = |key: &String| key.split('{').next().unwrap().to_owned();
        let all: BTreeSet<String> = self.0.keys().map(name).collect();
        let of_histogram = |name: &String| {
            let base = ["_sum", "_count", "_bucket"].iter().find_map(|suffix| name.strip_suffix(suffix));
            base.filter(|base| all.contains(&format!("{base}_bucket"))).map(str::to_owned)
        };
        all.iter().map(|name| of_histogram(name).unwrap_or_else(|| name.clone())).collect()
    }

    /// Asserts how far samples went up since `before`.
    #[track_caller]
    pub fn assert_up(&self, before: &Self, by: &[(&str, f64)]) {
        for (key, by) in by {
            let moved = self.get(key) - before.get(key);
            assert!((moved - by).abs() < 1e-9, "{key} went up by {moved} and not by {by}");
        }
    }
}

/// A sample's name with its labels in order. A value may hold anything but `",`.
fn keyed(name: &str, labels: &str) -> String {
    if labels.is_empty() {
        return name.to_owned();
    }
    let mut labels: Vec<&str> = labels.split_inclusive("\",").map(|label| label.trim_end_matches(',')).collect();
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(","))
}

impl Server {
    pub async fn numbers(&self) -> Numbers {
        Numbers::parse(&self.get("/metrics").await.text())
    }

    /// The numbers, as soon as they are as a test waits for them to be.
    pub async fn numbers_when(&self, what: &str, is: impl Fn(&Numbers) -> bool) -> Numbers {
        let begun = Instant::now();
        loop {
            let numbers = self.numbers().await;
            if is(&numbers) {
                return numbers;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not come about that {what}: {:#?}", numbers.0);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
