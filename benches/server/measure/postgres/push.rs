//! Durable pushes.

use super::super::read::per_second;
use super::super::{Bench, median};
use super::STORE;
use crate::Result;
use crate::children::Server;
use crate::load::{self, limited};
use crate::postgres::pgbench;
use crate::postgres::raw::Raw;
use crate::report::{Aim, Line, Unit};
use crate::workload::{Batches, Kind};

/// Clients that push single records.
const CONNECTIONS: usize = 32;
/// Numbers of records that no round comes to the end of.
const ROUND: u64 = 1 << 32;

/// One record a push, each client into spaces of its own, in turn.
pub fn many_spaces(bench: &mut Bench) -> Result<()> {
    const EACH: usize = 4;
    let (cluster, duration) = (bench.postgres()?, bench.scale.round);
    let (database, floor) = (cluster.database(), cluster.with_schema()?);
    let server = Server::strandline(database.url())?;
    let (mut first, mut floor_first) = (0, 0);
    let (ours, floor) = bench.take_turns(
        || {
            first += ROUND;
            let batches = Batches::new(first, ROUND, 1);
            let pushes = |client: usize| {
                let spaces: Vec<String> = (0..EACH).map(|n| format!("space-{}", client * EACH + n)).collect();
                limited(batches.pushes_in_turn(&spaces, Kind::Insert), duration)
            };
            Ok(load::run(server.address(), 200, (0..CONNECTIONS).map(pushes).collect())?.rate())
        },
        || {
            floor_first += ROUND;
            pgbench::inserts(floor.url(), CONNECTIONS, EACH, floor_first, duration)
        },
    )?;
    let spaces = CONNECTIONS * EACH;
    bench.add(Line {
        name: format!(
            "{STORE}push of one record into {spaces} spaces, {CONNECTIONS} connections; floor: pgbench, a row"
        ),
        unit: Unit::PerSecond("pushes"),
        ours,
        floor: Some(floor),
        aim: Aim::RatioFrom(0.5),
    });
    Ok(())
}

/// One record a push, all clients into one space. The floors have one push a transaction: by the server, asked by one
/// client that waits for each answer, and by its statements alone, from one connection and from as many as there are
/// clients.
pub fn one_space(bench: &mut Bench) -> Result<()> {
    let (cluster, duration) = (bench.postgres()?, bench.scale.round);
    let (database, floor) = (cluster.database(), cluster.with_schema()?);
    let server = Server::strandline(database.url())?;
    let raw = Raw::create(floor.url())?;
    let (batches, raw_batches) = (Batches::new(0, u64::MAX, 1), Batches::new(0, u64::MAX, 1));
    let pushes = |connections| -> Result<f64> {
        let pushes = batches.pushes("space", Kind::Insert, connections).into_iter();
        let pushes = pushes.map(|requests| limited(requests, duration)).collect();
        Ok(load::run(server.address(), 200, pushes)?.rate())
    };
    let [mut ours, mut by_one_client, mut raw_one, mut raw_many] = [const { Vec::new() }; 4];
    for round in 0..=bench.scale.rounds {
        let rates = [
            raw.one_by_one(&raw_batches, 1, duration)?,
            raw.one_by_one(&raw_batches, CONNECTIONS, duration)?,
            pushes(1)?,
            pushes(CONNECTIONS)?,
        ];
        if round > 0 {
            for (figures, rate) in [&mut raw_one, &mut raw_many, &mut by_one_client, &mut ours].into_iter().zip(rates) {
                figures.push(rate);
            }
        }
    }
    let ours = median(ours);
    for (which, floor) in [
        ("one connection".to_owned(), by_one_client),
        ("its statements, one connection".to_owned(), raw_one),
        (format!("its statements, {CONNECTIONS} connections"), raw_many),
    ] {
        bench.add(Line {
            name: format!("{STORE}push of one record into one space, {CONNECTIONS} connections; floor: {which}"),
            unit: Unit::PerSecond("pushes"),
            ours,
            floor: Some(median(floor)),
            aim: Aim::RatioFrom(3.0),
        });
    }
    Ok(())
}

/// 1,000 records a push, all clients into one space. The floors insert the same rows, one of them as the server must do
/// it, one transaction after the other, and one with as many connections as there are clients.
pub fn batches(bench: &mut Bench) -> Result<()> {
    const CLIENTS: usize = 3;
    const BATCH: u64 = 1_000;
    let records = (100_000 * bench.scale.records / 1_000_000).max(3_000);
    let cluster = bench.postgres()?;
    for connections in [1, CLIENTS] {
        let (database, floor) = (cluster.database(), cluster.with_schema()?);
        let server = Server::strandline(database.url())?;
        let raw = Raw::create(floor.url())?;
        let (mut first, mut raw_first) = (0, 0);
        let (ours, floor) = bench.take_turns(
            || {
                let batches = Batches::new(first, records, BATCH);
                first += records;
                let outcome = load::run(server.address(), 200, batches.pushes("space", Kind::Insert, CLIENTS))?;
                Ok(per_second(records, outcome.elapsed))
            },
            || {
                let batches = Batches::new(raw_first, records, BATCH);
                raw_first += records;
                Ok(per_second(records, raw.insert(&batches, connections)?))
            },
        )?;
        bench.add(Line {
            name: format!("{STORE}push of {BATCH} records, {CLIENTS} connections; floor: raw inserts, {connections}"),
            unit: Unit::PerSecond("records"),
            ours,
            floor: Some(floor),
            aim: Aim::RatioFrom(0.4),
        });
    }
    Ok(())
}
