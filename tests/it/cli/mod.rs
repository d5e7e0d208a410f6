//! The command line, driven from outside: the real binary on a database of the test's own.

mod admin;
mod copy;
mod copy_postgres;
mod doctor;
mod export;
mod history;
mod import;
mod remote;
mod remote_requests;
mod replica;
mod replica_killed;
mod replica_right;
mod replica_watch;
mod retention;
mod secrets;
mod served;
mod stats;
mod token;
mod watch;
mod watcher;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A folder that commands run in, with their database `strandline.db`, or through a server that has it.
pub struct Desk {
    folder: tempfile::TempDir,
    /// The database of its server.
    database: String,
    server: Option<Server>,
}

/// `strandline serve`, killed when it goes out of scope.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a command left.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Desk {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: "sqlite:strandline.db".into(), server: None }
    }

    /// A desk whose commands go through a server.
    pub fn served() -> Self {
        let mut desk = Self::new();
        desk.start_server();
        desk
    }

    /// The same, on another database than the desk's.
    pub fn served_on(database: &str) -> Self {
        let mut desk = Self { database: database.into(), ..Self::new() };
        desk.start_server();
        desk
    }

    /// Starts a server on the desk's database, where one was before if there was one.
    pub fn start_server(&mut self) {
        let address = self.server.take().map_or_else(|| "127.0.0.1:0".into(), |before| before.address().to_owned());
        let serve = format!("serve --listen {address} --database {}", self.database);
        let mut process = self.command(&serve).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").expect("the server says where it listens").to_owned();
        self.server = Some(Server { process, url });
    }

    /// Kills the server. Its address stays the desk's.
    pub fn stop_server(&mut self) {
        let server = self.server.as_mut().unwrap();
        server.process.kill().unwrap();
        server.process.wait().unwrap();
    }

    /// Where the server listens.
    pub fn url(&self) -> &str {
        &self.server.as_ref().unwrap().url
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The binary in this folder, without what the environment of the tests may say.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strandline"));
        command.current_dir(self.folder.path()).args(arguments.split_whitespace());
        for name in ["STRANDLINE_DATABASE", "STRANDLINE_URL", "STRANDLINE_TOKEN", "RUST_LOG"] {
            command.env_remove(name);
        }
        if let Some(server) = &self.server {
            command.env("STRANDLINE_URL", &server.url);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command, whatever comes of it.
    pub fn run(&self, arguments: &str) -> Done {
        Done::of(self.command(arguments).output().unwrap())
    }

    /// Runs a command that is to succeed; what it printed.
    pub fn ok(&self, arguments: &str) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, 0, "{arguments}: {done:?}");
        done.out
    }

    /// Runs a command with `--json` that is to succeed; what it printed.
    pub fn json(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("{arguments} --json"))).unwrap()
    }

    /// Runs a command that is to fail with this exit code; the sentence on stderr.
    pub fn fails(&self, code: i32, arguments: &str) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, code, "{arguments}: {done:?}");
        assert_eq!(done.out, "", "{arguments}");
        done.err
    }

    /// Runs a command with `input` on its stdin.
    pub fn feed(&self, arguments: &str, input: &[u8]) -> Done {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        Done::of(child.wait_with_output().unwrap())
    }

    /// Imports `content` as the file `name` into the collection `c` of the space `s`; the summary.
    pub fn import(&self, name: &str, content: impl AsRef<[u8]>, options: &str) -> Value {
        self.write(name, content);
        self.json(&format!("import --space s --collection c {name} {options}"))
    }

    /// The head of the space `s`.
    pub fn head(&self) -> u64 {
        self.json("spaces show s")["head"].as_u64().unwrap()
    }

    /// The live data of the space `s`, a line a record, sorted.
    pub fn data(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.ok("export --space s --collection c --data-only").lines().map(ToOwned::to_owned).collect();
        lines.sort();
        lines
    }
}

impl Done {
    fn of(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The numbers of an import's summary: applied, unchanged, deleted, kept, rejected.
pub fn counts(summary: &Value) -> [u64; 5] {
    ["applied", "unchanged", "deleted", "kept", "rejected"].map(|name| summary[name].as_u64().unwrap())
}

pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}
