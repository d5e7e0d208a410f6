//! A real server behind a real listener, which can be put back from a backup, and a transport to it that can be cut.

use std::net::TcpListener;
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strandline::access::Keyring;
use strandline::domain::{Clock, ManualClock, SpaceName, Timestamp};
use strandline::feed::Feed;
use strandline::replica::{Http, Request, Response, Transport};
use strandline::server::{self, Config};
use strandline::store::{self, Store, StoreOptions};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::scenario::Cut;
use crate::support::{Backup, Home};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
const BEGINNING: Timestamp = Timestamp::from_micros(1_795_377_600_000_000);

pub struct Server {
    running: Option<Running>,
    line: Arc<Line>,
    backups: Vec<Backup>,
    /// After the server.
    home: Home,
    clock: Arc<ManualClock>,
}

struct Running {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<std::io::Result<()>>,
    store: Weak<dyn Store>,
}

/// The way to the server that is there at present.
#[derive(Default)]
pub struct Line(Mutex<Option<Arc<Http>>>);

impl Line {
    fn http(&self) -> Arc<Http> {
        self.0.lock().unwrap().clone().unwrap()
    }
}

impl Server {
    pub fn new() -> Self {
        let clock = Arc::new(ManualClock::new(BEGINNING));
        let mut server = Self { running: None, line: Arc::default(), backups: Vec::new(), home: Home::quick(), clock };
        server.start();
        server
    }

    pub fn line(&self) -> Arc<Line> {
        Arc::clone(&self.line)
    }

    fn start(&mut self) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let (clock, feed) = (Arc::clone(&self.clock), Feed::default());
        let options =
            StoreOptions { clock: Arc::clone(&clock) as _, feed: feed.clone(), readers: 1, ..StoreOptions::default() };
        let store = RUNTIME.block_on(store::open(&self.home.url(), options)).unwrap();
        let held = Arc::downgrade(&store);
        let config = Config { workers: Some(1), ..Config::default() };
        let ticking: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let keyring = RUNTIME.block_on(Keyring::new(Arc::clone(&store), ticking, None)).unwrap();
        let run = server::run(vec![listener], config, Arc::new(keyring), store, feed, clock, async {
            let _ = stopped.await;
        });
        self.running = Some(Running { stop, ended: RUNTIME.spawn(run), store: held });
        let http = Http::new(&format!("http://{address}"), &space(), None).unwrap();
        *self.line.0.lock().unwrap() = Some(Arc::new(http));
    }

    fn stop(&mut self) {
        // With its connections, for which the server would wait.
        *self.line.0.lock().unwrap() = None;
        if let Some(Running { stop, ended, store }) = self.running.take() {
            let _ = stop.send(());
            RUNTIME.block_on(ended).unwrap().unwrap();
            // The last of its threads lets go of the store a moment after it is closed.
            let begun = Instant::now();
            while store.strong_count() > 0 {
                assert!(begun.elapsed() < Duration::from_secs(10), "a store that is closed is still in use");
                std::thread::yield_now();
            }
        }
    }

    pub fn back_up(&mut self) {
        self.backups.push(RUNTIME.block_on(self.home.back_up()).expect("a file"));
    }

    pub fn restore(&mut self, backup: usize) -> bool {
        if self.backups.is_empty() {
            return false;
        }
        self.stop();
        self.home.put_back(&self.backups[backup % self.backups.len()]);
        self.start();
        true
    }

    fn ask(&self, path: &str, body: Option<&Value>) -> Response {
        let request = Request { path: path.into(), body: body.map(Value::to_string), if_none_match: None };
        self.line.http().send("stranger", &request).unwrap()
    }

    /// A write that nobody refuses; what the server says of it.
    pub fn write(&self, collection: &str, id: &str, data: Option<&Value>) -> Value {
        let mut change = json!({"collection": collection, "id": id, "base_rev": "*"});
        match data {
            Some(data) => change["data"] = data.clone(),
            None => change["deleted"] = true.into(),
        }
        let answer = self.ask("/push", Some(&json!({"changes": [change]})));
        assert_eq!(answer.status, 200);
        serde_json::from_slice(&answer.body).unwrap()
    }

    pub fn purge(&self) {
        assert!(matches!(self.ask("/compact", Some(&json!({"older_than": "0s"}))).status, 200 | 404));
    }

    /// All live records; none where there is no space.
    pub fn live(&self) -> Vec<Value> {
        let answer = self.ask("/changes?limit=10000", None);
        if answer.status == 404 {
            return Vec::new();
        }
        let page: Value = serde_json::from_slice(&answer.body).unwrap();
        page["changes"].as_array().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

pub fn space() -> SpaceName {
    "demo".parse().unwrap()
}

/// A device's connection, which may be cut, and which remembers what the server took.
pub struct Wire {
    line: Arc<Line>,
    state: Mutex<State>,
}

pub type Happening = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    cut: Option<Cut>,
    requests: u8,
    /// What happens just before the request of this number arrives.
    meanwhile: Option<(u8, Happening)>,
    /// Pushes and their answers, those that were lost too.
    pushes: Vec<(Value, Value)>,
}

impl Wire {
    pub fn new(line: Arc<Line>) -> Self {
        Self { line, state: Mutex::default() }
    }

    /// Prepares for a sync.
    pub fn begin(&self, cut: Option<Cut>, meanwhile: Option<(u8, Happening)>) {
        let mut state = self.state.lock().unwrap();
        (state.cut, state.requests, state.meanwhile) = (cut, 0, meanwhile);
    }

    pub fn pushes(&self) -> Vec<(Value, Value)> {
        std::mem::take(&mut self.state.lock().unwrap().pushes)
    }
}

impl Transport for Wire {
    fn send(&self, client: &str, request: &Request) -> Result<Response, String> {
        let (cut, number, meanwhile) = {
            let mut state = self.state.lock().unwrap();
            let number = state.requests;
            state.requests += 1;
            (state.cut, number, state.meanwhile.take_if(|(at, _)| *at == number))
        };
        if let Some((_, act)) = meanwhile {
            act();
        }
        match cut {
            Some(Cut::Before(at)) if at == number => return Err("cut before".into()),
            Some(Cut::Busy(at)) if at == number => return Ok(Response { status: 503, ..Response::default() }),
            _ => {}
        }
        let response = self.line.http().send(client, request)?;
        if request.path == "/push" && response.status == 200 {
            let push = serde_json::from_str(request.body.as_ref().unwrap()).unwrap();
            self.state.lock().unwrap().pushes.push((push, serde_json::from_slice(&response.body).unwrap()));
        }
        match cut {
            Some(Cut::After(at)) if at == number => Err("cut after".into()),
            _ => Ok(response),
        }
    }
}
