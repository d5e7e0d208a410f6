//! The forms of an export.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, Write};

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Format;
use super::settle::Export;
use crate::cli::CliError;
use crate::domain::timestamp::TimestampWriter;
use crate::domain::{Change, Document, State};

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Live records.
    pub live: u64,
    /// Tombstones.
    pub deleted: u64,
}

/// Writes `export` to `out`.
pub fn write(export: &Export, format: Format, data_only: bool, out: &mut dyn Write) -> Result<Counts, CliError> {
    match (format, data_only) {
        (Format::Ndjson, false) => {
            let mut times = TimestampWriter::default();
            each(export, |change| change_line(change, &mut times, out))
        }
        (Format::Ndjson, true) => each(export, |change| match &change.state {
            State::Live(data) => writeln!(out, "{}", data.as_str()),
            State::Deleted => Ok(()),
        }),
        (Format::Csv, false) => {
            let mut csv = csv::Writer::from_writer(out);
            write_row(&mut csv, ["collection", "id", "rev", "modified_at", "deleted", "data"])?;
            let mut times = TimestampWriter::default();
            let counts = each(export, |change| change_row(change, &mut times, &mut csv))?;
            flush(&mut csv)?;
            Ok(counts)
        }
        (Format::Csv, true) => {
            let columns = columns(export)?;
            let mut csv = csv::Writer::from_writer(out);
            // A CSV without a column has no rows either.
            if columns.is_empty() {
                return each(export, |_| Ok(()));
            }
            write_row(&mut csv, &columns)?;
            let counts = each(export, |change| data_row(change, &columns, &mut csv))?;
            flush(&mut csv)?;
            Ok(counts)
        }
    }
}

type Csv<'o> = csv::Writer<&'o mut dyn Write>;

fn write_row<T: AsRef<[u8]>>(csv: &mut Csv<'_>, row: impl IntoIterator<Item = T>) -> Result<(), CliError> {
    csv.write_record(row).map_err(|error| fault(&io::Error::from(error)))
}

fn flush(csv: &mut Csv<'_>) -> Result<(), CliError> {
    csv.flush().map_err(|error| fault(&error))
}

fn fault(error: &io::Error) -> CliError {
    CliError::io("the output", error)
}

fn each(export: &Export, mut write: impl FnMut(&Change) -> io::Result<()>) -> Result<Counts, CliError> {
    let mut counts = Counts::default();
    for change in export.changes()? {
        let change = change?;
        write(&change).map_err(|error| fault(&error))?;
        let count = if change.is_deleted() { &mut counts.deleted } else { &mut counts.live };
        *count += 1;
    }
    Ok(counts)
}

/// A change object (PROTOCOL.md §2). Data is text that stays as it is.
fn change_line(change: &Change, times: &mut TimestampWriter, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{{\"collection\":\"{}\",\"id\":", change.collection)?;
    serde_json::to_writer(&mut *out, change.id.as_str())?;
    write!(out, ",\"rev\":{},\"modified_at\":\"{}\"", change.rev, times.write(change.modified_at))?;
    match &change.state {
        State::Live(data) => writeln!(out, ",\"deleted\":false,\"data\":{}}}", data.as_str()),
        State::Deleted => writeln!(out, ",\"deleted\":true}}"),
    }
}

fn change_row(change: &Change, times: &mut TimestampWriter, csv: &mut Csv<'_>) -> io::Result<()> {
    let (deleted, data) = match &change.state {
        State::Live(data) => ("false", data.as_str()),
        State::Deleted => ("true", ""),
    };
    let rev = change.rev.to_string();
    let (collection, id) = (change.collection.as_str(), change.id.as_str());
    csv.write_record([collection, id, &rev, times.write(change.modified_at), deleted, data])?;
    Ok(())
}

/// The members of all records, in the order in which they first appear.
fn columns(export: &Export) -> Result<Vec<String>, CliError> {
    let mut seen = HashSet::new();
    let mut columns = Vec::new();
    for change in export.changes()? {
        if let State::Live(data) = change?.state {
            keys(&data, |key| {
                if !seen.contains(key) {
                    seen.insert(key.to_owned());
                    columns.push(key.to_owned());
                }
            })
            .map_err(|error| fault(&error.into()))?;
        }
    }
    Ok(columns)
}

fn keys(data: &Document, see: impl FnMut(&str)) -> serde_json::Result<()> {
    struct Keys<F>(F);

    impl<'de, F: FnMut(&str)> Visitor<'de> for Keys<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                (self.0)(&key);
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }

    serde_json::Deserializer::from_str(data.as_str()).deserialize_map(Keys(see))
}

fn data_row(change: &Change, columns: &[String], csv: &mut Csv<'_>) -> io::Result<()> {
    let State::Live(data) = &change.state else { return Ok(()) };
    let members: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(data.as_str())?;
    for column in columns {
        csv.write_field(cell(members.get(column.as_str()).copied())?.as_ref())?;
    }
    csv.write_record(None::<&[u8]>)?;
    Ok(())
}

/// A string as its text, null as nothing, anything else as its JSON.
fn cell(value: Option<&RawValue>) -> serde_json::Result<Cow<'_, str>> {
    match value.map(RawValue::get) {
        None | Some("null") => Ok(Cow::Borrowed("")),
        Some(text) if text.starts_with('"') => serde_json::from_str::<String>(text).map(Cow::Owned),
        Some(text) => Ok(Cow::Borrowed(text)),
    }
}
