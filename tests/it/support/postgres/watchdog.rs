//! A shell that outlives the test process just long enough to end its server and remove the data.
//!
//! It waits for the end of a pipe that the test process holds. The kernel closes that pipe however the process ends: at
//! its leisure, by a panic, or by SIGKILL.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Each line from the pipe lists the processes that there are at present, the one that answers for the others first.
/// SIGQUIT is PostgreSQL's immediate shutdown. The file that is waited for goes when it is complete; a process may stay
/// as a zombie where nobody buries orphans. What a server leaves that was killed is its System V shared memory.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
processes=
while read -r line; do processes=$line; done
set -- $processes
if [ $# -gt 0 ]; then
    kill -CONT "$@"
    kill -QUIT "$1"
    turns=0
    while kill -0 "$1" && [ -e "$0/data/postmaster.pid" ]; do
        turns=$((turns + 1))
        if [ $turns -gt 500 ]; then kill -KILL "$@"; break; fi
        sleep 0.02
    done
fi
set -- $(sed -n 7p "$0/data/postmaster.pid")
if [ $# -eq 2 ]; then ipcrm -m "$2"; fi
turns=0
until rm -rf "$0" || [ $turns -gt 100 ]; do
    turns=$((turns + 1))
    sleep 0.02
done
"#;

pub struct Watchdog {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Watchdog {
    /// Watches over `directory`, in which the cluster's data is to be in `data`.
    pub fn over(directory: &Path) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT]).arg(directory).current_dir("/").process_group(0);
        // Whoever reads what the tests print must not wait for this one.
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let pipe = shell.stdin.take();
        Self { shell, pipe }
    }

    /// Says which processes there are now.
    pub fn watch(&mut self, processes: &[u32]) {
        let mut line = processes.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        line.push('\n');
        self.pipe.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }
}

impl Drop for Watchdog {
    /// Has it done now, and waits for that.
    fn drop(&mut self) {
        self.pipe = None;
        let _ = self.shell.wait();
    }
}
