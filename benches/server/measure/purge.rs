//! What clients feel of a purge.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::read::per_second;
use super::{Bench, LARGE, push_all};
use crate::Result;
use crate::connection::{get, post};
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
    let planned = plan(address, records)?;
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
        ours: milliseconds(&during, 990),
        floor: Some(f64::midpoint(milliseconds(&before, 990), milliseconds(&after, 990))),
        aim,
    });
    bench.add(Line {
        name: "… its p99.9".into(),
        unit: Unit::Milliseconds,
        ours: milliseconds(&during, 999),
        floor: Some(f64::midpoint(milliseconds(&before, 999), milliseconds(&after, 999))),
        aim: Aim::To(250.0),
    });
    bench.add(Line {
        name: format!("{store}plan of {} windows over {records} tombstones", WINDOWS.split(',').count()),
        unit: Unit::Milliseconds,
        ours: planned.as_secs_f64() * 1e3,
        floor: None,
        aim: if records <= 1_000_000 { Aim::To(1_000.0) } else { Aim::None },
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

/// The windows of the plan: the last one is that of everything.
const WINDOWS: &str = "365d,180d,90d,30d,7d,1d,1h,0s";

/// Plans a purge of every tombstone, with a client that it would leave behind; answers how long that took.
fn plan(address: SocketAddr, records: u64) -> Result<Duration> {
    let pull = get(&format!("/v1/spaces/{LARGE}/changes?since={records}&limit=1"), "strandline-client: bench\r\n");
    load::once(address, &pull, |answer| check(&answer, 200))?;
    let request = get(&format!("/v1/spaces/{LARGE}/retention/plan?windows={WINDOWS}"), "");
    let begun = Instant::now();
    load::once(address, &request, |answer| {
        check(&answer, 200)?;
        let plan: serde_json::Value = serde_json::from_slice(answer.body)?;
        let all = plan.get("plan").and_then(|windows| windows.as_array()?.last());
        let told = |name: &str| all.and_then(|window| window.get(name)?.as_u64());
        match (told("tombstones"), told("clients_behind")) {
            (Some(tombstones), Some(1)) if tombstones >= records => Ok(begun.elapsed()),
            _ => Err(format!("a plan of something else: {plan}").into()),
        }
    })
}

fn milliseconds(outcome: &Outcome, per_mille: usize) -> f64 {
    outcome.per_mille(per_mille).as_secs_f64() * 1e3
}
