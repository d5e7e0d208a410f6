//! `strandline serve` as a process on a database of the test's own: started, killed, told to stop, started again.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;
use tokio::sync::watch;

use super::{Home, Link};

/// Where the server listens at present, if it does: another port after each start.
pub type Place = watch::Receiver<Option<SocketAddr>>;

pub struct Program {
    child: Option<Child>,
    home: Home,
    /// Not beside the database: there may be no room left.
    log: NamedTempFile,
    environment: Vec<(&'static str, String)>,
    place: watch::Sender<Option<SocketAddr>>,
}

impl Program {
    /// Starts it on what is in `home`, or will be.
    pub async fn start(home: Home) -> Self {
        Self::start_with(home, &[]).await
    }

    /// The same, with these variables in its environment.
    pub async fn start_with(home: Home, environment: &[(&'static str, &str)]) -> Self {
        let log = NamedTempFile::new().unwrap();
        let environment = environment.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut program = Self { child: None, home, log, environment, place: watch::Sender::new(None) };
        program.start_again().await;
        program
    }

    pub async fn start_again(&mut self) {
        self.spawn();
        let stdout = self.child.as_mut().unwrap().stdout.take().unwrap();
        let first_line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            line
        });
        let line = first_line.await.unwrap();
        let address = line.trim().strip_prefix("listening on http://").expect("the server says where it listens");
        self.place.send_replace(Some(address.parse().unwrap()));
    }

    /// Starts it and kills it before it has said that it listens, or soon after.
    pub async fn start_and_kill(&mut self, after: Duration) {
        self.spawn();
        tokio::time::sleep(after).await;
        self.kill();
    }

    fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = std::fs::File::options().append(true).open(self.log.path()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_strandline"));
        for name in ["STRANDLINE_LISTEN", "STRANDLINE_WORKERS", "STRANDLINE_COMPACT_INTERVAL", "RUST_LOG"] {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(["serve", "--listen", "127.0.0.1:0", "--database"]);
        command.arg(self.home.argument());
        self.child = Some(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap());
    }

    pub fn address(&self) -> SocketAddr {
        self.place.borrow().expect("it runs")
    }

    /// Where its data is.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// A client's way to a space, which outlives the server it leads to.
    pub fn link(&self, space: &str) -> Link {
        Link::new(self.place.subscribe(), space)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        self.place.send_replace(None);
    }

    /// SIGTERM; it may take its time to follow.
    pub fn terminate(&self) {
        let pid = i32::try_from(self.child.as_ref().unwrap().id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    }

    /// Waits for its end, which must not take long.
    pub async fn exit(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let exit = tokio::task::spawn_blocking(move || child.wait().unwrap());
        let status = tokio::time::timeout(Duration::from_secs(20), exit).await.expect("it ends").unwrap();
        self.place.send_replace(None);
        status
    }

    /// SIGTERM, and the end that should follow.
    pub async fn stop(&mut self) {
        self.terminate();
        let status = self.exit().await;
        assert_eq!(status.code(), Some(0), "{status}");
    }

    /// What it wrote to stderr.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    /// Looks for damage in the database, which nobody has open.
    pub fn check_integrity(&self) {
        assert!(self.child.is_none(), "it still runs");
        self.home.check_integrity();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.said());
        }
    }
}
