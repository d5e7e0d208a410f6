//! The load generator: closed loops, each of which sends its next request when the last one is answered.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::connection::{Answer, Connection};

/// Threads that the connections are spread over; with one alone the generator would be the bottleneck.
const THREADS: usize = 2;

/// What one connection asks: writes its next request over the last one, or says that it has no more.
pub type Requests = Box<dyn FnMut(&mut Vec<u8>) -> bool + Send>;

/// What came of a load.
#[derive(Debug, Default)]
pub struct Outcome {
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// How long each request took, ascending.
    pub latencies: Vec<Duration>,
}

impl Outcome {
    /// Answers a second.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that this many of a thousand requests did not exceed.
    pub fn per_mille(&self, share: usize) -> Duration {
        let at = (self.latencies.len() * share / 1_000).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).copied().unwrap_or_default()
    }
}

/// Runs a closed loop for each of `loops`, all at once. Every answer must have the status `expected`.
pub fn run(address: SocketAddr, expected: u16, loops: Vec<Requests>) -> Result<Outcome> {
    let share = loops.len().div_ceil(THREADS);
    let mut loops = loops.into_iter();
    let groups: Vec<Vec<Requests>> = (0..THREADS).map(|_| loops.by_ref().take(share).collect()).collect();
    let begun = Instant::now();
    let latencies = thread::scope(|scope| {
        let threads: Vec<_> =
            groups.into_iter().map(|group| scope.spawn(move || run_group(address, expected, group))).collect();
        let join =
            |thread: thread::ScopedJoinHandle<'_, Result<_>>| thread.join().map_err(|_| "a load thread panicked")?;
        threads.into_iter().map(join).collect::<Result<Vec<Vec<Duration>>>>()
    })?;
    let mut outcome = Outcome { elapsed: begun.elapsed(), latencies: latencies.concat() };
    outcome.latencies.sort_unstable();
    Ok(outcome)
}

fn run_group(address: SocketAddr, expected: u16, group: Vec<Requests>) -> Result<Vec<Duration>> {
    block_on(async {
        let loops: Vec<_> = group.into_iter().map(|one| tokio::spawn(run_loop(address, expected, one))).collect();
        let mut latencies = Vec::new();
        for one in loops {
            latencies.append(&mut one.await??);
        }
        Ok(latencies)
    })
}

async fn run_loop(address: SocketAddr, expected: u16, mut requests: Requests) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(address).await?;
    let (mut request, mut latencies) = (Vec::new(), Vec::new());
    while requests(&mut request) {
        let begun = Instant::now();
        check(&connection.exchange(&request).await?, expected)?;
        latencies.push(begun.elapsed());
    }
    Ok(latencies)
}

/// Runs a future of one thread.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Sends one request by itself; hands its answer to `look`.
pub fn once<T>(address: SocketAddr, request: &[u8], look: impl FnOnce(Answer<'_>) -> Result<T>) -> Result<T> {
    block_on(async { look(Connection::open(address).await?.exchange(request).await?) })
}

/// An error unless the answer has this status.
pub fn check(answer: &Answer<'_>, expected: u16) -> Result<()> {
    if answer.status == expected {
        return Ok(());
    }
    let body = String::from_utf8_lossy(answer.body.get(..answer.body.len().min(500)).unwrap_or_default());
    Err(format!("expected {expected}, got {}: {body}", answer.status).into())
}

/// Requests, until the time is over.
pub fn limited(mut requests: Requests, duration: Duration) -> Requests {
    let begun = Instant::now();
    Box::new(move |request| begun.elapsed() < duration && requests(request))
}

/// The same request again and again, until the time is over.
pub fn repeated(request: &[u8], duration: Duration) -> Requests {
    let (request, begun) = (request.to_vec(), Instant::now());
    Box::new(move |out| {
        if out.is_empty() {
            out.extend_from_slice(&request);
        }
        begun.elapsed() < duration
    })
}
