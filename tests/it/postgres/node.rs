//! `strandline serve` as one of several nodes on a database, told in each test what it needs to be told.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;
use tokio::sync::watch;

use crate::support::{Link, Place};

/// Between two looks at something that is about to happen.
pub const BLINK: Duration = Duration::from_millis(10);
/// What takes longer will not happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Node {
    arguments: Vec<String>,
    child: Option<Child>,
    log: NamedTempFile,
    place: watch::Sender<Option<SocketAddr>>,
}

impl Node {
    /// Starts one on the database that `url` names.
    pub async fn start(url: &str, arguments: &[&str]) -> Self {
        let mut node = Self::unstarted(url, arguments);
        node.start_again().await;
        node
    }

    pub fn unstarted(url: &str, arguments: &[&str]) -> Self {
        let arguments = ["--database", url].iter().chain(arguments).map(|&text| text.to_owned()).collect();
        Self { arguments, child: None, log: NamedTempFile::new().unwrap(), place: watch::Sender::new(None) }
    }

    pub async fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = std::fs::File::options().append(true).open(self.log.path()).unwrap();
        let mut command = program(&self.arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        self.child = Some(child);
        let first_line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            line
        });
        let line = tokio::time::timeout(PATIENCE, first_line).await.expect("the server starts").unwrap();
        let address = line.trim().strip_prefix("listening on http://");
        let address = address.unwrap_or_else(|| panic!("the server says where it listens\n{}", self.said()));
        self.place.send_replace(Some(address.parse().unwrap()));
    }

    pub fn address(&self) -> SocketAddr {
        self.place.borrow().expect("it runs")
    }

    pub fn place(&self) -> Place {
        self.place.subscribe()
    }

    /// A client's way to a space, which outlives the server it leads to.
    pub fn link(&self, space: &str) -> Link {
        Link::new(self.place(), space)
    }

    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        self.place.send_replace(None);
    }

    /// SIGTERM, and the end that should follow.
    pub async fn stop(&mut self) -> ExitStatus {
        let pid = i32::try_from(self.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
        let mut child = self.child.take().unwrap();
        let exit = tokio::task::spawn_blocking(move || child.wait().unwrap());
        let status = tokio::time::timeout(PATIENCE, exit).await.expect("it ends").unwrap();
        self.place.send_replace(None);
        status
    }

    /// What it wrote to stderr.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let said = self.said();
            let last: Vec<&str> = said.lines().rev().take(60).collect();
            eprintln!("a node's log:\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

/// The program with what it is told, and nothing of what this environment says.
pub fn program(arguments: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strandline"));
    let foreign = |name: &str| name.starts_with("STRANDLINE_") || name.starts_with("PG") || name == "RUST_LOG";
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(foreign)) {
        command.env_remove(name);
    }
    command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command that is to end by itself, however much it says.
pub fn to_its_end(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (stdout, stderr) = (drain(child.stdout.take().unwrap()), drain(child.stderr.take().unwrap()));
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it does not end; it said {}", String::from_utf8_lossy(&stderr.join().unwrap()));
        }
        std::thread::sleep(BLINK);
    };
    Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

/// Reads all of a pipe, which otherwise would be full at some time.
fn drain(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        pipe.read_to_end(&mut all).unwrap();
        all
    })
}

/// Waits until something is so.
pub async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !is().await {
        assert!(begun.elapsed() < PATIENCE, "it does not come about that {what}");
        tokio::time::sleep(BLINK).await;
    }
    begun.elapsed()
}
