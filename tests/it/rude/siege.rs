//! The program besieged: a well-behaved client measures it alone, and beside a crowd.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::{Certificate, Home, say};

/// The well-behaved client polls for so long, at this pace.
const MEASURED: Duration = Duration::from_millis(1_500);
const PACE: Duration = Duration::from_millis(2);
/// Other clients that behave well, and load the server as much as it can take.
const BUSY: usize = 8;
/// Another build of the program, which is measured.
const BINARY: &str = "STRANDLINE_BINARY";
/// What the slowest hundredth of the polls may take, whatever it took without the crowd: beside other tests, which are a crowd
/// themselves, only that nothing hangs can be told; where a build is measured and nothing else runs, this is no delay.
const FLOOR: Duration = Duration::from_secs(1);
const FLOOR_MEASURED: Duration = Duration::from_millis(20);
/// How often it may take as long as without the crowd, where that is more.
const TIMES: u32 = 2;
/// What else goes on may make a measurement worthless.
const ATTEMPTS: usize = 3;
/// What does not end in this time does not end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a rude client does.
#[derive(Clone)]
pub enum Rude {
    /// Sends a byte at a time, until it is told off.
    Trickle { at_once: Vec<u8>, then: Vec<u8> },
    /// Asks, and reads nothing.
    ReadNothing(Vec<u8>),
    /// Asks, and gets an answer with this status.
    Ask(Vec<u8>, &'static str),
    /// Sends what is no whole request, and goes.
    Cut(Vec<u8>),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Rude {
    /// The first `count` bytes of what would trickle at once.
    pub fn trickle(bytes: &[u8], count: usize) -> Self {
        let (at_once, then) = bytes.split_at(count);
        Self::Trickle { at_once: at_once.into(), then: then.into() }
    }

    async fn act(self, mut stream: Box<dyn Stream>, mut stop: watch::Receiver<bool>) {
        match self {
            Self::Trickle { at_once, then } => {
                if stream.write_all(&at_once).await.is_err() {
                    return;
                }
                for byte in then {
                    let mut answer = [0; 12];
                    if stream.write_all(&[byte]).await.is_err() {
                        return;
                    }
                    if let Ok(Ok(count)) = timeout(Duration::from_millis(100), stream.read(&mut answer)).await {
                        assert!(count == 0 || answer.starts_with(b"HTTP/1.1 408"), "{answer:?}");
                        return;
                    }
                }
            }
            Self::ReadNothing(request) => {
                stream.write_all(&request).await.unwrap();
                let _ = stop.wait_for(|stop| *stop).await;
            }
            Self::Ask(request, status) => {
                // It may be refused before all of it is sent.
                let _ = stream.write_all(&request).await;
                let mut answer = [0; 12];
                stream.read_exact(&mut answer).await.unwrap();
                assert_eq!(std::str::from_utf8(&answer).unwrap(), format!("HTTP/1.1 {status}"));
            }
            Self::Cut(part) => {
                let _ = stream.write_all(&part).await;
                let _ = stream.flush().await;
            }
        }
    }
}

/// The program, with some megabytes in it.
pub struct Siege {
    /// One at a time: they would measure each other.
    _alone: MutexGuard<'static, ()>,
    child: Child,
    door: Door,
    _home: Home,
}

/// How to get in.
#[derive(Clone)]
struct Door {
    address: SocketAddr,
    certificate: Option<Arc<Certificate>>,
}

impl Door {
    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        if let Some(certificate) = &self.certificate {
            return Ok(Box::new(certificate.connect(self.address, "http/1.1").await?));
        }
        Ok(Box::new(TcpStream::connect(self.address).await?))
    }

    /// A connection whose system takes little for a client that does not read.
    async fn narrow(&self) -> io::Result<Box<dyn Stream>> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4 << 10)?;
        Ok(Box::new(socket.connect(self.address).await?))
    }
}

impl Siege {
    pub async fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, None).await
    }

    pub async fn start_encrypted() -> Self {
        Self::start_with(&[], Some(Certificate::new())).await
    }

    async fn start_with(arguments: &[&str], certificate: Option<Certificate>) -> Self {
        static ALONE: Mutex<()> = Mutex::const_new(());
        let alone = ALONE.lock().await;
        let home = Home::quick();
        let program = std::env::var_os(BINARY).map_or(env!("CARGO_BIN_EXE_strandline").into(), PathBuf::from);
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--database", &home.argument()]).args(arguments);
        if let Some(certificate) = &certificate {
            command.arg("--tls-cert").arg(certificate.path()).arg("--tls-key").arg(certificate.key_path());
        }
        command.env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let stdout = tokio::process::ChildStdout::from_std(child.stdout.take().unwrap()).unwrap();
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await.unwrap();
        let (_, address) = line.trim().split_once("://").unwrap();
        let door = Door { address: address.parse().unwrap(), certificate: certificate.map(Arc::new) };
        let siege = Self { _alone: alone, child, door, _home: home };
        siege.fill().await;
        siege
    }

    async fn fill(&self) {
        let text = "x".repeat(1_000);
        let mut stream = self.door.connect().await.unwrap();
        for part in 0..16 {
            let change = |id| json!({"collection": "todos", "id": format!("{part}-{id}"), "data": {"text": text}});
            let body = json!({"changes": (0..1_000).map(change).collect::<Vec<_>>()}).to_string();
            let head = format!(
                "POST /v1/spaces/demo/push HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n",
                body.len()
            );
            assert_eq!(exchange(&mut stream, &[head.as_bytes(), body.as_bytes()].concat()).await.0, "200");
        }
    }

    /// The status of an answer.
    pub async fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = self.door.connect().await.unwrap();
        exchange(&mut stream, format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.0
    }

    /// The 99th percentile of the times of up-to-date polls by a client that is not in a hurry, beside some that ask again and
    /// again.
    async fn measure(&self) -> Duration {
        let poll = b"GET /v1/spaces/demo/changes?since=16000 HTTP/1.1\r\nhost: x\r\n\r\n";
        // Ended when this is dropped.
        let mut busy = JoinSet::new();
        for _ in 0..BUSY {
            let door = self.door.clone();
            busy.spawn(async move {
                let mut stream = door.connect().await.unwrap();
                loop {
                    assert_eq!(exchange(&mut stream, poll).await.0, "200");
                }
            });
        }
        let mut stream = self.door.connect().await.unwrap();
        let (begun, mut times) = (Instant::now(), Vec::new());
        while begun.elapsed() < MEASURED || times.len() < 100 {
            let asked = Instant::now();
            assert_eq!(exchange(&mut stream, poll).await.0, "200");
            times.push(asked.elapsed());
            sleep(PACE).await;
        }
        times.sort();
        times[times.len() * 99 / 100]
    }

    /// Bytes of memory that the program has.
    fn memory(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * rustix::param::page_size() as u64
    }

    /// Asserts that beside a crowd the program needs no more than `most` bytes of memory more, that a client that
    /// behaves well is served nearly as soon, and that nothing is left of the crowd in the end. Where there is a limit that
    /// all of them break, it has to be what ends them.
    pub async fn beside(&self, crowd: impl IntoIterator<Item = Rude>, limit: Option<&str>, most: u64) {
        let crowd: Vec<Rude> = crowd.into_iter().collect();
        for attempt in 1.. {
            let (alone, memory) = (self.measure().await, self.memory());
            let (beside, peak) = self.crowded(crowd.clone(), limit).await;
            let grown = peak.saturating_sub(memory);
            say(&format!("p99 {alone:?} alone, {beside:?} beside; {} MiB more memory\n", grown >> 20));
            assert!(grown <= most, "{grown} bytes more");
            assert_eq!(self.ask("GET", "/readyz").await, "200");
            let floor = if std::env::var_os(BINARY).is_some() { FLOOR_MEASURED } else { FLOOR };
            if beside <= floor.max(alone * TIMES) {
                break;
            }
            assert!(attempt < ATTEMPTS, "{beside:?} beside, {alone:?} alone");
        }
    }

    /// The 99th percentile beside the crowd, and the most memory until the last of it was gone.
    async fn crowded(&self, crowd: Vec<Rude>, limit: Option<&str>) -> (Duration, u64) {
        let size = crowd.len();
        let before = if let Some(limit) = limit { self.refused(limit).await } else { 0 };
        let stop = watch::Sender::new(false);
        let mut acting = JoinSet::new();
        for rude in crowd {
            let (door, stop) = (self.door.clone(), stop.subscribe());
            acting.spawn(async move {
                let narrow = matches!(rude, Rude::ReadNothing(_));
                let stream = if narrow { door.narrow().await } else { door.connect().await };
                rude.act(stream.unwrap(), stop).await;
            });
        }
        let (begun, mut measured, mut peak) = (Instant::now(), None, 0);
        let mut beside = pin!(self.measure());
        // Until the last of them is told off, or has its answer.
        while measured.is_none() || !acting.is_empty() {
            if let (Some(limit), true) = (limit, measured.is_some())
                && self.refused(limit).await - before == size
            {
                stop.send_replace(true);
            }
            tokio::select! {
                beside = &mut beside, if measured.is_none() => measured = Some(beside),
                Some(ended) = acting.join_next() => ended.unwrap(),
                () = sleep(Duration::from_millis(20)) => {}
            }
            peak = peak.max(self.memory());
            assert!(begun.elapsed() < PATIENCE, "they do not end");
        }
        if let Some(limit) = limit {
            assert_eq!(self.refused(limit).await - before, size, "{limit}");
        }
        (measured.unwrap(), peak)
    }

    /// How many clients went beyond this limit.
    async fn refused(&self, limit: &str) -> usize {
        let mut stream = self.door.connect().await.unwrap();
        let (_, text) = exchange(&mut stream, b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let sample = format!("strandline_refusals_total{{limit=\"{limit}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&sample)).unwrap().parse().unwrap()
    }
}

impl Drop for Siege {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status and the body of an answer that has a length.
async fn exchange(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &[u8]) -> (String, String) {
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    loop {
        let count = timeout(PATIENCE, stream.read_buf(&mut answer)).await.expect("an answer").unwrap();
        assert!(count > 0, "closed after {}", String::from_utf8_lossy(&answer));
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        if body.len() >= length.parse::<usize>().unwrap() {
            return (head[9..12].to_owned(), body.to_owned());
        }
    }
}
