//! Rows of a file as records: CSV with a header row.

use std::collections::VecDeque;
use std::io::{self, Read};

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};

use super::rows::{Body, Fault, Row, checked_id};
use crate::cli::CliError;
use crate::domain::Document;

/// A CSV file. The header names the members; every value is a string.
pub struct CsvRows<R> {
    reader: Reader<LineStarts<R>>,
    /// The members' names as JSON, each with the colon after it.
    members: Vec<String>,
    /// The column of the id.
    id_column: usize,
    record: StringRecord,
    ended: bool,
}

impl<R: Read> CsvRows<R> {
    /// Reads the header. `name` is what the person called the file.
    ///
    /// # Errors
    /// That the header cannot be read, names a column twice, or has no column `id_field`.
    pub fn new(reader: R, id_field: &str, name: &str) -> Result<Self, CliError> {
        let mut reader = ReaderBuilder::new().from_reader(LineStarts::new(reader));
        let header = reader.headers().map_err(|error| CliError::Failed(format!("{name}: the header row: {error}")))?;
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = header.iter().find(|member| !seen.insert(*member)) {
            return Err(CliError::Failed(format!(
                "{name}: the header names {twice:?} twice: rename one of the columns"
            )));
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

    fn row(&self, line: u64) -> Result<Row, String> {
        let mut text = String::with_capacity(64 + self.record.as_slice().len() * 2);
        for (i, (member, value)) in self.members.iter().zip(&self.record).enumerate() {
            text.push(if i == 0 { '{' } else { ',' });
            text.push_str(member);
            text.push_str(&json(value));
        }
        text.push('}');
        // Written here as compact JSON, with members that differ: a document as it is.
        let body = Body::Data(Document::from_stored(text.into_boxed_str()));
        Ok(Row { line, id: checked_id(self.record.get(self.id_column).unwrap_or_default())?, body })
    }

    /// The line of the record that was read last, or could not be.
    fn line(&mut self, position: Option<csv::Position>) -> u64 {
        let position = position.unwrap_or_else(|| self.reader.position().clone());
        self.reader.get_mut().line_from(position.byte())
    }
}

/// A reader that remembers where lines begin: after a line feed, a carriage return, or both, since `csv` ends records at
/// any of them. The position that it gives a record lies before the line feed and the blank lines that it passes over first,
/// so that the line it tells is often too low.
struct LineStarts<R> {
    reader: R,
    /// Bytes read.
    offset: u64,
    /// The line of the next byte, and whether it is the first there.
    line: u64,
    fresh: bool,
    /// Whether a carriage return came last, whose line feed would not end another line.
    returned: bool,
    /// The offset and number of each line that is not blank, from where [`LineStarts::line_from`] last looked.
    starts: VecDeque<(u64, u64)>,
}

impl<R> LineStarts<R> {
    fn new(reader: R) -> Self {
        Self { reader, offset: 0, line: 1, fresh: true, returned: false, starts: VecDeque::new() }
    }

    /// The first line that is not blank and begins at `offset` or later. `offset` never goes back.
    fn line_from(&mut self, offset: u64) -> u64 {
        while self.starts.front().is_some_and(|(start, _)| *start < offset) {
            self.starts.pop_front();
        }
        self.starts.front().map_or(self.line, |(_, line)| *line)
    }
}

impl<R: Read> Read for LineStarts<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        for byte in buffer.iter().take(read) {
            match byte {
                b'\n' if self.returned => {}
                b'\n' | b'\r' => (self.line, self.fresh) = (self.line + 1, true),
                _ if self.fresh => {
                    self.starts.push_back((self.offset, self.line));
                    self.fresh = false;
                }
                _ => {}
            }
            self.returned = *byte == b'\r';
            self.offset += 1;
        }
        Ok(read)
    }
}

/// A string in JSON.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl<R: Read> Iterator for CsvRows<R> {
    type Item = Result<Row, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.reader.read_record(&mut self.record) {
            Ok(true) => {
                let line = self.line(self.record.position().cloned());
                Some(self.row(line).map_err(|what| Fault { line, what }))
            }
            Ok(false) => {
                self.ended = true;
                None
            }
            Err(error) => {
                let line = self.line(error.position().cloned());
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
        let want =
            [row(2, r#"{"id":"1","n":"2.50"}"#), row(3, r#"{"id":"2","n":""}"#), row(5, r#"{"id":"3","n":"a\n\"b"}"#)];
        assert_eq!(rows("id,n\n1,2.50\n2,\n\n3,\"a\n\"\"b\"\n"), want);
        assert_eq!(rows("id,n\r\n1,2.50\r\n2,\r\n\r\n3,\"a\n\"\"b\"\r\n"), want);
        assert_eq!(rows("id,n\r1,2.50\r2,\r\r3,\"a\n\"\"b\"\r"), want);
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
