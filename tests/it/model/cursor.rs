//! Cursors as the small model spells them (§1), with the names of the collections where the product has their hash.

use super::wire::{Rev, Scope};

/// A cursor taken apart: `start` of an initial sync, `under_way` for every cursor that is not whole.
pub struct Cursor {
    pub epoch: String,
    pub rev: Rev,
    pub under_way: bool,
    pub start: Option<Rev>,
    pub scope: String,
}

impl Cursor {
    pub fn read(text: &str) -> Self {
        let (place, scope) = text.split_once('~').unwrap_or((text, ""));
        let parts: Vec<&str> = place.split('.').collect();
        let start = parts.get(2).and_then(|start| start.parse().ok());
        let rev = parts[1].parse().unwrap();
        Self { epoch: parts[0].into(), rev, under_way: parts.len() == 3, start, scope: scope.into() }
    }
}

pub fn mark(scope: Scope) -> String {
    scope.map(|names| names.join("+")).unwrap_or_default()
}

pub fn written(epoch: &str, rev: Rev, progress: &str, scope: Scope) -> String {
    let scope = scope.map(|_| format!("~{}", mark(scope))).unwrap_or_default();
    format!("{epoch}.{rev}{progress}{scope}")
}
