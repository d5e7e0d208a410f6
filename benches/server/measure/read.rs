//! Reading: pages, the whole of a space, and the manifest.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Bench, LARGE, SMALL, SMALL_RECORDS};
use crate::Result;
use crate::connection::{Connection, get};
use crate::load::{self, Requests, check, repeated};
use crate::raw::Raw;
use crate::report::{Aim, Line, Unit};
use crate::workload::mix;

pub(super) const PAGE: u64 = 1_000;
/// Clients that ask for pages at once: enough to keep both cores at work.
pub(super) const READERS: usize = 4;

/// Pages of 1,000 records from anywhere in the space.
pub fn pages(bench: &mut Bench) -> Result<()> {
    let (records, duration) = (bench.scale.records, bench.scale.round);
    let filled = bench.filled()?;
    let (address, mut raw) = (filled.server.address(), Raw::open(&filled.database())?);
    let space = raw.space(LARGE)?;
    let (ours, floor) = bench.take_turns(
        || pages_a_second(address, records, duration),
        || {
            let (begun, mut turn) = (Instant::now(), 0_u64);
            while begun.elapsed() < duration {
                let after = i64::try_from(place(turn, records, PAGE))?;
                raw.page(space, after + 1..=after + PAGE.cast_signed())?;
                turn += 1;
            }
            Ok(per_second(turn, begun.elapsed()))
        },
    )?;
    bench.add(Line {
        name: format!("delta page of {PAGE} records, {READERS} connections; floor: the rows from SQLite"),
        unit: Unit::PerSecond("pages"),
        ours,
        floor: Some(floor),
        aim: Aim::RatioFrom(0.5),
    });
    Ok(())
}

/// Pages of 1,000 records over HTTP, from anywhere in the space.
pub(super) fn pages_a_second(address: SocketAddr, records: u64, duration: Duration) -> Result<f64> {
    let loops = (0..READERS).map(|seed| places(LARGE, seed as u64, records, PAGE, duration)).collect();
    Ok(load::run(address, 200, loops)?.rate())
}

/// A pull of 100 changes, in the large space and in the small one: the newest ones, as a client that was here a moment
/// ago asks for, and those after any revision, where the small space fits into caches that the large one does not.
pub fn changes_by_size(bench: &mut Bench) -> Result<()> {
    const CHANGES: u64 = 100;
    let (records, duration) = (bench.scale.records, bench.scale.round);
    let address = bench.filled()?.server.address();
    let newest = |space, records: u64| {
        let path = format!("/v1/spaces/{space}/changes?since={}&limit={CHANGES}", records - CHANGES);
        repeated(&get(&path, ""), duration)
    };
    let anywhere = |space, records| places(space, 0, records, CHANGES, duration);
    let cost = |requests: Requests| Ok(1e3 / load::run(address, 200, vec![requests])?.rate());
    let of_the_newest = bench.take_turns(|| cost(newest(LARGE, records)), || cost(newest(SMALL, SMALL_RECORDS)))?;
    let of_any = bench.take_turns(|| cost(anywhere(LARGE, records)), || cost(anywhere(SMALL, SMALL_RECORDS)))?;
    for (which, (ours, floor)) in [("the newest", of_the_newest), ("any", of_any)] {
        bench.add(Line {
            name: format!("pull of {which} {CHANGES} changes; floor: from a space of {SMALL_RECORDS} records"),
            unit: Unit::Milliseconds,
            ours,
            floor: Some(floor),
            aim: Aim::RatioTo(1.2),
        });
    }
    Ok(())
}

/// The whole space as NDJSON, and the memory that it takes.
pub fn full_sync(bench: &mut Bench) -> Result<()> {
    let records = bench.scale.records;
    let filled = bench.filled()?;
    filled.restart()?;
    let address = filled.server.address();
    let (idle, mut raw) = (filled.server.memory()?, Raw::open(&filled.database())?);
    filled.server.forget_peak()?;
    let space = raw.space(LARGE)?;
    let (ours, floor) = bench.take_turns(
        || synced_a_second(address, records),
        || {
            let (begun, mut rows) = (Instant::now(), 0);
            for after in (0..records.cast_signed()).step_by(1_000) {
                rows += raw.page(space, after + 1..=after + PAGE.cast_signed())?;
            }
            expect(rows as u64, records)?;
            Ok(per_second(records, begun.elapsed()))
        },
    )?;
    bench.add(Line {
        name: format!("full sync of {records} records as NDJSON; floor: the rows from SQLite"),
        unit: Unit::PerSecond("records"),
        ours,
        floor: Some(floor),
        aim: Aim::RatioFrom(0.5),
    });
    let peak = bench.filled()?.server.peak_memory()?;
    bench.add(Line {
        name: "… its peak of memory above the idle process".into(),
        unit: Unit::Mebibytes,
        ours: mebibytes(peak.saturating_sub(idle)),
        floor: None,
        aim: Aim::To(64.0),
    });
    Ok(())
}

/// Records a second of the whole space over HTTP.
pub(super) fn synced_a_second(address: SocketAddr, records: u64) -> Result<f64> {
    let begun = Instant::now();
    expect(load::block_on(sync(address))?, records)?;
    Ok(per_second(records, begun.elapsed()))
}

/// The records of a whole NDJSON stream.
async fn sync(address: SocketAddr) -> Result<u64> {
    const CHECKPOINT: &[u8] = b"{\"cur";
    let request = get(&format!("/v1/spaces/{LARGE}/changes"), "accept: application/x-ndjson\r\n");
    let (mut lines, mut checkpoints, mut tail) = (0, 0, Vec::new());
    // A line is a checkpoint if it begins with this; pieces may end within it.
    let mut at_start = 0_usize;
    let stream = |piece: &[u8]| {
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            if at_start < CHECKPOINT.len() {
                let wanted = CHECKPOINT.get(at_start..).unwrap_or_default();
                let same = wanted.iter().zip(line).take_while(|(wanted, byte)| wanted == byte).count();
                let seen = wanted.len().min(line.len());
                at_start = if same == seen { at_start + seen } else { usize::MAX };
                checkpoints += u64::from(at_start == CHECKPOINT.len());
            }
            if line.ends_with(b"\n") {
                lines += 1;
                at_start = 0;
            }
        }
        tail.extend_from_slice(piece.get(piece.len().saturating_sub(512)..).unwrap_or_default());
        tail.drain(..tail.len().saturating_sub(512));
    };
    Connection::open(address).await?.stream(&request, stream).await?;
    let last = tail.rsplit(|byte| *byte == b'\n').nth(1).unwrap_or_default();
    let last: serde_json::Value = serde_json::from_slice(last)?;
    if last.get("has_more") != Some(&serde_json::Value::Bool(false)) {
        return Err(format!("a stream ended with {last}").into());
    }
    Ok(lines - checkpoints)
}

/// The manifest of the whole space.
pub fn manifest(bench: &mut Bench) -> Result<()> {
    let records = bench.scale.records;
    let filled = bench.filled()?;
    let (address, mut raw) = (filled.server.address(), Raw::open(&filled.database())?);
    let space = raw.space(LARGE)?;
    let (ours, floor) = bench.take_turns(
        || manifest_milliseconds(address),
        || {
            let begun = Instant::now();
            expect(raw.revisions(space)?.len() as u64, records)?;
            Ok(begun.elapsed().as_secs_f64() * 1e3)
        },
    )?;
    bench.add(Line {
        name: format!("manifest of {records} records; floor: their revisions from SQLite"),
        unit: Unit::Milliseconds,
        ours,
        floor: Some(floor),
        aim: Aim::None,
    });
    Ok(())
}

/// How long the manifest of the whole space takes over HTTP.
pub(super) fn manifest_milliseconds(address: SocketAddr) -> Result<f64> {
    let request = get(&format!("/v1/spaces/{LARGE}/manifest"), "");
    let begun = Instant::now();
    load::once(address, &request, |answer| check(&answer, 200))?;
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

/// Pulls of `limit` changes after revisions all over a space, until the time is over.
fn places(space: &'static str, seed: u64, records: u64, limit: u64, duration: Duration) -> Requests {
    let (begun, mut turn) = (Instant::now(), seed << 32);
    Box::new(move |request| {
        turn += 1;
        let after = place(turn, records, limit);
        request.clear();
        request.extend_from_slice(&get(&format!("/v1/spaces/{space}/changes?since={after}&limit={limit}"), ""));
        begun.elapsed() < duration
    })
}

/// A revision after which there are `count` records.
pub(super) fn place(turn: u64, records: u64, count: u64) -> u64 {
    mix(turn) % (records + 1).saturating_sub(count).max(1)
}

fn expect(found: u64, expected: u64) -> Result<()> {
    if found == expected { Ok(()) } else { Err(format!("expected {expected} records, found {found}").into()) }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn per_second(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
pub(super) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
