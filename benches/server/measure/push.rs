//! Durable pushes, of one record and of a thousand.

use super::read::per_second;
use super::{Bench, directory, url};
use crate::Result;
use crate::children::Server;
use crate::load;
use crate::raw::Raw;
use crate::report::{Aim, Line, Unit};
use crate::workload::{Batches, Kind};

/// One record a push, as many clients edit one collection. The floor commits as many at a time as there are clients.
pub fn single(bench: &mut Bench) -> Result<()> {
    const CONNECTIONS: usize = 32;
    let (ours, floor) = inserts(bench, 40_000, 1, CONNECTIONS, 32)?;
    bench.add(Line {
        name: format!("push of one record, {CONNECTIONS} connections; floor: {CONNECTIONS} raw inserts a transaction"),
        unit: Unit::PerSecond("pushes"),
        ours,
        floor: Some(floor),
        aim: Aim::From(10_000.0),
    });
    Ok(())
}

/// 1,000 records a push. With a few connections one batch is read while the one before is committed.
pub fn batches(bench: &mut Bench) -> Result<()> {
    const CONNECTIONS: usize = 3;
    let (ours, floor) = inserts(bench, 100_000, 1_000, CONNECTIONS, 1_000)?;
    bench.add(Line {
        name: format!("push of 1,000 records, {CONNECTIONS} connections; floor: 1,000 raw inserts a transaction"),
        unit: Unit::PerSecond("records"),
        ours,
        floor: Some(floor),
        aim: Aim::RatioFrom(0.8),
    });
    Ok(())
}

/// New records a second, over HTTP and raw. Both files begin empty and grow by the same numbers of records.
fn inserts(bench: &Bench, records: u64, push: u64, connections: usize, group: u64) -> Result<(f64, f64)> {
    let records = (records * bench.scale.records / 1_000_000).max(2_000);
    let directory = directory()?;
    let server = Server::strandline(&url(&directory.path().join("ours.db")))?;
    let mut raw = Raw::create(&directory.path().join("floor.db"))?;
    let (mut first, mut raw_first) = (0, 0);
    bench.take_turns(
        || {
            let batches = Batches::new(first, records, push);
            first += records;
            let outcome = load::run(server.address(), 200, batches.pushes("space", Kind::Insert, connections))?;
            Ok(per_second(records, outcome.elapsed))
        },
        || {
            let batches = Batches::new(raw_first, records, group);
            raw_first += records;
            Ok(per_second(records, raw.insert(&batches)?))
        },
    )
}
