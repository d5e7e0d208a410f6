//! Rows of a file as records: lines of JSON.

use std::borrow::Cow;
use std::fmt;
use std::io::{BufRead, Read};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::{CollectionName, Document, JsonFault, NameFault, Object, RecordId};

/// The longest line: far above any record, far below what a file without line ends could take.
const MAX_LINE: u64 = 64 << 20;

/// The records of a file in order.
///
/// A line that is no record is a [`Fault`], and the next one may be read; after a fault of the file itself it ends.
pub type Rows = Box<dyn Iterator<Item = Result<Row, Fault>> + Send>;

/// A record of a file.
#[derive(Debug)]
pub struct Row {
    /// The line that it begins on, from 1.
    pub line: u64,
    /// Its id.
    pub id: RecordId,
    /// What the file says of it.
    pub body: Body,
}

/// What a file says of a record.
#[derive(Debug)]
pub enum Body {
    /// It has this data.
    Data(Document),
    /// It is deleted.
    Deleted,
    /// It nests deeper than a record may: rejected alone, as the protocol has it (§4).
    TooDeep,
}

/// Why there is no record on a line.
#[derive(Debug)]
pub struct Fault {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub what: String,
}

/// What a line of JSON is.
enum Shape {
    /// A record's data, with its id in this member.
    Data(String),
    /// A change object of this collection.
    Changes(CollectionName),
}

/// Lines of JSON.
pub struct Lines<R> {
    reader: R,
    shape: Shape,
    line: u64,
    ended: bool,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// Lines that are the data itself.
    pub fn data(reader: R, id_field: String) -> Self {
        Self::new(reader, Shape::Data(id_field))
    }

    /// Lines that are change objects.
    pub fn changes(reader: R, collection: CollectionName) -> Self {
        Self::new(reader, Shape::Changes(collection))
    }

    fn new(reader: R, shape: Shape) -> Self {
        Self { reader, shape, line: 0, ended: false, buffer: Vec::new() }
    }

    /// Reads the next line that is not blank; `false` at the end.
    fn advance(&mut self) -> Result<bool, Fault> {
        loop {
            self.buffer.clear();
            self.line += 1;
            let fatal = |what: String| Fault { line: self.line, what };
            let read = self.reader.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut self.buffer);
            match read.map_err(|error| fatal(format!("cannot be read: {error}")))? {
                0 => return Ok(false),
                n if n as u64 > MAX_LINE => return Err(fatal("is longer than any record: is it NDJSON?".into())),
                _ if self.buffer.trim_ascii().is_empty() => {}
                _ => return Ok(true),
            }
        }
    }

    fn parse(&self) -> Result<Row, Fault> {
        let fault = |what: String| Fault { line: self.line, what };
        let text = std::str::from_utf8(&self.buffer).map_err(|_| fault("is not UTF-8".into()))?;
        match &self.shape {
            Shape::Data(id_field) => data_row(text, id_field, self.line),
            Shape::Changes(collection) => change_row(text, collection, self.line),
        }
        .map_err(fault)
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Row, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.advance() {
            Ok(true) => Some(self.parse()),
            Ok(false) => {
                self.ended = true;
                None
            }
            Err(fault) => {
                self.ended = true;
                Some(Err(fault))
            }
        }
    }
}

fn data_row(text: &str, id_field: &str, line: u64) -> Result<Row, String> {
    let raw: &RawValue = parse(text)?;
    let body = body(raw)?;
    let id = MemberOf(id_field).deserialize(&mut serde_json::Deserializer::from_str(raw.get()));
    // A value that nests too deep for serde_json as well has been seen by `body`, and has no id to be named by.
    let id = id.map_err(|_| "nests too deep".to_owned())?;
    let id = id.ok_or_else(|| format!("has no member {id_field:?}: name the one that is the id with --id-field"))?;
    Ok(Row { line, id: record_id(id, id_field)?, body })
}

/// An id from a string or a number; a number as it is spelled.
fn record_id(raw: &RawValue, id_field: &str) -> Result<RecordId, String> {
    let text: Cow<'_, str> = match raw.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(raw.get()).map_err(|error| error.to_string())?.into(),
        Some(b'-' | b'0'..=b'9') => raw.get().into(),
        _ => return Err(format!("the member {id_field:?} must be a string or a number to be an id")),
    };
    checked_id(&text)
}

/// An id from a text.
pub fn checked_id(text: &str) -> Result<RecordId, String> {
    RecordId::new(text).map_err(|fault: NameFault| format!("the id {text:?} {fault}"))
}

fn body(raw: &RawValue) -> Result<Body, String> {
    match Document::parse(raw) {
        Ok(data) => Ok(Body::Data(data)),
        Err(JsonFault::TooDeep) => Ok(Body::TooDeep),
        Err(fault) => Err(fault.to_string()),
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => format!("is not what was expected ({error})"),
        _ => format!("is not JSON (at column {})", error.column()),
    })
}

/// The part of a change that matters to an import; revision and time are the other server's.
#[derive(Deserialize)]
struct ChangeLine<'a> {
    collection: String,
    id: String,
    #[serde(default)]
    deleted: bool,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

fn change_row(text: &str, collection: &CollectionName, line: u64) -> Result<Row, String> {
    let Object(change): Object<ChangeLine<'_>> = parse(text)?;
    if change.collection != collection.as_str() {
        return Err(format!("is of the collection {:?}: export {collection} alone", change.collection));
    }
    let body = match (change.deleted, change.data) {
        (true, None) => Body::Deleted,
        (false, Some(raw)) => body(raw)?,
        _ => return Err("must have either data or \"deleted\":true".into()),
    };
    Ok(Row { line, id: checked_id(&change.id)?, body })
}

/// Finds one member of an object without making a tree of it.
struct MemberOf<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for MemberOf<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MemberOf<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> Result<(String, String), String> {
        let row = data_row(text, "id", 1)?;
        let Body::Data(data) = row.body else { return Err("no data".into()) };
        Ok((row.id.to_string(), data.as_str().to_owned()))
    }

    #[test]
    fn the_id_is_a_string_or_a_number_as_spelled_and_stays_in_the_data() {
        let pair = |id: &str, data: &str| Ok((id.to_owned(), data.to_owned()));
        assert_eq!(row(r#"{"id":"a","n":1.0}"#), pair("a", r#"{"id":"a","n":1.0}"#));
        assert_eq!(row(r#"{"x":{"id":1},"id":70}"#), pair("70", r#"{"x":{"id":1},"id":70}"#));
        assert_eq!(row(r#"{"\u0069d":"\u00e9"}"#), pair("é", r#"{"\u0069d":"\u00e9"}"#));
    }

    #[test]
    fn a_line_that_is_no_record_says_why() {
        for (line, why) in [
            ("{", "is not JSON (at column 1)"),
            ("[1]", "the value must be a JSON object"),
            (r#"{"a":1}"#, "has no member \"id\": name the one that is the id with --id-field"),
            (r#"{"id":null}"#, "the member \"id\" must be a string or a number to be an id"),
            (r#"{"id":""}"#, "the id \"\" must be 1 to 256 bytes of UTF-8"),
            (r#"{"id":1,"a":1,"a":2}"#, "the key \"a\" stands more than once in the same object"),
        ] {
            assert_eq!(row(line), Err(why.to_owned()), "{line}");
        }
    }

    #[test]
    fn a_change_is_an_object_and_no_array_of_its_members() {
        let todos = CollectionName::new("todos").unwrap();
        let change = |text| change_row(text, &todos, 1);
        assert!(change(r#"{"collection":"todos","id":"a","rev":4,"deleted":true}"#).is_ok());
        let fault = change(r#"["todos","a",true]"#).unwrap_err();
        assert!(fault.contains("expected an object"), "{fault}");
    }

    #[test]
    fn blank_lines_are_passed_over_and_counted() {
        let text = "\n{\"id\":1}\r\n  \n{\"id\":2}";
        let lines: Vec<u64> = Lines::data(text.as_bytes(), "id".into()).map(|row| row.unwrap().line).collect();
        assert_eq!(lines, [2, 4]);
    }
}
