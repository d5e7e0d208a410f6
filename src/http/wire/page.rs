//! A page of changes, and the parts of which the streams are made (PROTOCOL.md §3).

use super::change::ChangeWriter;
use super::write;
use crate::domain::Change;
use crate::domain::pull::Page;

/// Room for all of a page but its changes.
const FRAME: usize = 320;

/// The page as one JSON object, on one line.
pub fn to_json(page: &Page) -> Vec<u8> {
    let mut out = Vec::with_capacity(FRAME + size(&page.changes));
    write_page(&mut out, page);
    out
}

/// The page as a server-sent event.
pub fn to_event(page: &Page) -> Vec<u8> {
    let mut out = Vec::with_capacity(FRAME + size(&page.changes));
    out.extend_from_slice(b"event: changes\nid: ");
    out.extend_from_slice(page.cursor.to_string().as_bytes());
    out.extend_from_slice(b"\ndata: ");
    write_page(&mut out, page);
    out.extend_from_slice(b"\n\n");
    out
}

/// The page as lines, with a checkpoint behind them; after `last` the stream is done.
pub fn to_lines(page: &Page, last: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(FRAME + size(&page.changes));
    lines(&mut out, &page.changes);
    out.extend_from_slice(b"{\"cursor\":");
    write::quoted(&mut out, &page.cursor);
    if last {
        out.extend_from_slice(b",\"has_more\":");
        write::boolean(&mut out, page.has_more);
        out.extend_from_slice(b",\"head\":");
        write::number(&mut out, page.head.get());
        out.extend_from_slice(b",\"horizon\":");
        write::number(&mut out, page.horizon.get());
        write_check(&mut out, page);
    }
    out.extend_from_slice(b"}\n");
    out
}

/// Changes, one a line.
pub fn lines(out: &mut Vec<u8>, changes: &[Change]) {
    let mut writer = ChangeWriter::default();
    for change in changes {
        writer.write(out, change);
        out.push(b'\n');
    }
}

/// About how many bytes these changes take.
pub fn size(changes: &[Change]) -> usize {
    changes.iter().map(Change::wire_size).sum()
}

/// `"changes":[…]`
pub fn write_changes(out: &mut Vec<u8>, changes: &[Change]) {
    let mut writer = ChangeWriter::default();
    write::array(out, changes, |out, change| writer.write(out, change));
}

fn write_page(out: &mut Vec<u8>, page: &Page) {
    out.extend_from_slice(b"{\"changes\":");
    write_changes(out, &page.changes);
    out.extend_from_slice(b",\"cursor\":");
    write::quoted(out, &page.cursor);
    out.extend_from_slice(b",\"has_more\":");
    write::boolean(out, page.has_more);
    out.extend_from_slice(b",\"head\":");
    write::number(out, page.head.get());
    out.extend_from_slice(b",\"horizon\":");
    write::number(out, page.horizon.get());
    out.extend_from_slice(b",\"valid_until\":");
    match page.valid_until {
        Some(time) => write::quoted(out, &time),
        None => out.extend_from_slice(b"null"),
    }
    write_check(out, page);
    out.push(b'}');
}

fn write_check(out: &mut Vec<u8>, page: &Page) {
    if let Some((count, checksum)) = page.check {
        out.extend_from_slice(b",\"count\":");
        write::number(out, count);
        out.extend_from_slice(b",\"checksum\":");
        write::quoted(out, &checksum);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::change::tests::change;
    use super::*;
    use crate::domain::{Checksum, Rev, Timestamp};

    pub(crate) fn page() -> Page {
        Page {
            changes: vec![change("a", 1, Some("{}")), change("b", 2, None)],
            cursor: "k3f9q2.2".parse().unwrap(),
            has_more: false,
            head: Rev::new(2).unwrap(),
            horizon: Rev::ZERO,
            valid_until: Some(Timestamp::from_micros(1_795_379_400_000_000)),
            check: Some((1, [Rev::new(1).unwrap()].into_iter().collect::<Checksum>())),
        }
    }

    #[test]
    fn a_page_is_written_in_three_forms() {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        insta::assert_snapshot!(text(to_json(&page())), @r#"{"changes":[{"collection":"todos","id":"a","rev":1,"modified_at":"2026-11-22T20:30:00.123456Z","deleted":false,"data":{}},{"collection":"todos","id":"b","rev":2,"modified_at":"2026-11-22T20:30:00.123456Z","deleted":true}],"cursor":"k3f9q2.2","has_more":false,"head":2,"horizon":0,"valid_until":"2026-11-22T20:30:00.000000Z","count":1,"checksum":"910a2dec89025cc1"}"#);
        let under_way =
            Page { has_more: true, cursor: "k3f9q2.2.p".parse().unwrap(), check: None, valid_until: None, ..page() };
        insta::assert_snapshot!(text(to_lines(&under_way, false)), @r#"
        {"collection":"todos","id":"a","rev":1,"modified_at":"2026-11-22T20:30:00.123456Z","deleted":false,"data":{}}
        {"collection":"todos","id":"b","rev":2,"modified_at":"2026-11-22T20:30:00.123456Z","deleted":true}
        {"cursor":"k3f9q2.2.p"}
        "#);
        assert!(
            text(to_lines(&under_way, true))
                .ends_with("{\"cursor\":\"k3f9q2.2.p\",\"has_more\":true,\"head\":2,\"horizon\":0}\n")
        );
        assert!(text(to_json(&under_way)).ends_with(",\"valid_until\":null}"));
        let event = text(to_event(&page()));
        assert!(event.starts_with("event: changes\nid: k3f9q2.2\ndata: {\"changes\":["));
        assert!(event.ends_with("}\n\n") && event.lines().count() == 4);
    }
}
