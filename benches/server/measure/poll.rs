//! The commonest request there is: "anything new?", "no".

use std::net::SocketAddr;

use super::{Bench, LARGE};
use crate::Result;
use crate::children::Server;
use crate::connection::get;
use crate::load::{self, check, repeated};
use crate::report::{Aim, Line, Unit};

const CONNECTIONS: usize = 64;

/// Over SQLite.
pub fn up_to_date(bench: &mut Bench) -> Result<()> {
    let address = bench.filled()?.server.address();
    both_forms(bench, address, "", Aim::RatioFrom(0.8))
}

/// The two forms of the answer, 304 and an empty page, beside a static answer of 64 bytes.
pub(super) fn both_forms(bench: &mut Bench, address: SocketAddr, store: &str, aim: Aim) -> Result<()> {
    let path = format!("/v1/spaces/{LARGE}/changes?since=now");
    let (cursor, tag) = load::once(address, &get(&path, ""), |answer| {
        check(&answer, 200)?;
        let page: serde_json::Value = serde_json::from_slice(answer.body)?;
        let cursor = page.get("cursor").and_then(serde_json::Value::as_str).ok_or("a page without a cursor")?;
        Ok((cursor.to_owned(), answer.header("etag").ok_or("a page without an ETag")?.to_owned()))
    })?;
    let path = format!("/v1/spaces/{LARGE}/changes?since={cursor}");
    let floor = Server::floor()?;
    for (name, status, headers) in
        [("poll, 304", 304, format!("if-none-match: {tag}\r\n")), ("poll, empty page", 200, String::new())]
    {
        let duration = bench.scale.round;
        let rate = |address, status, request: &[u8]| {
            let loops = (0..CONNECTIONS).map(|_| repeated(request, duration)).collect();
            Ok(load::run(address, status, loops)?.rate())
        };
        let (ours, floor) = bench.take_turns(
            || rate(address, status, &get(&path, &headers)),
            || rate(floor.address(), 200, &get("/", "")),
        )?;
        bench.add(Line {
            name: format!("{store}{name}, {CONNECTIONS} connections; floor: a static answer"),
            unit: Unit::PerSecond("requests"),
            ours,
            floor: Some(floor),
            aim,
        });
    }
    Ok(())
}
