//! The answer to a push, in order one result a change (PROTOCOL.md §4).

use super::super::problem::Code;
use super::change::{identity, or_nothing};
use super::write;
use crate::domain::push::{Outcome, Oversize, PushAnswer};
use crate::domain::{CollectionName, RecordId, Rev, Timestamp};

/// Which record a result is about.
pub type Subject = (CollectionName, RecordId);

/// The answer as a JSON object.
pub fn to_json(answer: &PushAnswer, subjects: &[Subject]) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + subjects.len() * 160);
    out.extend_from_slice(b"{\"results\":");
    results(&mut out, answer, subjects);
    out.extend_from_slice(b",\"previous_head\":");
    write::number(&mut out, answer.previous_head.get());
    out.extend_from_slice(b",\"head\":");
    write::number(&mut out, answer.head.get());
    out.extend_from_slice(b",\"cursor\":");
    match &answer.cursor {
        Some(cursor) => write::quoted(&mut out, cursor),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"duplicate\":");
    write::boolean(&mut out, answer.duplicate);
    out.push(b'}');
    out
}

/// The results as a JSON array.
pub fn results(out: &mut Vec<u8>, answer: &PushAnswer, subjects: &[Subject]) {
    write::array(out, subjects.iter().zip(&answer.results), |out, ((collection, id), outcome)| {
        identity(out, collection, id);
        out.extend_from_slice(b",\"status\":\"");
        out.extend_from_slice(status(outcome).as_bytes());
        out.push(b'"');
        match outcome {
            Outcome::Applied { rev, modified_at } | Outcome::Unchanged(Some((rev, modified_at))) => {
                place(out, *rev, *modified_at);
            }
            Outcome::Unchanged(None) => out.extend_from_slice(b",\"rev\":null"),
            Outcome::Conflict(record) => {
                out.extend_from_slice(b",\"record\":");
                or_nothing(out, record.as_ref(), collection, id);
            }
            Outcome::Rejected(limit) => {
                out.extend_from_slice(b",\"problem\":{\"code\":\"");
                out.extend_from_slice(code(limit).as_str().as_bytes());
                out.extend_from_slice(b"\",\"detail\":");
                write::string(out, &limit.to_string());
                out.push(b'}');
            }
            Outcome::NotApplied => {}
        }
        out.push(b'}');
    });
}

fn code(limit: &Oversize) -> Code {
    match limit {
        Oversize::Bytes { .. } | Oversize::Depth { .. } => Code::TooLarge,
        Oversize::Quota(_) => Code::QuotaExceeded,
    }
}

/// The word for an outcome.
pub fn status(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Applied { .. } => "applied",
        Outcome::Unchanged(_) => "unchanged",
        Outcome::Conflict(_) => "conflict",
        Outcome::Rejected(_) => "rejected",
        Outcome::NotApplied => "not_applied",
    }
}

fn place(out: &mut Vec<u8>, rev: Rev, modified_at: Timestamp) {
    out.extend_from_slice(b",\"rev\":");
    write::number(out, rev.get());
    out.extend_from_slice(b",\"modified_at\":");
    write::quoted(out, &modified_at);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::change::tests::change;
    use super::*;
    use crate::domain::quota::{Excess, Measure};

    pub(crate) fn answer() -> (PushAnswer, Vec<Subject>) {
        let (rev, modified_at) = (Rev::new(7).unwrap(), Timestamp::from_micros(0));
        let results = vec![
            Outcome::Applied { rev, modified_at },
            Outcome::Unchanged(Some((rev, modified_at))),
            Outcome::Unchanged(None),
            Outcome::Conflict(Some(change("d", 3, Some("{}")))),
            Outcome::Conflict(None),
            Outcome::Rejected(Oversize::Depth { limit: 128 }),
            Outcome::NotApplied,
            Outcome::Rejected(Oversize::Quota(Excess {
                measure: Measure::RecordBytes,
                limit: 10,
                held: 0,
                would_hold: 11,
            })),
        ];
        let subject = |id: char| (CollectionName::new("todos").unwrap(), RecordId::new(id.to_string()).unwrap());
        let cursor = Some("k3.7".parse().unwrap());
        let answer = PushAnswer { results, previous_head: Rev::new(6).unwrap(), head: rev, cursor, duplicate: false };
        (answer, "abcdefgh".chars().map(subject).collect())
    }

    #[test]
    fn every_outcome_has_its_shape() {
        let (answer, subjects) = answer();
        let text = String::from_utf8(to_json(&answer, &subjects)).unwrap().replace("},{\"coll", "},\n{\"coll");
        insta::assert_snapshot!(text, @r#"
        {"results":[{"collection":"todos","id":"a","status":"applied","rev":7,"modified_at":"1970-01-01T00:00:00.000000Z"},
        {"collection":"todos","id":"b","status":"unchanged","rev":7,"modified_at":"1970-01-01T00:00:00.000000Z"},
        {"collection":"todos","id":"c","status":"unchanged","rev":null},
        {"collection":"todos","id":"d","status":"conflict","record":{"collection":"todos","id":"d","rev":3,"modified_at":"2026-11-22T20:30:00.123456Z","deleted":false,"data":{}}},
        {"collection":"todos","id":"e","status":"conflict","record":{"collection":"todos","id":"e","rev":null,"deleted":true}},
        {"collection":"todos","id":"f","status":"rejected","problem":{"code":"too_large","detail":"the record's data nests deeper than 128 levels, the limit"}},
        {"collection":"todos","id":"g","status":"not_applied"},
        {"collection":"todos","id":"h","status":"rejected","problem":{"code":"quota_exceeded","detail":"the record's data has 11 bytes, the space's quota for one record is 10"}}],"previous_head":6,"head":7,"cursor":"k3.7","duplicate":false}
        "#);
    }
}
