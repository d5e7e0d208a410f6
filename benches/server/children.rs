//! The processes that are measured: the real server, and the static answer that is its floor.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use actix_web::{App, HttpResponse, HttpServer, web};

use crate::Result;

/// The argument that makes this program the static server.
pub const STATIC: &str = "__static";

/// A server in a process of its own. It is killed when this is dropped.
pub struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts the server on the database at a URL. `STRANDLINE_BENCH_BINARY` names another build of it, to be compared.
    pub fn strandline(database: &str) -> Result<Self> {
        let binary =
            env::var("STRANDLINE_BENCH_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_strandline").to_owned());
        let mut command = Command::new(binary);
        command.args(["serve", "--listen", "127.0.0.1:0", "--database", database]);
        // Only what this benchmark asks for is purged.
        command.args(["--default-retention", "forever"]).env("RUST_LOG", "warn");
        Self::start(command)
    }

    /// Starts the static server.
    pub fn floor() -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.arg(STATIC);
        Self::start(command)
    }

    /// Starts a server that says on its first line where it listens.
    fn start(mut command: Command) -> Result<Self> {
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let address = line.split_once("http://").and_then(|(_, address)| address.trim().parse().ok());
        let Some(address) = address else {
            process.kill()?;
            return Err(format!("a server said {line:?} instead of where it listens").into());
        };
        Ok(Self { process, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes of memory that it holds now.
    pub fn memory(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// The most bytes of memory that it held since [`Self::forget_peak`].
    pub fn peak_memory(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    /// Begins to look for the peak anew.
    pub fn forget_peak(&self) -> Result<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5")?)
    }

    /// Ends it, so that its database is free.
    pub fn stop(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    fn status(&self, key: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kibibytes =
            line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok());
        Ok(kibibytes.ok_or_else(|| format!("the system does not tell {key}"))? << 10)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that was stopped, or ended by itself, is gone already.
        let _ = self.stop();
    }
}

/// Runs the static server: one route, 64 bytes, as many workers as the real one has.
pub fn serve_static() -> Result<()> {
    const BODY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    actix_web::rt::System::new().block_on(async {
        let answer = || async { HttpResponse::Ok().body(BODY) };
        let server = HttpServer::new(move || App::new().route("/", web::get().to(answer)));
        let server = server.bind("127.0.0.1:0")?;
        for address in server.addrs() {
            println!("http://{address}");
        }
        std::io::stdout().flush()?;
        Ok(server.run().await?)
    })
}
