//! The records of the benchmark, and the pushes that carry them: 200 bytes of data under ids that look random.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::connection::post;
use crate::load::Requests;

/// Bytes of a record's data.
pub const DATA_BYTES: usize = 200;

/// The id of the `n`th record: a UUID as a client would make it, so that neighbours lie far apart in any index by id.
pub fn id(n: u64) -> String {
    let (high, low) = (mix(2 * n), mix(2 * n + 1));
    uuid::Builder::from_random_bytes(((u128::from(high) << 64) | u128::from(low)).to_be_bytes()).into_uuid().to_string()
}

/// `SplitMix64`: spreads consecutive numbers over the whole range.
pub fn mix(n: u64) -> u64 {
    let z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Writes the data of the `n`th record.
pub fn data(out: &mut String, n: u64) {
    let begun = out.len();
    // Writing to a `String` cannot fail.
    let _ = write!(out, r#"{{"title":"record {n}","done":false,"order":{},"notes":""#, mix(n) % 1_000);
    while out.len() - begun < DATA_BYTES - 2 {
        out.push(char::from(b'a' + u8::try_from((n + out.len() as u64 * 7) % 26).unwrap_or_default()));
    }
    out.push_str("\"}");
}

/// Whether a push writes its records or deletes them.
#[derive(Clone, Copy)]
pub enum Kind {
    /// As new ones.
    Insert,
    /// Whatever they are.
    Delete,
}

/// Writes the body of a push of `count` records from the `first`.
pub fn body(out: &mut String, kind: Kind, first: u64, count: u64) {
    out.clear();
    out.push_str(r#"{"changes":["#);
    for n in first..first + count {
        if n > first {
            out.push(',');
        }
        let _ = write!(out, r#"{{"collection":"todos","id":"{}","#, id(n));
        match kind {
            Kind::Insert => {
                out.push_str(r#""data":"#);
                data(out, n);
            }
            Kind::Delete => out.push_str(r#""base_rev":"*","deleted":true"#),
        }
        out.push('}');
    }
    out.push_str("]}");
}

/// Numbers of records that were not written yet, dealt out in batches.
#[derive(Clone, Debug)]
pub struct Batches {
    next: Arc<AtomicU64>,
    end: u64,
    size: u64,
}

impl Batches {
    /// `count` records from the `first`, `size` at a time.
    pub fn new(first: u64, count: u64, size: u64) -> Self {
        Self { next: Arc::new(AtomicU64::new(first)), end: first + count, size }
    }

    /// The next batch: its first number and its size.
    pub fn take(&self) -> Option<(u64, u64)> {
        let first = self.next.fetch_add(self.size, Ordering::Relaxed);
        (first < self.end).then(|| (first, self.size.min(self.end - first)))
    }

    /// Pushes them to `space`, each of `connections` taking the next batch when it is free.
    pub fn pushes(&self, space: &str, kind: Kind, connections: usize) -> Vec<Requests> {
        (0..connections).map(|_| self.pushes_in_turn(&[space.to_owned()], kind)).collect()
    }

    /// Pushes them to `spaces` in turn, each when the last one is answered.
    pub fn pushes_in_turn(&self, spaces: &[String], kind: Kind) -> Requests {
        let paths: Vec<String> = spaces.iter().map(|space| format!("/v1/spaces/{space}/push")).collect();
        let (batches, mut text, mut turn) = (self.clone(), String::new(), 0);
        Box::new(move |request| {
            let (Some((first, count)), Some(path)) = (batches.take(), paths.get(turn % paths.len())) else {
                return false;
            };
            turn += 1;
            body(&mut text, kind, first, count);
            post(request, path, text.as_bytes());
            true
        })
    }
}
