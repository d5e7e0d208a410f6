//! The file to import: found, unpacked, and read as often as needed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};

use super::Format;
use super::csv_rows::CsvRows;
use super::rows::{Lines, Rows};
use crate::cli::CliError;
use crate::domain::CollectionName;

/// A file that can be read from its beginning again.
#[derive(Debug)]
pub struct Source {
    /// What the person called it.
    pub name: String,
    file: File,
    format: Format,
    id_field: String,
    collection: CollectionName,
}

impl Source {
    /// Opens `path`, or stdin for `-`. What cannot be read twice (a pipe) is kept in an unnamed temporary file.
    pub fn open(
        path: &Path,
        format: Option<Format>,
        id_field: String,
        collection: CollectionName,
    ) -> Result<Self, CliError> {
        let stdin = path.as_os_str() == "-";
        let name = if stdin { "stdin".to_owned() } else { path.display().to_string() };
        let format = format.or_else(|| format_of(path)).ok_or_else(|| {
            CliError::Usage(format!("{name} does not say what it holds: add --format ndjson, csv or changes"))
        })?;
        let fault = |error: io::Error| CliError::io(&name, &error);
        let file = if stdin {
            spool(&mut io::stdin().lock()).map_err(fault)?
        } else {
            let mut file = File::open(path).map_err(fault)?;
            let kind = file.metadata().map_err(fault)?;
            match (kind.is_file(), kind.is_dir()) {
                (true, _) => file,
                (_, true) => return Err(CliError::Failed(format!("{name} is a folder: name a file"))),
                _ => spool(&mut file).map_err(fault)?,
            }
        };
        Ok(Self { name, file, format, id_field, collection })
    }

    /// Its rows from the first, and how far they have come in the file. `doing` is what a person is told meanwhile.
    pub fn rows(&self, doing: &'static str) -> Result<(Rows, ProgressBar), CliError> {
        let fault = |error: io::Error| CliError::io(&self.name, &error);
        let mut file = self.file.try_clone().map_err(fault)?;
        file.rewind().map_err(fault)?;
        let bar = bar(file.metadata().map_err(fault)?.len(), doing);
        let reader = unpack(bar.wrap_read(file)).map_err(fault)?;
        let rows: Rows = match self.format {
            Format::Csv => Box::new(CsvRows::new(reader, &self.id_field, &self.name)?),
            Format::Ndjson => Box::new(Lines::data(reader, self.id_field.clone())),
            Format::Changes => Box::new(Lines::changes(reader, self.collection.clone())),
        };
        Ok((rows, bar))
    }
}

/// What the name says, without `.gz`.
fn format_of(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match name.rsplit_once('.')?.1 {
        "ndjson" | "jsonl" => Some(Format::Ndjson),
        "csv" => Some(Format::Csv),
        _ => None,
    }
}

fn spool(reader: &mut dyn Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(reader, &mut file)?;
    Ok(file)
}

/// A progress bar on a terminal, and nothing anywhere else.
fn bar(bytes: u64, doing: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(bytes).with_message(doing);
    if let Ok(style) = ProgressStyle::with_template("{msg:9} [{wide_bar}] {bytes}/{total_bytes} {eta}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// The text in `raw`: unpacked when it begins as gzip does, whatever its name, and without a byte order mark.
fn unpack(raw: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let (magic, raw) = peek::<2, _>(BufReader::with_capacity(1 << 16, raw))?;
    let text: Box<dyn BufRead + Send> = match magic.as_slice() {
        [0x1f, 0x8b] => Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(raw))),
        _ => Box::new(raw),
    };
    let (mark, text) = peek::<3, _>(text)?;
    match mark.as_slice() {
        [0xef, 0xbb, 0xbf] => Ok(text.into_inner().1),
        _ => Ok(Box::new(text)),
    }
}

type Peeked<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// The first `N` bytes (fewer at the end), and a reader that still has them.
fn peek<const N: usize, R: BufRead>(mut reader: R) -> io::Result<(Vec<u8>, Peeked<R>)> {
    let mut first = Vec::with_capacity(N);
    reader.by_ref().take(N as u64).read_to_end(&mut first)?;
    Ok((first.clone(), Cursor::new(first).chain(reader)))
}
