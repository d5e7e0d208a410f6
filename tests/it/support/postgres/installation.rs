//! Where PostgreSQL is installed, if it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::support::say;

/// The oldest major version that is supported.
const OLDEST: u32 = 15;

static PROGRAMS: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let found = find();
    if found.is_none() {
        say(&format!("SKIPPED: everything over PostgreSQL, since no initdb of version {OLDEST} or newer is here"));
    }
    found
});

/// Whether there is a PostgreSQL to test with. Without one, a test that needs it returns at once: the log says so
/// loudly, once.
///
/// # Panics
/// When there is none and `STRANDLINE_REQUIRE_POSTGRES=1`.
pub fn is_installed() -> bool {
    let required = std::env::var_os("STRANDLINE_REQUIRE_POSTGRES").is_some_and(|value| value == "1");
    assert!(PROGRAMS.is_some() || !required, "STRANDLINE_REQUIRE_POSTGRES=1, and PostgreSQL is not installed");
    PROGRAMS.is_some()
}

/// The path of one of PostgreSQL's programs.
pub fn program(name: &str) -> PathBuf {
    PROGRAMS.as_ref().expect("is_installed was asked first").join(name)
}

/// Debian's place first, newest version first: it keeps several side by side, and none of them in `PATH`.
fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian().into_iter().chain(std::env::split_paths(&path)).chain(pg_config()).find(|place| is_usable(place))
}

fn debian() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, place)| place).collect()
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

fn is_usable(place: &Path) -> bool {
    place.join("initdb").is_file() && version(&place.join("postgres").into_os_string()).is_some_and(|it| it >= OLDEST)
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
fn version(postgres: &OsString) -> Option<u32> {
    let output = Command::new(postgres).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number: String = text.split_once(") ")?.1.chars().take_while(char::is_ascii_digit).collect();
    number.parse().ok()
}
