//! The body of a push, read into the domain's terms or refused with the index of the change at fault (PROTOCOL.md §4).
//!
//! Changes are cut out of the body first and then read one by one, so that an error can say which one it is in; their
//! `data` is borrowed from the body until it is checked, and never becomes a tree of values.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::super::limits::Limits;
use super::super::problem::{Code, Problem};
use super::read;
use crate::domain::json::MAX_DEPTH;
use crate::domain::push::{Base, Op, Oversize, Proposal, PushRequest};
use crate::domain::{
    ClientName, CollectionName, Collections, Cursor, Document, JsonFault, Patch, RecordId, Rev, SpaceName,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PushBody<'a> {
    #[serde(borrow)]
    changes: Vec<&'a RawValue>,
    #[serde(borrow)]
    cursor: Option<&'a RawValue>,
    collections: Option<Vec<String>>,
    #[serde(borrow)]
    seq: Option<&'a RawValue>,
    atomic: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeBody<'a> {
    #[serde(borrow)]
    collection: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    base_rev: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    patch: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    deleted: Option<&'a RawValue>,
}

/// A member that is there, also when it is null: `"data":null` is a mistake, not an absence.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads the body of a push by `client` to `space`.
///
/// # Errors
/// The [`Problem`] that the client gets; nothing of a malformed push is applied.
pub fn parse(
    text: &str,
    space: SpaceName,
    client: Option<ClientName>,
    limits: &Limits,
) -> Result<PushRequest, Problem> {
    let body: PushBody<'_> = read::object(text).map_err(|fault| Problem::invalid(format!("body: {fault}")))?;
    if body.changes.len() > limits.push_changes {
        let (count, limit) = (body.changes.len(), limits.push_changes);
        return Err(Problem::new(Code::TooLarge, format!("the push has {count} changes, the limit is {limit}")));
    }
    let changes = proposals(&body.changes, limits.record_bytes)?;
    Ok(PushRequest {
        space,
        changes,
        cursor: body.cursor.map(cursor).transpose()?,
        collections: body.collections.as_deref().map(collections).transpose()?,
        seq: body.seq.map(|raw| sequence(raw, client)).transpose()?,
        atomic: body.atomic.unwrap_or(false),
        max_record_bytes: limits.record_bytes,
    })
}

fn proposals(raw: &[&RawValue], record_bytes: usize) -> Result<Vec<Proposal>, Problem> {
    let mut changes: Vec<Proposal> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let last = changes.last().map(|change| &change.collection);
        let change = proposal(raw.get(), last, record_bytes)
            .map_err(|fault| Problem::invalid(format!("changes[{index}]: {fault}")))?;
        changes.push(change);
    }
    let mut seen = HashSet::with_capacity(changes.len());
    for (index, change) in changes.iter().enumerate() {
        if !seen.insert((&change.collection, &change.id)) {
            let detail = format!("changes[{index}]: this record is in the push already");
            return Err(Problem::invalid(detail));
        }
    }
    Ok(changes)
}

/// `last` is the collection of the change before, which is mostly the same one.
fn proposal(text: &str, last: Option<&CollectionName>, record_bytes: usize) -> Result<Proposal, Cow<'static, str>> {
    let body: ChangeBody<'_> = read::object(text)?;
    let collection = match last {
        Some(last) if last.as_str() == body.collection => last.clone(),
        _ => CollectionName::new(&body.collection).map_err(|fault| format!("collection {fault}"))?,
    };
    let id = RecordId::new(body.id.into_owned()).map_err(|fault| format!("id {fault}"))?;
    let base = body.base_rev.map_or(Ok(Base::Absent), base)?;
    let op = match (body.data, body.patch, body.deleted) {
        (Some(data), None, None) => put(data, record_bytes).map_err(|fault| format!("data: {fault}"))?,
        (None, Some(patch), None) => merge(patch, record_bytes).map_err(|fault| format!("patch: {fault}"))?,
        (None, None, Some(deleted)) if deleted.get() == "true" => Op::Delete,
        (None, None, Some(_)) => return Err("deleted can only be true".into()),
        _ => return Err("a change has exactly one of data, patch and deleted".into()),
    };
    Ok(Proposal { collection, id, base, op })
}

fn base(raw: &RawValue) -> Result<Base, Cow<'static, str>> {
    match raw.get() {
        "\"*\"" => Ok(Base::Any),
        text => text.parse().map(Base::Seen).map_err(|_| {
            "base_rev is a whole number from 0 to 9007199254740991, \"*\", or null for a record that is new".into()
        }),
    }
}

/// The whole record. One that breaks a limit is for the store to reject alone (§4).
///
/// # Errors
/// What keeps it from being data.
pub fn put(raw: &RawValue, record_bytes: usize) -> Result<Op, JsonFault> {
    match Document::parse(raw) {
        Ok(data) => Ok(bounded(data.len(), record_bytes).map_or(Op::Put(data), Op::Oversize)),
        Err(JsonFault::TooDeep) => Ok(Op::Oversize(Oversize::Depth { limit: MAX_DEPTH })),
        Err(fault) => Err(fault),
    }
}

/// A merge patch. The limits are those of a record.
///
/// # Errors
/// What keeps it from being a patch.
pub fn merge(raw: &RawValue, record_bytes: usize) -> Result<Op, JsonFault> {
    match Patch::parse(raw) {
        Ok(patch) => Ok(bounded(patch.len(), record_bytes).map_or(Op::Patch(patch), Op::Oversize)),
        Err(JsonFault::TooDeep) => Ok(Op::Oversize(Oversize::Depth { limit: MAX_DEPTH })),
        Err(fault) => Err(fault),
    }
}

fn bounded(bytes: usize, limit: usize) -> Option<Oversize> {
    (bytes > limit).then_some(Oversize::Bytes { bytes, limit })
}

fn cursor(raw: &RawValue) -> Result<Cursor, Problem> {
    serde_json::from_str::<Cow<'_, str>>(raw.get()).ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
        Problem::new(Code::InvalidCursor, "cursor: a push takes a cursor as the server gave it, and nothing else")
    })
}

/// A choice of collections from a JSON body.
///
/// # Errors
/// A 400 that says which name is none.
pub fn collections(names: &[String]) -> Result<Collections, Problem> {
    let names = names.iter().map(|name| CollectionName::new(name)).collect::<Result<_, _>>();
    names.and_then(Collections::new).map_err(|fault| Problem::name("collections", fault))
}

fn sequence(raw: &RawValue, client: Option<ClientName>) -> Result<(ClientName, u64), Problem> {
    let number = raw.get().parse::<Rev>().ok().map(Rev::get).filter(|number| *number > 0);
    let number = number.ok_or_else(|| Problem::invalid("seq must be a whole number from 1 to 9007199254740991"))?;
    let client = client.ok_or_else(|| {
        Problem::invalid("seq counts the pushes of one client: say which in the header Strandline-Client")
    })?;
    Ok((client, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PushRequest, String> {
        let limits = Limits { push_changes: 3, push_bytes: 1 << 20, record_bytes: 20 };
        let space = SpaceName::new("demo").unwrap();
        parse(text, space, None, &limits).map_err(|problem| problem.to_string())
    }

    fn one(members: &str) -> Result<Proposal, String> {
        let text = format!(r#"{{"changes":[{{"collection":"t","id":"a"{members}}}]}}"#);
        read(&text).map(|mut push| push.changes.remove(0))
    }

    #[test]
    fn what_a_client_had_seen_is_read_from_base_rev() {
        for (member, base) in [
            ("", Base::Absent),
            (r#","base_rev":null"#, Base::Absent),
            (r#","base_rev":"*""#, Base::Any),
            (r#","base_rev":0"#, Base::Seen(Rev::ZERO)),
            (r#","base_rev":9007199254740991"#, Base::Seen(Rev::MAX)),
        ] {
            assert_eq!(one(&format!(r#"{member},"deleted":true"#)).unwrap().base, base, "{member}");
        }
        for bad in ["-1", "1.0", "9007199254740992", "\"1\"", "true", "\"\"", "[]"] {
            let fault = one(&format!(r#","base_rev":{bad},"deleted":true"#)).unwrap_err();
            assert!(fault.starts_with("invalid_request: changes[0]: base_rev is"), "{bad}: {fault}");
        }
    }

    #[test]
    fn what_breaks_a_limit_is_left_to_be_rejected_alone() {
        let big = format!(r#"{{"a":"{}"}}"#, "x".repeat(20));
        let deep = format!("{}1{}", r#"{"a":"#.repeat(129), "}".repeat(129));
        for (key, value) in [("data", &big), ("patch", &big), ("data", &deep), ("patch", &deep)] {
            let change = one(&format!(r#","{key}":{value}"#)).unwrap();
            assert!(matches!(change.op, Op::Oversize(_)), "{key}");
        }
        // White space does not count.
        let spaced = format!(r#","data":{{"a":{}1}}"#, " ".repeat(50));
        assert!(matches!(one(&spaced).unwrap().op, Op::Put(_)));
    }

    #[test]
    fn a_malformed_push_is_refused_as_a_whole_with_the_place() {
        let change = r#"{"collection":"t","id":"a","data":{}}"#;
        for (text, says) in [
            ("", "body"),
            ("[[]]", "body"),
            (r#"{"changes":[["t","a",null,{}]]}"#, "changes[0]: invalid type: sequence, expected an object"),
            ("{}", "missing field `changes`"),
            (r#"{"changes":[],"colections":["a"]}"#, "unknown field `colections`"),
            (r#"{"changes":[],"changes":[]}"#, "duplicate field"),
            (r#"{"changes":[],"cursor":2149}"#, "invalid_cursor"),
            (r#"{"changes":[],"cursor":"2149"}"#, "invalid_cursor"),
            (r#"{"changes":[],"cursor":""}"#, "invalid_cursor"),
            (r#"{"changes":[],"collections":[]}"#, "at least one"),
            (r#"{"changes":[],"collections":["A"]}"#, "collections must be"),
            (r#"{"changes":[],"seq":0}"#, "seq must be"),
            (r#"{"changes":[],"seq":1.5}"#, "seq must be"),
            (r#"{"changes":[],"seq":1}"#, "Strandline-Client"),
            (r#"{"changes":[],"atomic":1}"#, "expected a boolean"),
            (&format!(r#"{{"changes":[{change},{change}]}}"#), "changes[1]: this record is in the push already"),
            (&format!(r#"{{"changes":[{change},{change},{change},{change}]}}"#), "too_large: the push has 4 changes"),
            (&format!(r#"{{"changes":[{change},7]}}"#), "changes[1]"),
            (
                &format!(r#"{{"changes":[{change},{{"collection":"T","id":"b","data":{{}}}}]}}"#),
                "changes[1]: collection",
            ),
            (&format!(r#"{{"changes":[{change},{{"collection":"t","id":"","data":{{}}}}]}}"#), "changes[1]: id"),
        ] {
            let fault = read(text).unwrap_err();
            assert!(fault.contains(says), "{text}: {fault}");
        }
        for (members, says) in [
            ("", "exactly one"),
            (r#","data":{},"deleted":true"#, "exactly one"),
            (r#","data":null,"deleted":true"#, "exactly one"),
            (r#","data":{},"patch":{}"#, "exactly one"),
            (r#","deleted":false"#, "deleted can only be true"),
            (r#","deleted":null"#, "deleted can only be true"),
            (r#","data":[]"#, "data: the value must be a JSON object"),
            (r#","data":null"#, "data: the value must be a JSON object"),
            (r#","patch":3"#, "patch: the value must be a JSON object"),
            (r#","data":{"a":1,"\u0061":2}"#, "more than once"),
            (r#","data":{},"rev":1"#, "unknown field `rev`"),
        ] {
            let fault = one(members).unwrap_err();
            assert!(fault.starts_with("invalid_request: changes[0]: ") && fault.contains(says), "{members}: {fault}");
        }
    }
}
