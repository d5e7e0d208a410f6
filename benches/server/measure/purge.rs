//! What clients feel of a purge.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::read::per_second;
use super::{Bench, LARGE, push_all};
use crate::Result;
use crate::connection::post;
use crate::load::{self, Outcome, Requests, check};
use crate::report::{Aim, Line, Unit};
use crate::workload::{Batches, Kind};

/// Clients that push all the time, each its next record when the last one is durable.
const CONNECTIONS: usize = 8;

/// Over SQLite.
pub fn purge(bench: &mut Bench) -> Result<()> {
    let address = bench.filled()?.server.address();
    beside_pushes(bench, address, "", Aim::RatioTo(2.0))
}

/// Deletes every record, purges the tombstones, and pushes single records meanwhile. The same closed loop without a
/// purge, before and after it, is the floor; so the load offered falls where the server slows down, and what is
/// compared is what each client waits.
pub(super) fn beside_pushes(bench: &mut Bench, address: SocketAddr, store: &str, aim: Aim) -> Result<()> {
    let (records, quiet) = (bench.scale.records, bench.scale.round * 3);
    let outcome = push_all(address, LARGE, Kind::Delete, 0, records)?;
    eprintln!("  deleted {records} records in {:.1} s", outcome.elapsed.as_secs_f64());
    // New records, far from the numbers of all others.
    let batches = Batches::new(1 << 40, 1 << 40, 1);
    let for_a_while = || {
        let begun = Instant::now();
        load::run(address, 200, pushes(&batches, move || begun.elapsed() < quiet))
    };
    let before = for_a_while()?;
    let purged = Arc::new(AtomicBool::new(false));
    let (during, (count, took)) = thread::scope(|scope| {
        let purge = scope.spawn(|| {
            let done = compact(address);
            purged.store(true, Ordering::Relaxed);
            done
        });
        let until = Arc::clone(&purged);
        let during = load::run(address, 200, pushes(&batches, move || !until.load(Ordering::Relaxed)));
        let purged = purge.join().map_err(|_| "the purge panicked")??;
        Result::Ok((during?, purged))
    })?;
    let after = for_a_while()?;
    for (when, outcome) in [("before", &before), ("during", &during), ("after", &after)] {
        eprintln!(
            "  {when}: {:.0} pushes/s, p50 {:?}, p99 {:?}, p99.9 {:?}, longest {:?}",
            outcome.rate(),
            outcome.per_mille(500),
            outcome.per_mille(990),
            outcome.per_mille(999),
            outcome.per_mille(1_000)
        );
    }
    if count < records {
        return Err(format!("purged {count} tombstones of {records}").into());
    }
    bench.add(Line {
        name: format!("{store}p99 of a push during a purge, {CONNECTIONS} connections; floor: without one"),
        unit: Unit::Milliseconds,
        ours: milliseconds(&during),
        floor: Some(f64::midpoint(milliseconds(&before), milliseconds(&after))),
        aim,
    });
    bench.add(Line {
        name: format!("… the purge of {records} tombstones meanwhile"),
        unit: Unit::PerSecond("tombstones"),
        ours: per_second(count, took),
        floor: None,
        aim: Aim::None,
    });
    Ok(())
}

fn pushes(batches: &Batches, go_on: impl Fn() -> bool + Clone + Send + 'static) -> Vec<Requests> {
    let timed = |mut push: Requests| -> Requests {
        let go_on = go_on.clone();
        Box::new(move |request| go_on() && push(request))
    };
    batches.pushes(LARGE, Kind::Insert, CONNECTIONS).into_iter().map(timed).collect()
}

/// Purges every tombstone; answers how many there were, and how long it took.
fn compact(address: SocketAddr) -> Result<(u64, Duration)> {
    let (mut request, begun) = (Vec::new(), Instant::now());
    post(&mut request, &format!("/v1/spaces/{LARGE}/compact"), br#"{"older_than":"0s"}"#);
    load::once(address, &request, |answer| {
        check(&answer, 200)?;
        let done: serde_json::Value = serde_json::from_slice(answer.body)?;
        let purged = done.get("purged").and_then(serde_json::Value::as_u64).ok_or("an answer without a count")?;
        Ok((purged, begun.elapsed()))
    })
}

fn milliseconds(outcome: &Outcome) -> f64 {
    outcome.per_mille(990).as_secs_f64() * 1e3
}
