//! What a replica costs over the wire and in time: the first copy, a poll, and the repair after it was away for too long,
//! each byte counted by a proxy between it and the real server.
//!
//! `STRANDLINE_BENCH_RECORDS` says how many records (1,000,000), `STRANDLINE_BENCH_DIFFERENCES` how many of them the replica
//! misses (1,000). Under `cargo test`, or with `--quick`, it only shows that it works.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark that goes wrong should stop there and then"
)]

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use strandline::replica::{Options, Origin, Replica};

/// Changes in a push.
const BATCH: u64 = 5_000;

struct Server(Child, SocketAddr);

impl Server {
    fn start(database: &std::path::Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_strandline"))
            .args(["serve", "--listen", "127.0.0.1:0", "--default-retention", "forever"])
            .args(["--database", &format!("sqlite:{}", database.display())])
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split_once("http://").unwrap().1.trim().parse().unwrap();
        Self(process, address)
    }

    fn post(&self, path: &str, body: &str) {
        let url = format!("http://{}/v1/spaces/demo{path}", self.1);
        let config = ureq::Agent::config_builder().timeout_recv_response(Some(Duration::from_secs(300))).build();
        let agent: ureq::Agent = config.into();
        agent.post(url).header("Content-Type", "application/json").send(body).unwrap();
    }

    /// Writes these records in turn.
    fn write(&self, ids: &[u64], change: impl Fn(u64) -> String) {
        for ids in ids.chunks(usize::try_from(BATCH).unwrap()) {
            let changes: Vec<String> = ids.iter().map(|id| change(*id)).collect();
            self.post("/push", &format!("{{\"changes\":[{}]}}", changes.join(",")));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Hands on every byte, and counts it, up and down.
struct Meter {
    address: SocketAddr,
    up: Arc<AtomicU64>,
    down: Arc<AtomicU64>,
}

impl Meter {
    fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let meter = Self { address: listener.local_addr().unwrap(), up: Arc::default(), down: Arc::default() };
        let (up, down) = (Arc::clone(&meter.up), Arc::clone(&meter.down));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let there = TcpStream::connect(server).unwrap();
                let (back, forth) = (there.try_clone().unwrap(), client.try_clone().unwrap());
                let (up, down) = (Arc::clone(&up), Arc::clone(&down));
                std::thread::spawn(move || hand_on(client, there, &up));
                std::thread::spawn(move || hand_on(back, forth, &down));
            }
        });
        meter
    }

    /// Bytes since the last call, up and down.
    fn read(&self) -> (u64, u64) {
        (self.up.swap(0, Ordering::Relaxed), self.down.swap(0, Ordering::Relaxed))
    }
}

fn hand_on(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        count.fetch_add(read as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn say(what: &str, meter: &Meter, begun: Instant) -> u64 {
    let (up, down) = meter.read();
    let total = up + down;
    println!(
        "{what}: {:.3} MB over the wire ({up} bytes up, {down} down), {:.2?}",
        total as f64 / 1e6,
        begun.elapsed()
    );
    total
}

fn record(id: u64, version: u64) -> String {
    // Some 200 bytes, of which a good part does not compress.
    let noise = fastrand::Rng::with_seed(id ^ (version << 40)).u128(..);
    let title = format!("Record {id} of the benchmark, in its version {version}");
    format!(
        "{{\"collection\":\"notes\",\"id\":\"{:016x}\",\"base_rev\":\"*\",\"data\":{{\"title\":\"{title}\",\"done\":{},\"n\":{id},\"noise\":\"{noise:032x}\",\"tags\":[\"bench\",\"replica\"]}}}}",
        id.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        id.is_multiple_of(3),
    )
}

fn main() {
    // cargo test passes no argument, cargo bench passes --bench.
    let quick = env::args().all(|argument| argument != "--bench") || env::args().any(|argument| argument == "--quick");
    let records = number("STRANDLINE_BENCH_RECORDS", if quick { 20_000 } else { 1_000_000 });
    let differences = number("STRANDLINE_BENCH_DIFFERENCES", if quick { 100 } else { 1_000 });
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let server = Server::start(&directory.path().join("server.db"));
    let mut rng = fastrand::Rng::with_seed(7);
    let mut ids: Vec<u64> = (0..records).collect();
    rng.shuffle(&mut ids);
    server.write(&ids, |id| record(id, 1));
    // A history: half of the records are edited again, any of them, so that the live revisions do not lie together.
    rng.shuffle(&mut ids);
    server.write(&ids[..ids.len() / 2], |id| record(id, 2));
    println!("{records} records, half of them edited since");

    let meter = Meter::before(server.1);
    let origin = Origin { url: format!("http://{}", meter.address), space: "demo".parse().unwrap(), collections: None };
    let replica = Replica::create(&directory.path().join("replica"), &origin, Options::default()).unwrap();
    let begun = Instant::now();
    replica.sync().unwrap();
    let full = say("the first copy", &meter, begun);
    let begun = Instant::now();
    replica.sync().unwrap();
    say("a sync without news", &meter, begun);

    // A third each is edited, deleted, and new, and the deletions are forgotten.
    rng.shuffle(&mut ids);
    let third = usize::try_from(differences / 3).unwrap();
    server.write(&ids[..third], |id| record(id, 3));
    server.write(&ids[third..2 * third], |id| {
        let id = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{{\"collection\":\"notes\",\"id\":\"{id:016x}\",\"base_rev\":\"*\",\"deleted\":true}}")
    });
    let new: Vec<u64> = (records..records + differences - 2 * third as u64).collect();
    server.write(&new, |id| record(id, 1));
    server.post("/compact", "{\"older_than\":\"0s\"}");

    let begun = Instant::now();
    let report = replica.sync().unwrap();
    let repair = say(&format!("the repair of {differences} differences"), &meter, begun);
    assert_eq!(report.repairs, ["purged"]);
    println!("{report:?}");
    println!("the repair takes {:.4} of the first copy's bytes", repair as f64 / full as f64);
    let verdict = replica.verify(false, &mut |_| {}).unwrap();
    assert!(verdict.sound && verdict.same, "{verdict:?}");
    assert!(repair < 2_000_000 || records > 1_000_000, "a repair costs {repair} bytes");
}
