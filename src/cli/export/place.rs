//! Where an export goes, and where its cursor is kept: files are replaced as a whole, and only at the end.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::Format;
use crate::cli::CliError;
use crate::domain::Cursor;

/// Stdout, or a file.
#[derive(Debug)]
pub struct Output(Option<PathBuf>);

impl Output {
    /// The file `path`; stdout for `-` or none.
    pub fn new(path: Option<PathBuf>) -> Self {
        Self(path.filter(|path| path.as_os_str() != "-"))
    }

    /// What the name says; NDJSON where it says nothing.
    pub fn format(&self) -> Format {
        let csv = |path: &PathBuf| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        if self.0.as_ref().is_some_and(csv) { Format::Csv } else { Format::Ndjson }
    }

    /// The file's name; none for stdout.
    pub fn name(&self) -> Option<String> {
        self.0.as_ref().map(|path| path.display().to_string())
    }

    /// An unnamed temporary file, beside the output where there is one: there is room for the export.
    pub fn spool(&self) -> Result<File, CliError> {
        match &self.0 {
            Some(path) => tempfile::tempfile_in(folder(path)).map_err(|error| CliError::io(path.display(), &error)),
            None => tempfile::tempfile().map_err(|error| CliError::io("a temporary file", &error)),
        }
    }

    /// Where the cursor and counts are told: not among the records.
    pub fn reports(&self) -> Box<dyn Write> {
        match self.0 {
            Some(_) => Box::new(io::stdout()),
            None => Box::new(io::stderr()),
        }
    }

    /// Writes what `write` writes.
    pub fn write<T>(&self, write: impl FnOnce(&mut dyn Write) -> Result<T, CliError>) -> Result<T, CliError> {
        if let Some(path) = &self.0 {
            return replace(path, write);
        }
        let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        let done = write(&mut out)?;
        out.flush().map_err(|error| CliError::io("the output", &error))?;
        Ok(done)
    }
}

/// A file that keeps a cursor between runs.
#[derive(Debug)]
pub struct CursorFile(PathBuf);

impl CursorFile {
    /// The file at `path`, which need not be there.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.0.display().to_string()
    }

    /// The cursor in it; none where there is no file.
    pub fn read(&self) -> Result<Option<Cursor>, CliError> {
        match fs::read_to_string(&self.0) {
            Ok(text) => text.trim().parse().map(Some).map_err(|_| {
                CliError::Failed(format!("{0} does not hold a cursor: delete {0} to begin anew", self.name()))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CliError::io(self.name(), &error)),
        }
    }

    /// Puts `cursor` in its place.
    pub fn replace(&self, cursor: &Cursor) -> Result<(), CliError> {
        let write = |out: &mut dyn Write| writeln!(out, "{cursor}").map_err(|error| CliError::io(self.name(), &error));
        replace(&self.0, write)
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Replaces `path` by what `write` writes, durably: whoever looks sees the old file or the new one, and after a crash
/// also.
fn replace<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<T, CliError>) -> Result<T, CliError> {
    let fault = |error: &io::Error| CliError::io(path.display(), error);
    // A device or a pipe cannot be replaced, only written to.
    if fs::metadata(path).is_ok_and(|kind| !kind.is_file()) {
        let file = File::options().write(true).open(path).map_err(|error| fault(&error))?;
        let mut out = BufWriter::new(file);
        let done = write(&mut out)?;
        out.flush().map_err(|error| fault(&error))?;
        return Ok(done);
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(OsStr::new(".strandline-"));
    // As any program makes files: it is no secret of this user's.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut out = BufWriter::new(builder.tempfile_in(folder(path)).map_err(|error| fault(&error))?);
    let done = write(&mut out)?;
    let file = out.into_inner().map_err(|error| fault(error.error()))?;
    file.as_file().sync_all().map_err(|error| fault(&error))?;
    file.persist(path).map_err(|error| fault(&error.error))?;
    File::open(folder(path)).and_then(|folder| folder.sync_all()).map_err(|error| fault(&error))?;
    Ok(done)
}
