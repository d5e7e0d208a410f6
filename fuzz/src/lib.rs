//! What must hold of every input of a parser, whoever thought of it. The targets in `fuzz_targets/` hand libFuzzer's inputs
//! to these functions; the tests of the server (`tests/it/corpora.rs`) include this file and hand them the corpora.
//!
//! A check says more than that nothing panics: what is read is what a naive reader makes of the same text, what is printed
//! reads back as it was, and limits hold.

pub mod cursor;
pub mod grants;
pub mod import_csv;
pub mod import_ndjson;
pub mod jwt;
pub mod merge_patch;
pub mod push_body;
pub mod runs;
mod tree;

/// A target: its name, which is also that of its corpus, and its check.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 8] = [
    ("cursor", cursor::check),
    ("grants", grants::check),
    ("import_csv", import_csv::check),
    ("import_ndjson", import_ndjson::check),
    ("jwt", jwt::check),
    ("merge_patch", merge_patch::check),
    ("push_body", push_body::check),
    ("runs", runs::check),
];
