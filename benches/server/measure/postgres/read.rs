//! Reading: polls, and that they are never stale; pages, the whole of a space, and the manifest.

use std::net::SocketAddr;
use std::thread;

use futures_util::future::try_join_all;
use serde_json::Value;

use super::super::read::{
    PAGE, READERS, manifest_milliseconds, mebibytes, pages_a_second, per_second, place, synced_a_second,
};
use super::super::{Bench, LARGE, poll};
use super::{Filled, STORE};
use crate::Result;
use crate::children::Server;
use crate::connection::{Connection, get, post};
use crate::load::{self, check};
use crate::postgres::psql::Psql;
use crate::report::{Aim, Line, Unit};
use crate::workload::{Batches, Kind, body, id};

/// Up-to-date polls; and that none of them is older than the last push that was acknowledged.
pub fn polls(bench: &mut Bench) -> Result<()> {
    let (address, quick) = (bench.filled_postgres()?.server.address(), bench.scale.quick);
    poll::both_forms(bench, address, STORE, Aim::RatioFrom(0.6))?;
    let pushes = if quick { 50 } else { 1_000 };
    let batches = Batches::new(0, PAIRS as u64 * pushes, 1);
    let stale = load::block_on(try_join_all((0..PAIRS).map(|_| push_and_poll(address, &batches))))?;
    bench.add(Line {
        name: format!("{STORE}polls older than an acknowledged push, of {} after one", PAIRS as u64 * pushes),
        unit: Unit::Of("polls"),
        ours: f64::from(u32::try_from(stale.iter().sum::<u64>())?),
        floor: None,
        aim: Aim::To(0.0),
    });
    Ok(())
}

/// Pairs of a client that pushes and one that polls, all in one space.
const PAIRS: usize = 4;

/// Pushes a record, then polls with the cursor from before it, on another connection. Answers how many polls did not show
/// the push. Every other poll would rather have a 304.
async fn push_and_poll(address: SocketAddr, batches: &Batches) -> Result<u64> {
    const SPACE: &str = "/v1/spaces/fresh";
    let (mut pusher, mut poller) = (Connection::open(address).await?, Connection::open(address).await?);
    let (mut text, mut request, mut stale) = (String::new(), Vec::new(), 0);
    let mut path = format!("{SPACE}/changes?since=0");
    while let Some((n, count)) = batches.take() {
        // There is no space before the first push.
        let tag = poller.exchange(&get(&path, "")).await?.header("etag").map(str::to_owned);
        body(&mut text, Kind::Insert, n, count);
        post(&mut request, &format!("{SPACE}/push"), text.as_bytes());
        check(&pusher.exchange(&request).await?, 200)?;
        let header = tag.filter(|_| n % 2 == 0).map(|tag| format!("if-none-match: {tag}\r\n")).unwrap_or_default();
        let answer = poller.exchange(&get(&path, &header)).await?;
        let shows = answer.status == 200 && std::str::from_utf8(answer.body)?.contains(&id(n));
        if !shows {
            stale += 1;
            continue;
        }
        let page: Value = serde_json::from_slice(answer.body)?;
        let cursor = page.get("cursor").and_then(Value::as_str).ok_or("a page without a cursor")?;
        path = format!("{SPACE}/changes?since={cursor}");
    }
    Ok(stale)
}

/// Pages of 1,000 records from anywhere in the space.
pub fn pages(bench: &mut Bench) -> Result<()> {
    let (records, duration) = (bench.scale.records, bench.scale.round);
    let filled = bench.filled_postgres()?;
    let space = filled.space();
    for readers in [1, READERS] {
        let mut readers = (0..readers).map(|_| Psql::open(filled.database.url())).collect::<Result<Vec<_>>>()?;
        let count = readers.len();
        let (ours, floor) = bench.take_turns(
            || pages_a_second(filled.server.address(), records, duration),
            || {
                at_once(&mut readers, |seed, psql| {
                    psql.repeatedly(duration, |turn| rows(space, place((seed << 32) + turn, records, PAGE)))
                })
            },
        )?;
        bench.add(Line {
            name: format!(
                "{STORE}delta page of {PAGE} records, {READERS} connections; floor: the rows by psql, {count}"
            ),
            unit: Unit::PerSecond("pages"),
            ours,
            floor: Some(floor),
            aim: Aim::RatioFrom(0.5),
        });
    }
    Ok(())
}

/// What all of them do a second, each in a thread of its own.
fn at_once(all: &mut [Psql], work: impl Fn(u64, &mut Psql) -> Result<f64> + Sync) -> Result<f64> {
    let rates = thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0_u64..).zip(all).map(|(seed, one)| scope.spawn(move || work(seed, one))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Result<_>>| thread.join().map_err(|_| "a thread panicked")?;
        threads.into_iter().map(join).collect::<Result<Vec<f64>>>()
    })?;
    Ok(rates.into_iter().sum())
}

/// The whole space as NDJSON, by a server that has done nothing else, and the memory that it takes.
pub fn full_sync(bench: &mut Bench) -> Result<()> {
    let records = bench.scale.records;
    let filled = bench.filled_postgres()?;
    let server = Server::strandline(filled.database.url())?;
    let (idle, space) = (server.memory()?, filled.space());
    server.forget_peak()?;
    let mut psql = Psql::open(filled.database.url())?;
    let (ours, floor) = bench.take_turns(
        || synced_a_second(server.address(), records),
        || {
            let pages = (0..records).step_by(usize::try_from(PAGE)?).map(|after| rows(space, after));
            Ok(per_second(records, psql.all(pages)?))
        },
    )?;
    bench.add(Line {
        name: format!("{STORE}full sync of {records} records as NDJSON; floor: the rows by psql"),
        unit: Unit::PerSecond("records"),
        ours,
        floor: Some(floor),
        aim: Aim::None,
    });
    bench.add(Line {
        name: "… its peak of memory above the idle process".into(),
        unit: Unit::Mebibytes,
        ours: mebibytes(server.peak_memory()?.saturating_sub(idle)),
        floor: None,
        aim: Aim::None,
    });
    Ok(())
}

/// The manifest of the whole space.
pub fn manifest(bench: &mut Bench) -> Result<()> {
    let records = bench.scale.records;
    let filled = bench.filled_postgres()?;
    let (space, mut psql) = (filled.space(), Psql::open(filled.database.url())?);
    let (ours, floor) = bench.take_turns(
        || manifest_milliseconds(filled.server.address()),
        || {
            let revisions = format!("SELECT rev FROM records WHERE space_id = {space} ORDER BY rev");
            Ok(psql.all(std::iter::once(revisions))?.as_secs_f64() * 1e3)
        },
    )?;
    bench.add(Line {
        name: format!("{STORE}manifest of {records} records; floor: their revisions by psql"),
        unit: Unit::Milliseconds,
        ours,
        floor: Some(floor),
        aim: Aim::None,
    });
    Ok(())
}

impl Filled {
    /// The number of the large space.
    fn space(&self) -> i64 {
        self.database.admin().ask(&format!("SELECT id FROM spaces WHERE name = '{LARGE}'"))
    }
}

/// The question for the rows of a page.
fn rows(space: i64, after: u64) -> String {
    format!(
        "SELECT rev, collection_id, id, modified_at, data FROM records \
         WHERE space_id = {space} AND rev BETWEEN {} AND {} ORDER BY rev",
        after + 1,
        after + PAGE
    )
}
