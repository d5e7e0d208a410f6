//! A real history as nightly dumps: the tree of a repository at some of its commits, mirrored one after another.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};

use serde_json::Value;

use super::{Desk, counts};

pub type Tree = BTreeMap<String, Value>;

/// The trees of the commits with these numbers.
pub fn trees(commits: &[usize]) -> Vec<Tree> {
    let file = std::fs::File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/kinto-history.ndjson.gz")).unwrap();
    let mut tree = Tree::new();
    let mut trees = Vec::new();
    for (number, line) in BufReader::new(flate2::read::GzDecoder::new(file)).lines().enumerate() {
        let commit: Value = serde_json::from_str(&line.unwrap()).unwrap();
        for change in commit["changes"].as_array().unwrap() {
            let id = change["id"].as_str().unwrap().to_owned();
            match change.get("data") {
                Some(data) => drop(tree.insert(id, data.clone())),
                None => drop(tree.remove(&id)),
            }
        }
        if commits.contains(&number) {
            trees.push(tree.clone());
        }
    }
    trees
}

pub fn dump(tree: &Tree) -> String {
    let mut text = String::new();
    for (path, data) in tree {
        let mut data = data.clone();
        data["path"] = path.as_str().into();
        writeln!(text, "{data}").unwrap();
    }
    text
}

/// Records that differ, in what way so ever.
fn difference(old: &Tree, new: &Tree) -> u64 {
    let written = new.iter().filter(|(id, data)| old.get(*id) != Some(data)).count();
    let deleted = old.keys().filter(|id| !new.contains_key(*id)).count();
    (written + deleted) as u64
}

#[test]
fn nightly_dumps_become_the_true_differences_and_nothing_else() {
    mirror_dumps(&Desk::new());
}

#[test]
fn nightly_dumps_do_the_same_through_a_server() {
    mirror_dumps(&Desk::served());
}

fn mirror_dumps(desk: &Desk) {
    let trees = trees(&[0, 40, 400, 1200, 1201, 2000, 2600, 2798]);
    assert_eq!(trees.last().unwrap().len(), 402);
    let mut before = Tree::new();
    let mut head = 0;
    for tree in trees {
        let summary = desk.import("dump.ndjson", dump(&tree), "--id-field path --mirror");
        let [applied, unchanged, deleted, kept, rejected] = counts(&summary);
        assert_eq!(applied + deleted, difference(&before, &tree));
        assert_eq!((applied + unchanged, kept, rejected), (tree.len() as u64, 0, 0));
        head += difference(&before, &tree);
        assert_eq!(summary["head"], head);

        let mut want: Vec<String> = dump(&tree).lines().map(ToOwned::to_owned).collect();
        want.sort();
        assert_eq!(desk.data(), want);
        // What changed since the last dump, told by the cursor file alone, is that difference.
        let changed = desk.json("export --space s --cursor-file state --output delta.ndjson");
        if !before.is_empty() {
            let told = changed["records"].as_u64().unwrap() + changed["deleted"].as_u64().unwrap();
            assert_eq!(told, difference(&before, &tree));
        }
        before = tree;
    }
}
