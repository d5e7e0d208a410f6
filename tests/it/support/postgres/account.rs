//! Who runs the servers. PostgreSQL refuses root, and so tests that run as root run it as somebody else.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use super::installation;

/// The user and the group, when it is not who runs the tests.
static OTHER: LazyLock<Option<(u32, u32)>> = LazyLock::new(|| {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let fields: Vec<&str> =
            users.lines().map(|line| line.split(':').collect()).find(|it: &Vec<_>| it[0] == name)?;
        Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
    };
    let other = ids("postgres").or_else(|| ids("nobody"));
    Some(other.expect("PostgreSQL does not run as root, and there is neither a user postgres nor nobody"))
});

/// Gives `path` to whoever runs the servers.
pub fn give(path: &Path) {
    if let Some((user, group)) = *OTHER {
        chown(path, Some(user), Some(group)).unwrap();
    }
}

/// One of PostgreSQL's programs, to be run in `directory` as the user it needs, with nothing of the machine's own
/// settings, and out of reach of a Ctrl-C that is meant for the tests.
pub fn command(name: &str, directory: &Path) -> Command {
    let mut command = Command::new(installation::program(name));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C").current_dir(directory).stdin(Stdio::null()).process_group(0);
    if let Some((user, group)) = *OTHER {
        command.uid(user).gid(group);
    }
    command
}
