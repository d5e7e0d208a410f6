//! The body of a push.

use std::collections::BTreeSet;
use std::fmt::Write;

use strandline::domain::json::MAX_DEPTH;
use strandline::domain::push::{Base, Op, Oversize, Proposal, PushRequest};
use strandline::domain::{ClientName, Rev, SpaceName};
use strandline::fuzzing;
use strandline::http::Limits;

use super::merge_patch::{document, holds};
use super::tree::{Tree, depth};

/// Small, so that the fuzzer finds them.
const LIMITS: Limits = Limits { push_changes: 20, push_bytes: 1 << 16, record_bytes: 100 };

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let request = match parse(text, Some("phone")) {
        Ok(request) => request,
        Err(problem) => {
            let code = problem.split_once(": ").map(|(code, _)| code);
            assert!(matches!(code, Some("invalid_request" | "invalid_cursor" | "too_large")), "{problem}");
            // A detail repeats at most what was sent, escaped.
            assert!(problem.len() <= 500 + 10 * text.len(), "{problem}");
            return;
        }
    };
    limits(&request, text);
    against_a_naive_reader(&request, text);

    // A number needs a client to count for; nothing else depends on who asks.
    match (&request.seq, parse(text, None)) {
        (Some((client, number)), nameless) => {
            assert!(client.as_str() == "phone" && (1..=Rev::MAX.get()).contains(number));
            assert!(nameless.is_err());
        }
        (None, nameless) => assert_eq!(shown(&nameless.unwrap()), shown(&request)),
    }
    // What broke a limit is not kept, and so cannot be printed.
    let mut kept = request;
    kept.changes.retain(|change| !matches!(change.op, Op::Oversize(_)));
    let printed = print(&kept);
    assert_eq!(parse(&printed, Some("phone")).map(|again| shown(&again)), Ok(shown(&kept)), "{printed}");
}

fn parse(text: &str, client: Option<&str>) -> Result<PushRequest, String> {
    let client = client.map(|name| ClientName::new(name).unwrap());
    fuzzing::push_body(text, SpaceName::new("demo").unwrap(), client, &LIMITS)
}

fn shown(request: &PushRequest) -> String {
    format!("{request:?}")
}

fn limits(request: &PushRequest, text: &str) {
    assert!(request.changes.len() <= LIMITS.push_changes);
    let names: BTreeSet<_> =
        request.changes.iter().map(|change| (change.collection.as_str(), change.id.as_str())).collect();
    assert_eq!(names.len(), request.changes.len(), "a record stands twice");
    // Nothing that is read takes more room than it took in the body.
    let bytes: usize = request.changes.iter().map(|change| change.op.bytes() + change.id.as_str().len()).sum();
    assert!(bytes <= text.len());
    for change in &request.changes {
        assert!((1..=256).contains(&change.id.as_str().len()) && !change.id.as_str().contains(char::is_control));
        match &change.op {
            Op::Put(data) => holds(data),
            Op::Patch(patch) => holds(&document(patch.as_str()).unwrap().0),
            Op::Delete => {}
            Op::Oversize(Oversize::Bytes { bytes, limit }) => assert!(bytes > limit && *limit == LIMITS.record_bytes),
            Op::Oversize(Oversize::Quota(_)) => panic!("what a space may hold is for the store to say"),
            Op::Oversize(Oversize::Depth { limit }) => assert!(*limit == MAX_DEPTH && depth(text) > MAX_DEPTH),
        }
        assert!(change.op.bytes() <= LIMITS.record_bytes);
    }
}

fn against_a_naive_reader(request: &PushRequest, text: &str) {
    let Ok(tree) = Tree::read(text) else { return };
    let Some(Tree::List(changes)) = tree.get("changes") else { panic!("{text}") };
    assert_eq!(changes.len(), request.changes.len());
    for (tree, Proposal { collection, id, base, op }) in changes.iter().zip(&request.changes) {
        assert_eq!(tree.get("collection"), Some(&Tree::Text(collection.to_string())));
        assert_eq!(tree.get("id"), Some(&Tree::Text(id.to_string())));
        match base {
            Base::Absent => assert!(matches!(tree.get("base_rev"), None | Some(Tree::Null))),
            Base::Any => assert_eq!(tree.get("base_rev"), Some(&Tree::Text("*".to_owned()))),
            Base::Seen(rev) => assert_eq!(tree.get("base_rev"), Tree::read(&rev.to_string()).ok().as_ref()),
        }
        match op {
            Op::Put(data) => assert_eq!(tree.get("data"), Tree::read(data.as_str()).ok().as_ref()),
            Op::Patch(patch) => assert_eq!(tree.get("patch"), Tree::read(patch.as_str()).ok().as_ref()),
            Op::Delete => assert_eq!(tree.get("deleted"), Some(&Tree::Bool(true))),
            Op::Oversize(_) => {}
        }
    }
}

fn print(request: &PushRequest) -> String {
    let mut out = String::from("{\"changes\":[");
    for (index, Proposal { collection, id, base, op }) in request.changes.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let id = serde_json::to_string(id.as_str()).unwrap();
        write!(out, "{comma}{{\"collection\":\"{collection}\",\"id\":{id}").unwrap();
        match base {
            Base::Absent => {}
            Base::Any => out.push_str(",\"base_rev\":\"*\""),
            Base::Seen(rev) => write!(out, ",\"base_rev\":{rev}").unwrap(),
        }
        match op {
            Op::Put(data) => write!(out, ",\"data\":{}}}", data.as_str()).unwrap(),
            Op::Patch(patch) => write!(out, ",\"patch\":{}}}", patch.as_str()).unwrap(),
            Op::Delete => out.push_str(",\"deleted\":true}"),
            Op::Oversize(_) => unreachable!("what broke a limit is not printed"),
        }
    }
    write!(out, "],\"atomic\":{}", request.atomic).unwrap();
    if let Some(cursor) = &request.cursor {
        write!(out, ",\"cursor\":\"{cursor}\"").unwrap();
    }
    if let Some(collections) = &request.collections {
        let names: Vec<String> = collections.names().iter().map(ToString::to_string).collect();
        write!(out, ",\"collections\":{names:?}").unwrap();
    }
    if let Some((_, number)) = &request.seq {
        write!(out, ",\"seq\":{number}").unwrap();
    }
    out.push('}');
    out
}
