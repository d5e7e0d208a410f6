//! Rows of a file as records: CSV with a header row.

use std::io::BufRead;

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};

use super::rows::{Body, Fault, Row, checked_id};
use crate::cli::CliError;
use crate::domain::Document;

/// A CSV file. The header names the members; every value is a string.
pub struct CsvRows<R> {
    reader: Reader<R>,
    /// The members' names as JSON, each with the colon after it.
    members: Vec<String>,
    /// The column of the id.
    id_column: usize,
    record: StringRecord,
    ended: bool,
}

impl<R: BufRead> CsvRows<R> {
    /// Reads the header.
    pub fn new(reader: R, id_field: &str, name: &str) -> Result<Self, CliError> {
        let mut reader = ReaderBuilder::new().from_reader(reader);
        let header = reader.headers().map_err(|error| CliError::Failed(format!("{name}: the header row: {error}")))?;
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = header.iter().find(|member| !seen.insert(*member)) {
            return Err(CliError::Failed(format!("{name}: the header names {twice:?} twice: rename one of the columns")));
        }
        let members = header.iter().map(|member| format!("{}:", json(member))).collect();
        let id_column = header.iter().position(|member| member == id_field);
        // A file without even a header has no rows either.
        let id_column = match (id_column, header.is_empty()) {
            (Some(column), _) => column,
            (None, true) => 0,
            (None, false) => {
                let columns = header.iter().collect::<Vec<_>>().join(", ");
                let message = format!("{name} has no column {id_field:?}: choose one of {columns} with --id-field");
                return Err(CliError::Failed(message));
            }
        };
        Ok(Self { reader, members, id_column, record: StringRecord::new(), ended: false })
    }

    fn row(&self) -> Result<Row, String> {
        let mut text = String::with_capacity(64 + self.record.as_slice().len() * 2);
        for (i, (member, value)) in self.members.iter().zip(&self.record).enumerate() {
            text.push(if i == 0 { '{' } else { ',' });
            text.push_str(member);
            text.push_str(&json(value));
        }
        text.push('}');
        // Written here as compact JSON, with members that differ: a document as it is.
        let body = Body::Data(Document::from_stored(text.into_boxed_str()));
        Ok(Row { line: self.line(), id: checked_id(self.record.get(self.id_column).unwrap_or_default())?, body })
    }

    fn line(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }
}

/// A string in JSON.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl<R: BufRead> Iterator for CsvRows<R> {
    type Item = Result<Row, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.reader.read_record(&mut self.record) {
            Ok(true) => Some(self.row().map_err(|what| Fault { line: self.line(), what })),
            Ok(false) => {
                self.ended = true;
                None
            }
            Err(error) => {
                let line = error.position().map_or_else(|| self.reader.position().line(), csv::Position::line);
                let (what, fatal) = match error.kind() {
                    ErrorKind::UnequalLengths { expected_len, len, .. } => {
                        (format!("has {len} cells, the header has {expected_len}"), false)
                    }
                    ErrorKind::Utf8 { .. } => ("is not UTF-8".to_owned(), false),
                    _ => (format!("cannot be read: {error}"), true),
                };
                self.ended = fatal;
                Some(Err(Fault { line, what }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &'static str) -> Vec<Result<(u64, String), (u64, String)>> {
        let rows = CsvRows::new(text.as_bytes(), "id", "x.csv").unwrap();
        let shown = rows.map(|row| match row {
            Ok(Row { line, body: Body::Data(data), .. }) => Ok((line, data.as_str().to_owned())),
            Ok(row) => panic!("{row:?}"),
            Err(fault) => Err((fault.line, fault.what)),
        });
        shown.collect()
    }

    #[test]
    fn cells_are_strings_and_an_empty_one_is_an_empty_string() {
        let row = |line, text: &str| Ok((line, text.to_owned()));
        let want = [row(2, r#"{"id":"1","n":"2.50"}"#), row(3, r#"{"id":"2","n":""}"#), row(5, r#"{"id":"3","n":"a\n\"b"}"#)];
        assert_eq!(rows("id,n\n1,2.50\n2,\n\n3,\"a\n\"\"b\"\n"), want);
        assert_eq!(rows("id,n\r\n1,2.50\r\n2,\r\n\r\n3,\"a\n\"\"b\"\r\n"), want);
    }

    #[test]
    fn a_row_of_another_length_names_its_line_and_the_next_is_read() {
        let bad = Err((3, "has 1 cells, the header has 2".to_owned()));
        assert_eq!(rows("id,n\n1,a\n2\n3,c\n")[1], bad);
        assert_eq!(rows("id,n\r\n1,a\r\n2\r\n3,c\r\n")[1], bad);
        assert_eq!(rows("id,n\n1,a\n2\n3,c\n").len(), 3);
    }

    #[test]
    fn a_header_must_have_the_id_and_no_name_twice() {
        assert!(CsvRows::new("a,b\n".as_bytes(), "id", "x.csv").is_err());
        assert!(CsvRows::new("id,a,a\n".as_bytes(), "id", "x.csv").is_err());
        assert!(rows("").is_empty());
    }
}
