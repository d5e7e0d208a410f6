//! The JSON of records: what is taken as a document, equality, and merge patch.

use serde_json::value::RawValue;
use strandline::domain::json::MAX_DEPTH;
use strandline::domain::{Document, JsonFault, Patch};

use super::tree::{NoTree, Tree, depth, without_space};

/// Two JSON texts with a line feed between them.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (one, other) = text.split_once('\n').unwrap_or((text, "{}"));
    let (one, other) = (document(one), document(other));
    let (Some((target, target_tree)), Some((patch, patch_tree))) = (one, other) else { return };

    let equal = target.equals(&patch);
    assert_eq!(patch.equals(&target), equal, "equality is not mutual");
    let merged = target.merge(&as_patch(&patch));
    holds(&merged);
    assert!(merged.len() <= target.len() + patch.len());
    assert!(depth(merged.as_str()) <= depth(target.as_str()).max(depth(patch.as_str())));
    assert_eq!(merged.merge(&as_patch(&patch)), merged, "a patch does something the second time");

    if let (Some(target_tree), Some(patch_tree)) = (target_tree, patch_tree) {
        assert_eq!(equal, target_tree == patch_tree);
        let naive = target_tree.merge(&patch_tree);
        assert_eq!(Tree::read(merged.as_str()).as_ref(), Ok(&naive));
        // However it is spelled, it is the same document.
        let respelled = naive.respelled();
        let respelled = Document::parse(serde_json::from_str(&respelled).unwrap()).unwrap();
        assert!(respelled.equals(&merged) && merged.equals(&respelled), "{respelled:?} and {merged:?}");
    }
}

fn as_patch(document: &Document) -> Patch {
    Patch::parse(serde_json::from_str(document.as_str()).unwrap()).unwrap()
}

/// Reads a document, with its tree where a naive reader has one, and holds the two readings together.
pub fn document(text: &str) -> Option<(Document, Option<Tree>)> {
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    let tree = Tree::read(text);
    match Document::parse(raw) {
        Ok(document) => {
            assert_eq!(document.as_str(), without_space(text));
            holds(&document);
            assert_ne!(tree, Err(NoTree::Duplicate), "{text:?}");
            assert_eq!(tree.is_ok(), Tree::read(document.as_str()).is_ok());
            Some((document, tree.ok()))
        }
        Err(JsonFault::NotAnObject) => {
            assert!(!raw.get().starts_with('{'));
            None
        }
        Err(JsonFault::DuplicateKey { key }) => {
            assert!(tree.is_err(), "{text:?} has no key twice, and {key:?} is said to be");
            assert!(key.chars().count() <= 80);
            None
        }
        Err(JsonFault::TooDeep) => {
            assert!(depth(text) > MAX_DEPTH && tree != Err(NoTree::Duplicate));
            None
        }
        Err(JsonFault::Malformed) => panic!("serde_json takes {text:?}"),
    }
}

/// What is kept as a document is one: it reads back as it is.
pub fn holds(document: &Document) {
    assert!(depth(document.as_str()) <= MAX_DEPTH);
    let raw: &RawValue = serde_json::from_str(document.as_str()).expect("a document is JSON");
    assert_eq!(Document::parse(raw).as_ref(), Ok(document));
    assert!(document.equals(document));
}
