//! Changes in an unnamed temporary file, in the order in which they came.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use crate::domain::{Change, CollectionName, Document, RecordId, Rev, State, Timestamp};

/// Changes being written.
pub struct Spool(BufWriter<File>);

/// Changes that can be read, as often as needed.
pub struct Spooled(File);

impl Spool {
    /// Writes to `file`, which is nobody else's.
    pub fn new(file: File) -> Self {
        Self(BufWriter::with_capacity(1 << 16, file))
    }

    /// Appends a change: numbers in eight bytes each, then texts, each after its length.
    pub fn add(&mut self, change: &Change) -> io::Result<()> {
        let (live, data) = match &change.state {
            State::Live(data) => (1, data.as_str()),
            State::Deleted => (0, ""),
        };
        self.0.write_all(&change.rev.get().to_le_bytes())?;
        self.0.write_all(&change.modified_at.micros().to_le_bytes())?;
        self.0.write_all(&[live])?;
        for text in [change.collection.as_str(), change.id.as_str(), data] {
            self.0.write_all(&(text.len() as u64).to_le_bytes())?;
            self.0.write_all(text.as_bytes())?;
        }
        Ok(())
    }

    /// Ends the writing.
    pub fn finish(self) -> io::Result<Spooled> {
        self.0.into_inner().map(Spooled).map_err(io::IntoInnerError::into_error)
    }
}

impl Spooled {
    /// The changes from the first.
    pub fn read(&self) -> io::Result<impl Iterator<Item = io::Result<Change>>> {
        let mut file = self.0.try_clone()?;
        file.rewind()?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        Ok(std::iter::from_fn(move || read_change(&mut reader).transpose()))
    }
}

fn read_change(reader: &mut impl io::BufRead) -> io::Result<Option<Change>> {
    if reader.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let rev = Rev::new(u64::from_le_bytes(array(reader)?)).map_err(invalid)?;
    let modified_at = Timestamp::from_micros(i64::from_le_bytes(array(reader)?));
    let [live] = array(reader)?;
    let collection = CollectionName::new(&text(reader)?).map_err(invalid)?;
    let id = RecordId::from_stored(text(reader)?);
    let data = text(reader)?;
    let state = match live {
        0 => State::Deleted,
        _ => State::Live(Document::from_stored(data.into_boxed_str())),
    };
    Ok(Some(Change { collection, id, rev, modified_at, state }))
}

fn array<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn text(reader: &mut impl Read) -> io::Result<String> {
    let length = u64::from_le_bytes(array(reader)?);
    let mut text = String::new();
    let read = reader.take(length).read_to_string(&mut text)?;
    if read as u64 == length { Ok(text) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn invalid(fault: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault)
}
