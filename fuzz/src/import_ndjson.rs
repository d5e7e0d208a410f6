//! Files of JSON lines: the data of records, or changes as `export` writes them.

use std::io::BufReader;

use strandline::domain::json::MAX_DEPTH;
use strandline::domain::{CollectionName, RecordId};
use strandline::fuzzing::{Body, Fault, Lines, Row};

use super::merge_patch::holds;
use super::tree::{Tree, depth};

type Read = Vec<Result<Row, Fault>>;

pub fn check(input: &[u8]) {
    let todos = CollectionName::new("todos").unwrap();
    let data: Read = Lines::data(input, "id".to_owned()).collect();
    let changes: Read = Lines::changes(input, todos.clone()).collect();
    // However the bytes arrive.
    let slowly = || BufReader::with_capacity(1 + input.len() % 7, input);
    assert_eq!(format!("{data:?}"), format!("{:?}", Lines::data(slowly(), "id".to_owned()).collect::<Read>()));
    assert_eq!(format!("{changes:?}"), format!("{:?}", Lines::changes(slowly(), todos).collect::<Read>()));

    let lines: Vec<(u64, &[u8])> =
        (1..).zip(input.split(|byte| *byte == b'\n')).filter(|(_, line)| !line.trim_ascii().is_empty()).collect();
    for (rows, judge) in [(data, data_row as fn(&str, Result<Row, Fault>)), (changes, change_row)] {
        assert_eq!(rows.len(), lines.len(), "a row a line that is not blank");
        for (row, (number, line)) in rows.into_iter().zip(&lines) {
            let at = row.as_ref().map_or_else(|fault| fault.line, |row| row.line);
            assert_eq!(at, *number);
            match std::str::from_utf8(line) {
                Ok(line) => judge(line, row),
                Err(_) => assert!(row.is_err(), "line {number} is not UTF-8"),
            }
        }
    }
}

fn data_row(line: &str, row: Result<Row, Fault>) {
    let Ok(tree) = Tree::read(line) else {
        if let Ok(row) = row {
            kept(line, &row);
        }
        return;
    };
    let id = match tree.get("id") {
        Some(Tree::Text(id)) => RecordId::new(id.as_str()).ok(),
        // As it is spelled: a number says no more of that.
        Some(number @ Tree::Number(_)) => {
            let row = row.unwrap();
            assert_eq!(Tree::read(row.id.as_str()).as_ref(), Ok(number));
            kept(line, &row);
            return;
        }
        _ => None,
    };
    match (id, row) {
        (Some(id), Ok(row)) => {
            assert_eq!(row.id, id);
            kept(line, &row);
            assert!(!matches!(row.body, Body::Deleted));
        }
        (None, Err(fault)) => assert!(!fault.what.is_empty()),
        (id, row) => panic!("{line:?} has the id {id:?} and is read as {row:?}"),
    }
}

fn change_row(line: &str, row: Result<Row, Fault>) {
    let Ok(row) = row else { return };
    let Ok(tree) = Tree::read(line) else { return };
    assert_eq!(tree.get("collection"), Some(&Tree::Text("todos".to_owned())), "{line:?}");
    assert_eq!(tree.get("id"), Some(&Tree::Text(row.id.to_string())), "{line:?}");
    match &row.body {
        Body::Data(data) => {
            holds(data);
            assert_eq!(tree.get("data"), Tree::read(data.as_str()).ok().as_ref(), "{line:?}");
        }
        Body::Deleted => assert_eq!(tree.get("deleted"), Some(&Tree::Bool(true)), "{line:?}"),
        Body::TooDeep => assert!(depth(line) > MAX_DEPTH),
    }
}

/// The data that is kept is the line's.
fn kept(line: &str, row: &Row) {
    match &row.body {
        Body::Data(data) => {
            holds(data);
            assert_eq!(Tree::read(data.as_str()), Tree::read(line));
        }
        Body::TooDeep => assert!(depth(line) > MAX_DEPTH),
        Body::Deleted => panic!("{line:?} deletes nothing"),
    }
}
