//! A change as it travels (PROTOCOL.md §2).

use super::write;
use crate::domain::timestamp::TimestampWriter;
use crate::domain::{Change, CollectionName, RecordId, State};

/// Writes changes one after the other.
#[derive(Default)]
pub struct ChangeWriter {
    times: TimestampWriter,
}

impl ChangeWriter {
    /// `change` as JSON, on one line.
    pub fn write(&mut self, out: &mut Vec<u8>, change: &Change) {
        identity(out, &change.collection, &change.id);
        out.extend_from_slice(b",\"rev\":");
        write::number(out, change.rev.get());
        out.extend_from_slice(b",\"modified_at\":\"");
        out.extend_from_slice(self.times.write(change.modified_at).as_bytes());
        match &change.state {
            State::Live(data) => {
                out.extend_from_slice(b"\",\"deleted\":false,\"data\":");
                out.extend_from_slice(data.as_str().as_bytes());
                out.push(b'}');
            }
            State::Deleted => out.extend_from_slice(b"\",\"deleted\":true}"),
        }
    }
}

/// The opening brace and the two members that say which record.
pub fn identity(out: &mut Vec<u8>, collection: &CollectionName, id: &RecordId) {
    out.extend_from_slice(b"{\"collection\":\"");
    out.extend_from_slice(collection.as_str().as_bytes());
    out.extend_from_slice(b"\",\"id\":");
    write::string(out, id.as_str());
}

/// One change.
pub fn to_json(change: &Change) -> Vec<u8> {
    let mut out = Vec::with_capacity(change.wire_size());
    ChangeWriter::default().write(&mut out, change);
    out
}

/// The server's record as a conflict shows it, also where there is none (§4).
pub fn or_nothing(out: &mut Vec<u8>, record: Option<&Change>, collection: &CollectionName, id: &RecordId) {
    if let Some(change) = record {
        ChangeWriter::default().write(out, change);
    } else {
        identity(out, collection, id);
        out.extend_from_slice(b",\"rev\":null,\"deleted\":true}");
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::{Document, Rev, Timestamp};

    pub(crate) fn change(id: &str, rev: u64, data: Option<&str>) -> Change {
        Change {
            collection: CollectionName::new("todos").unwrap(),
            id: RecordId::new(id).unwrap(),
            rev: Rev::new(rev).unwrap(),
            modified_at: Timestamp::from_micros(1_795_379_400_123_456),
            state: data.map_or(State::Deleted, |data| State::Live(Document::from_stored(data.into()))),
        }
    }

    #[test]
    fn a_change_is_written_as_the_protocol_shows_it() {
        let live = String::from_utf8(to_json(&change("0\"8", 2150, Some(r#"{"n":1.0}"#)))).unwrap();
        insta::assert_snapshot!(live, @r#"{"collection":"todos","id":"0\"8","rev":2150,"modified_at":"2026-11-22T20:30:00.123456Z","deleted":false,"data":{"n":1.0}}"#);
        let tombstone = String::from_utf8(to_json(&change("a", 2151, None))).unwrap();
        insta::assert_snapshot!(tombstone, @r#"{"collection":"todos","id":"a","rev":2151,"modified_at":"2026-11-22T20:30:00.123456Z","deleted":true}"#);
    }
}
