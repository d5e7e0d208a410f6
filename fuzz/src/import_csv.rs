//! Files of comma-separated values with a header.

use std::io::{self, Read};

use strandline::fuzzing::{Body, CsvRows, Fault, Row};

use super::merge_patch::holds;
use super::tree::Tree;

type Rows = Result<Vec<Result<Row, Fault>>, String>;

pub fn check(input: &[u8]) {
    // It is taken off before rows are read. The csv crate would do so too, but only where the first bytes come together.
    if input.starts_with(b"\xef\xbb\xbf") {
        return;
    }
    let read = rows(input);
    let slowly = CsvRows::new(Slow { rest: input, most: 1 + input.len() % 7 }, "id", "x.csv");
    let slowly: Rows = slowly.map(Iterator::collect).map_err(|error| error.to_string());
    assert_eq!(format!("{read:?}"), format!("{slowly:?}"), "it depends on how the bytes arrive");

    let Some(header) = header(input) else {
        assert!(read.is_err(), "the header is not UTF-8");
        return;
    };
    let mut names = header.clone();
    names.sort();
    names.dedup();
    let usable = header.is_empty() || names.len() == header.len() && header.iter().any(|name| name == "id");
    assert_eq!(read.is_ok(), usable, "{header:?}: {read:?}");
    let Ok(read) = read else { return };

    let lines = lines(input);
    let mut before = 0;
    let mut written = csv::Writer::from_writer(Vec::new());
    written.write_record(&header).unwrap();
    for row in &read {
        let line = row.as_ref().map_or_else(|fault| fault.line, |row| row.line);
        assert!(line > before && line <= lines.len() as u64, "line {line} of {} after line {before}", lines.len());
        before = line;
        let Ok(row) = row else { continue };
        let Body::Data(data) = &row.body else { panic!("{row:?}") };
        // It was written as a document, and not checked.
        holds(data);
        let tree = Tree::read(data.as_str()).unwrap();
        let cell = |name: &String| match tree.get(name) {
            Some(Tree::Text(cell)) => cell.clone(),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(cell(&"id".to_owned()), row.id.as_str());
        let cells: Vec<String> = header.iter().map(cell).collect();
        if !input.contains(&b'"') {
            let text = lines[usize::try_from(line).unwrap() - 1];
            assert_eq!(std::str::from_utf8(text).unwrap(), cells.join(","), "line {line} is another one");
        }
        written.write_record(&cells).unwrap();
    }

    // Written as CSV again, the rows that there were are all that there is. A byte order mark would be lost at the beginning.
    if header.first().is_some_and(|name| !name.starts_with('\u{feff}')) {
        let again = rows(&written.into_inner().unwrap()).unwrap();
        let data = |row: &Row| format!("{:?} {:?}", row.id, row.body);
        let again: Vec<String> = again.iter().map(|row| data(row.as_ref().unwrap())).collect();
        let kept: Vec<String> = read.iter().filter_map(|row| row.as_ref().ok()).map(data).collect();
        assert_eq!(again, kept);
    }
}

fn rows(input: &[u8]) -> Rows {
    CsvRows::new(input, "id", "x.csv").map(Iterator::collect).map_err(|error| error.to_string())
}

/// The header as the csv crate reads it; `None` when it is not UTF-8.
fn header(input: &[u8]) -> Option<Vec<String>> {
    let mut reader = csv::Reader::from_reader(input);
    reader.headers().ok().map(|header| header.iter().map(str::to_owned).collect())
}

/// A reader that never gives more than a few bytes.
struct Slow<'a> {
    rest: &'a [u8],
    most: usize,
}

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.most.min(buffer.len());
        self.rest.read(&mut buffer[..most])
    }
}

/// The lines of a file, which end with a line feed, a carriage return, or both.
fn lines(mut input: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(end) = input.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        lines.push(&input[..end]);
        input = &input[end + if input[end..].starts_with(b"\r\n") { 2 } else { 1 }..];
    }
    lines.push(input);
    lines
}
