//! A PostgreSQL server with data of its own, which nothing outlives.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::process::Signal;

use super::account::{command, give};
use super::admin::{Admin, wait_for};
use super::processes::signal;
use super::watchdog::Watchdog;
use super::{Settings, certificates, is_installed};

/// What takes longer is stuck.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at something that is about to happen.
pub const BLINK: Duration = Duration::from_millis(5);

/// The user that stores connect as: no superuser, and the owner of its databases.
pub const USER: &str = "strandline";
/// The database that all others are made from. It sorts text as people do and not by bytes, as a database that somebody
/// hands over may well do; no store must rely on either.
pub const BLANK: &str = "blank";

/// A server on 127.0.0.1.
pub struct Cluster {
    pub(super) watchdog: Watchdog,
    directory: PathBuf,
    port: u16,
    password: Option<String>,
    server: Option<Child>,
    /// Its processes, while they are frozen.
    pub(super) frozen: Vec<u32>,
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
        cluster.furnish();
        Some(cluster)
    }

    /// An empty directory, and who removes it.
    pub(super) fn unmade() -> Self {
        let directory = tempfile::Builder::new().prefix("strandline-postgres-").tempdir().unwrap().keep();
        let watchdog = Watchdog::over(&directory);
        give(&directory);
        Self { watchdog, directory, port: 0, password: None, server: None, frozen: Vec::new() }
    }

    fn make(&mut self, settings: &Settings) {
        let data = self.data();
        let mut initdb = command("initdb", &self.directory);
        initdb.args(["--auth=trust", "--no-sync", "--no-instructions", "--username=postgres", "--wal-segsize=4"]);
        initdb.args(["--encoding=UTF8", "--locale=C", "--pgdata"]).arg(&data);
        self.carry_out(&mut initdb);
        let mut file = File::options().append(true).open(data.join("postgresql.conf")).unwrap();
        file.write_all(settings.text().as_bytes()).unwrap();
        std::fs::write(data.join("pg_hba.conf"), settings.doors()).unwrap();
        if !settings.certified.is_empty() {
            certificates::make(&self.directory, &settings.certified);
        }
        self.password.clone_from(&settings.password);
    }

    /// What there is to know of another cluster, of which this one is a copy.
    pub(super) fn resemble(&mut self, other: &Self) {
        self.password.clone_from(&other.password);
        for (own, theirs) in [(self.authority(), other.authority()), (self.stranger(), other.stranger())] {
            let _ = std::fs::copy(theirs, own);
        }
    }

    /// Makes the user and the database to copy.
    fn furnish(&self) {
        let admin = self.admin();
        let password = self.password.as_ref().map(|it| format!("PASSWORD '{}'", it.replace('\'', "''")));
        admin.run(&format!("CREATE ROLE {USER} LOGIN {}", password.unwrap_or_default()));
        let has_icu: bool = admin.ask("SELECT EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i')");
        let locale = if has_icu { "LOCALE_PROVIDER icu ICU_LOCALE 'en'" } else { "" };
        admin.run(&format!("CREATE DATABASE {BLANK} OWNER {USER} TEMPLATE template0 STRATEGY FILE_COPY {locale}"));
    }

    /// Runs one of PostgreSQL's programs to its end.
    pub(super) fn carry_out(&mut self, command: &mut Command) {
        let mut child = command.stdout(self.log()).stderr(self.log()).spawn().unwrap();
        // Beside a server it needs no watching: it is over soon when that is gone.
        if self.server.is_none() {
            self.watchdog.watch(&[child.id()]);
        }
        let status = child.wait().unwrap();
        if self.server.is_none() {
            self.watchdog.watch(&[]);
        }
        assert!(status.success(), "{command:?}: {status}\n{}", self.said());
    }

    /// Starts it on a port that is free.
    pub(super) fn start_somewhere(&mut self) {
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
        let order = match how {
            Stop::Smart => Signal::TERM,
            Stop::Fast => Signal::INT,
            Stop::Immediate => Signal::QUIT,
        };
        signal(&[self.server_id()], order);
        self.wait_for_its_end();
    }

    /// Stops it, cutting clients off, and starts it.
    pub fn restart(&mut self) {
        self.stop(Stop::Fast);
        self.start_again();
    }

    pub(super) fn wait_for_its_end(&mut self) {
        let begun = Instant::now();
        while self.server.as_mut().expect("it runs").try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "PostgreSQL does not stop\n{}", self.said());
            std::thread::sleep(BLINK);
        }
        self.ended();
    }

    fn ended(&mut self) {
        self.server = None;
        self.frozen.clear();
        self.watchdog.watch(&[]);
    }

    pub(super) fn server_id(&self) -> u32 {
        self.server.as_ref().expect("it runs").id()
    }

    /// A URL of its database `name`, for a store.
    pub fn url(&self, name: &str) -> String {
        let password = self.password.as_ref().map(|it| format!(":{}", utf8_percent_encode(it, NON_ALPHANUMERIC)));
        format!("postgres://{USER}{}@127.0.0.1:{}/{name}", password.unwrap_or_default(), self.port)
    }

    /// Where it listens, on 127.0.0.1: the same after each start.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
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
