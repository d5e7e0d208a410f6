//! A PostgreSQL server with data of its own, which nothing outlives.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::account::{command, give};
use super::admin::{Admin, wait_for};
use super::watchdog::Watchdog;
use super::{Settings, is_installed};

/// What takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at something that is about to happen.
const BLINK: Duration = Duration::from_millis(5);

/// A server on 127.0.0.1 whose superuser is `postgres`.
pub struct Cluster {
    /// Before the processes: it ends them.
    watchdog: Watchdog,
    directory: PathBuf,
    port: u16,
    server: Option<Child>,
}

/// How a server is stopped.
#[derive(Clone, Copy, Debug)]
pub enum Stop {
    /// When the last client has gone.
    Smart,
    /// Transactions are rolled back, clients cut off.
    Fast,
    /// Everything is left as it is, for the next start to recover.
    Immediate,
}

impl Cluster {
    /// The one that all tests share. `None` when PostgreSQL is not installed.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: LazyLock<Option<Cluster>> = LazyLock::new(|| Cluster::start(&Settings::default()));
        SHARED.as_ref()
    }

    /// A new one. `None` when PostgreSQL is not installed.
    pub fn start(settings: &Settings) -> Option<Self> {
        if !is_installed() {
            return None;
        }
        let mut cluster = Self::unmade();
        cluster.make(settings);
        cluster.start_somewhere();
        Some(cluster)
    }

    /// An empty directory, and who removes it.
    fn unmade() -> Self {
        let directory = tempfile::Builder::new().prefix("strandline-postgres-").tempdir().unwrap().keep();
        let watchdog = Watchdog::over(&directory);
        give(&directory);
        Self { watchdog, directory, port: 0, server: None }
    }

    fn make(&mut self, settings: &Settings) {
        let data = self.data();
        let mut initdb = command("initdb", &self.directory);
        initdb.args(["--auth=trust", "--no-sync", "--no-instructions", "--username=postgres", "--wal-segsize=4"]);
        initdb.args(["--encoding=UTF8", "--locale=C", "--pgdata"]).arg(&data);
        self.carry_out(&mut initdb);
        let mut file = File::options().append(true).open(data.join("postgresql.conf")).unwrap();
        file.write_all(settings.text().as_bytes()).unwrap();
    }

    /// Runs one of PostgreSQL's programs to its end.
    fn carry_out(&mut self, command: &mut Command) {
        let mut child = command.stdout(self.log()).stderr(self.log()).spawn().unwrap();
        self.watchdog.watch(&[child.id()]);
        let status = child.wait().unwrap();
        self.watchdog.watch(&[]);
        assert!(status.success(), "{command:?}: {status}\n{}", self.said());
    }

    /// Starts it on a port that is free.
    fn start_somewhere(&mut self) {
        for _ in 0..10 {
            self.port = free_port();
            match self.try_start() {
                Ok(()) => return,
                // Somebody else took the port meanwhile.
                Err(_) if self.said().contains("could not create any TCP/IP sockets") => {}
                Err(status) => panic!("PostgreSQL does not start: {status}\n{}", self.said()),
            }
        }
        panic!("no port is free");
    }

    /// Starts it where it was, after it was stopped or killed.
    pub fn start_again(&mut self) {
        self.try_start().unwrap_or_else(|status| panic!("PostgreSQL does not start: {status}\n{}", self.said()));
    }

    fn try_start(&mut self) -> Result<(), ExitStatus> {
        assert!(self.server.is_none(), "it runs already");
        let mut postgres = command("postgres", &self.directory);
        postgres.arg("-D").arg(self.data()).arg("-k").arg(&self.directory);
        postgres.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        let server = postgres.stdout(Stdio::null()).stderr(self.log()).spawn().unwrap();
        self.watchdog.watch(&[server.id()]);
        self.server = Some(server);
        let (admin, begun) = (self.admin(), Instant::now());
        while let Err(error) = wait_for(async { admin.connect().await.map(drop) }) {
            if let Some(status) = self.server.as_mut().unwrap().try_wait().unwrap() {
                self.ended();
                return Err(status);
            }
            assert!(begun.elapsed() < PATIENCE, "PostgreSQL is not ready: {error:?}\n{}", self.said());
            std::thread::sleep(BLINK);
        }
        Ok(())
    }

    /// Stops it, and waits for its end.
    pub fn stop(&mut self, how: Stop) {
        self.signal(match how {
            Stop::Smart => Signal::TERM,
            Stop::Fast => Signal::INT,
            Stop::Immediate => Signal::QUIT,
        });
        let begun = Instant::now();
        while self.server.as_mut().unwrap().try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "PostgreSQL does not stop\n{}", self.said());
            std::thread::sleep(BLINK);
        }
        self.ended();
    }

    /// Stops it, cutting clients off, and starts it.
    pub fn restart(&mut self) {
        self.stop(Stop::Fast);
        self.start_again();
    }

    fn ended(&mut self) {
        self.server = None;
        self.watchdog.watch(&[]);
    }

    fn signal(&self, signal: Signal) {
        kill_process(pid(self.server.as_ref().expect("it runs").id()), signal).unwrap();
    }

    /// A URL of its database `name`.
    pub fn url(&self, name: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// A way to its first database, past passwords and TLS.
    pub fn admin(&self) -> Admin {
        Admin { socket: self.directory.clone(), port: self.port, database: "postgres".to_owned() }
    }

    /// Where its data is.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }

    fn log(&self) -> File {
        File::options().append(true).create(true).open(self.log_path()).unwrap()
    }

    /// What it wrote to its log.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).unwrap()).unwrap()
}

/// A port below those that the system gives to clients: while the server is down, one of those may be somebody's, or
/// lead a client that looks for the server to itself.
fn free_port() -> u16 {
    let taken_by_clients = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let lowest = taken_by_clients.split_whitespace().next().and_then(|port| port.parse().ok()).unwrap_or(32_768);
    let below = if lowest > 12_000 { 10_000..lowest } else { 10_000..u16::MAX };
    let ports = std::iter::repeat_with(|| fastrand::u16(below.clone())).take(1_000);
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.into_iter().find(free).expect("a port is free")
}
