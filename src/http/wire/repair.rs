//! Manifests and fetched records (PROTOCOL.md §6).

use serde::Deserialize;

use super::super::limits::{PAGE_BYTES, PAGE_DEFAULT, PAGE_MAX};
use super::super::problem::Problem;
use super::{page, push_body, read, write};
use crate::domain::repair::{FetchRequest, Fetched, Manifest};
use crate::domain::{Rev, Runs, SpaceName};

/// The manifest as JSON.
pub fn manifest(manifest: &Manifest) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + manifest.runs.counts().len() * 4);
    out.extend_from_slice(b"{\"epoch\":");
    write::quoted(&mut out, &manifest.epoch);
    if let Some(cursor) = &manifest.cursor {
        out.extend_from_slice(b",\"cursor\":");
        write::quoted(&mut out, cursor);
    }
    for (key, value) in [
        (&b",\"head\":"[..], manifest.head.get()),
        (b",\"horizon\":", manifest.horizon.get()),
        (b",\"count\":", manifest.count),
    ] {
        out.extend_from_slice(key);
        write::number(&mut out, value);
    }
    out.extend_from_slice(b",\"checksum\":");
    write::quoted(&mut out, &manifest.checksum);
    out.extend_from_slice(b",\"runs\":");
    write::array(&mut out, manifest.runs.counts(), |out, count| write::number(out, *count));
    out.push(b'}');
    out
}

/// A page of fetched records as JSON.
pub fn fetched(fetched: &Fetched) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + page::size(&fetched.changes));
    out.extend_from_slice(b"{\"changes\":");
    page::write_changes(&mut out, &fetched.changes);
    out.extend_from_slice(b",\"has_more\":");
    write::boolean(&mut out, fetched.next.is_some());
    out.extend_from_slice(b",\"next\":");
    match fetched.next {
        Some(next) => write::number(&mut out, next.get()),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
    out
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FetchBody {
    runs: Vec<u64>,
    collections: Option<Vec<String>>,
    limit: Option<usize>,
    from: Option<u64>,
}

/// Reads a fetch's body. The flag says whether it has a `limit`, which only a page may have.
///
/// # Errors
/// A 400.
pub fn parse_fetch(text: &str, space: SpaceName) -> Result<(FetchRequest, bool), Problem> {
    let body: FetchBody = read::object(text).map_err(|fault| Problem::invalid(format!("body: {fault}")))?;
    let limit = body.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::invalid(format!("limit must be a whole number from 1 to {PAGE_MAX}")));
    }
    let from = Rev::new(body.from.unwrap_or(0)).map_err(|fault| Problem::invalid(format!("from: {fault}")))?;
    let request = FetchRequest {
        space,
        collections: body.collections.as_deref().map(push_body::collections).transpose()?,
        runs: Runs::new(body.runs).map_err(|fault| Problem::invalid(fault.to_string()))?,
        from,
        limit,
        max_bytes: PAGE_BYTES,
    };
    Ok((request, body.limit.is_some()))
}

#[cfg(test)]
mod tests {
    use super::super::change::tests::change;
    use super::*;
    use crate::domain::Checksum;

    #[test]
    fn a_manifest_and_a_page_of_records_are_written_as_the_protocol_shows_them() {
        let whole = Manifest {
            epoch: "k3f9q2".parse().unwrap(),
            cursor: Some("k3f9q2.2151.p".parse().unwrap()),
            head: Rev::new(2151).unwrap(),
            horizon: Rev::new(812).unwrap(),
            count: 150,
            checksum: Checksum::EMPTY,
            runs: Runs::new(vec![0, 50, 3, 100]).unwrap(),
        };
        let text = |bytes| String::from_utf8(bytes).unwrap();
        insta::assert_snapshot!(text(manifest(&whole)), @r#"{"epoch":"k3f9q2","cursor":"k3f9q2.2151.p","head":2151,"horizon":812,"count":150,"checksum":"0000000000000000","runs":[0,50,3,100]}"#);
        let part = Manifest { cursor: None, ..whole };
        assert!(!text(manifest(&part)).contains("cursor"));
        let page = Fetched { changes: vec![change("a", 4, Some("{}"))], next: Some(Rev::new(9).unwrap()) };
        insta::assert_snapshot!(text(fetched(&page)), @r#"{"changes":[{"collection":"todos","id":"a","rev":4,"modified_at":"2026-11-22T20:30:00.123456Z","deleted":false,"data":{}}],"has_more":true,"next":9}"#);
    }

    #[test]
    fn a_fetch_that_is_none_is_refused() {
        let space = SpaceName::new("demo").unwrap();
        for (text, says) in [
            ("", "body"),
            ("[[]]", "body"),
            ("{}", "missing field `runs`"),
            (r#"{"runs":[1]}"#, "odd length"),
            (r#"{"runs":[0,0]}"#, "the count at index 1 is 0"),
            (r#"{"runs":[0,-1]}"#, "body"),
            (r#"{"runs":[],"limit":0}"#, "limit"),
            (r#"{"runs":[],"limit":10001}"#, "limit"),
            (r#"{"runs":[],"from":9007199254740992}"#, "from"),
            (r#"{"runs":[],"form":1}"#, "unknown field"),
        ] {
            let fault = parse_fetch(text, space.clone()).unwrap_err().to_string();
            assert!(fault.contains(says), "{text}: {fault}");
        }
    }
}
