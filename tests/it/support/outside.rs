//! Programs of other people that a test runs: bounded in time, heard, and never left behind.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// Runs `command` to its end, which must be a success. What it and all that it started said.
///
/// # Panics
/// When it fails, or takes longer than `limit`: it is killed then, with all that it started.
pub fn run(command: &mut Command, limit: Duration) -> String {
    // A file, which unlike a pipe never fills up, and has an end even if somebody still holds it.
    let log = tempfile::NamedTempFile::new().unwrap();
    let log_handle = || Stdio::from(log.as_file().try_clone().unwrap());
    command.process_group(0).stdin(Stdio::null()).stdout(log_handle()).stderr(log_handle());
    let mut child = command.spawn().unwrap();

    let leash = Leash::of(&child);
    let ended = ends_within(limit, &child);
    drop(leash);
    let status = child.wait().unwrap();
    let said = String::from_utf8_lossy(&std::fs::read(log.path()).unwrap()).into_owned();
    assert!(ended, "{command:?} took longer than {limit:?}, and said\n{said}");
    assert!(status.success(), "{command:?}: {status}\n{said}");
    said
}

/// Waits for a process's end, and leaves it unburied: nobody else can have its number meanwhile, nor its group's.
fn ends_within(limit: Duration, process: &Child) -> bool {
    let id = Pid::from_child(process);
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let ended = waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        // After the limit nobody listens any more.
        let _ = tell.send(ended);
    });
    told.recv_timeout(limit).is_ok_and(|ended| ended.unwrap().is_some())
}

/// A shell that kills a process and all its group when this is dropped, or when the test process ends in whatever way:
/// what is typed at a terminal to stop the tests does not reach another group.
struct Leash {
    shell: Child,
}

impl Leash {
    fn of(process: &Child) -> Self {
        let script = r#"trap '' HUP INT TERM; read -r _; kill -s KILL -- "-$0""#;
        let mut command = Command::new("sh");
        command.args(["-c", script, &process.id().to_string()]).process_group(0);
        // Whoever reads what the tests print must not wait for this one.
        let shell = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { shell }
    }
}

impl Drop for Leash {
    /// The end of the pipe is what the shell waits for.
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
