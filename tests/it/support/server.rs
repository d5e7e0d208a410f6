//! A server on a port of its own with a database and a clock of its own, gone when the test is.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use strandline::access::{JwtOptions, Jwts, Keyring};
use strandline::domain::{Clock, ManualClock, Timestamp};
use strandline::feed::Feed;
use strandline::server::{self, Config};
use strandline::store::{self, DatabaseUrl, Store, StoreOptions};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Home, Trouble};

/// 2026-11-22T20:00:00Z
const NOON: Timestamp = Timestamp::from_micros(1_795_377_600_000_000);

pub struct Server {
    pub address: SocketAddr,
    pub clock: Arc<ManualClock>,
    pub store: Arc<dyn Store>,
    client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<std::io::Result<()>>>,
    home: Home,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(Config::default()).await
    }

    pub async fn start_with(config: Config) -> Self {
        Self::start_on(config, StoreOptions::default()).await
    }

    /// Over a store with these options, but for its clock and its feed.
    pub async fn start_on(config: Config, options: StoreOptions) -> Self {
        Self::start_as(config, options, None).await
    }

    /// Where JWTs open the door.
    pub async fn start_for(jwt: JwtOptions) -> Self {
        let jwts = Jwts::new(jwt).await.unwrap();
        Self::start_as(Config::default(), StoreOptions::default(), jwts).await
    }

    async fn start_as(config: Config, options: StoreOptions, jwts: Option<Jwts>) -> Self {
        let (clock, feed) = (Arc::new(ManualClock::new(NOON)), Feed::default());
        let home = Home::new();
        let options = StoreOptions { clock: Arc::clone(&clock) as _, feed: feed.clone(), ..options };
        let store = store::open(&home.url(), options).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let config = Config { workers: config.workers.or(Some(1)), ..config };
        let ticking: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let shutdown = async {
            // A test that ends without a word ends its server too.
            let _ = stopped.await;
        };
        let keyring = Keyring::new(Arc::clone(&store), Arc::clone(&ticking), jwts).await.unwrap();
        let run =
            server::run(vec![listener], config, Arc::new(keyring), Arc::clone(&store), feed.clone(), ticking, shutdown);
        let serving = Some(tokio::spawn(run));
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { address, clock, store, client, stop: Some(stop), serving, home }
    }

    /// Seconds since 1970 by its clock.
    pub fn now(&self) -> i64 {
        self.clock.now().seconds()
    }

    /// The bytes of its database as they lie on the disk; none where that is no file.
    pub fn raw_database(&self) -> Vec<u8> {
        let DatabaseUrl::Sqlite(path) = self.home.url() else { return Vec::new() };
        let wal = path.with_file_name(format!("{}-wal", path.file_name().unwrap().to_str().unwrap()));
        [std::fs::read(path).unwrap(), std::fs::read(wal).unwrap_or_default()].concat()
    }

    /// Stops it in order, and waits for that.
    pub async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.serving.take().unwrap().await.unwrap().unwrap();
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
        let response = self.request(method, path, headers, body.into()).send().await.unwrap();
        Answer::of(response).await.unwrap()
    }

    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_empty() { request } else { request.body(body) }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string()).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &[("content-type", "application/json")], body.to_string()).await
    }

    /// Writes `todos/{id}` in the space `demo`, whatever is there. Its revision.
    pub async fn write(&self, id: &str, data: &Value) -> u64 {
        self.write_in("todos", id, data).await
    }

    pub async fn write_in(&self, collection: &str, id: &str, data: &Value) -> u64 {
        self.push_one(json!({"collection": collection, "id": id, "base_rev": "*", "data": data})).await
    }

    /// Deletes `todos/{id}` in the space `demo`, whatever is there. Its revision.
    pub async fn delete(&self, id: &str) -> u64 {
        self.push_one(json!({"collection": "todos", "id": id, "base_rev": "*", "deleted": true})).await
    }

    async fn push_one(&self, change: Value) -> u64 {
        let answer = self.post("/v1/spaces/demo/push", &json!({"changes": [change]})).await;
        answer.json()["results"][0]["rev"].as_u64().unwrap_or_else(|| panic!("not applied: {}", answer.text()))
    }

    /// Writes `count` records `r00001`, … in pushes of 1,000.
    pub async fn fill(&self, count: usize) {
        let ids: Vec<usize> = (1..=count).collect();
        for ids in ids.chunks(1000) {
            let change = |id: &usize| json!({"collection": "todos", "id": format!("r{id:05}"), "data": {"n": id}});
            let changes: Vec<Value> = ids.iter().map(change).collect();
            let answer = self.post("/v1/spaces/demo/push", &json!({"changes": changes})).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }

    /// Purges every tombstone of `demo`. The horizon.
    pub async fn purge(&self) -> u64 {
        let answer = self.post("/v1/spaces/demo/compact", &json!({"older_than": "0s"})).await;
        answer.json()["horizon"].as_u64().unwrap()
    }

    /// The present cursor of `demo`.
    pub async fn cursor(&self) -> String {
        self.get("/v1/spaces/demo").await.json()["cursor"].as_str().unwrap().into()
    }

    pub async fn events(&self, path: &str, headers: &[(&str, &str)]) -> EventStream {
        let headers = [&[("accept", "text/event-stream")], headers].concat();
        let response = self.request("GET", path, &headers, Vec::new()).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        EventStream { chunks: response.bytes_stream().boxed(), text: String::new() }
    }

    /// Sends bytes as they are and reads until the server closes the connection.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let (address, bytes) = (self.address, bytes.to_vec());
        let exchange = move || {
            let mut socket = TcpStream::connect(address).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            socket.write_all(&bytes).unwrap();
            let mut answer = Vec::new();
            socket.read_to_end(&mut answer).unwrap();
            String::from_utf8_lossy(&answer).into_owned()
        };
        tokio::task::spawn_blocking(exchange).await.unwrap()
    }

    /// The answer to a request line, without what an HTTP library would do to its path.
    pub async fn raw_request(&self, method: &str, target: &str) -> String {
        self.raw(format!("{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await
    }
}

/// What a server answered.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads it to its end, which does not come when the server goes away.
    pub async fn of(response: reqwest::Response) -> reqwest::Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, body: response.bytes().await?.to_vec() })
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The answer, unless the server has no database at present.
    pub fn ready(self) -> Result<Self, Trouble> {
        if self.status == 503 { Err(Trouble::Lost(self.text())) } else { Ok(self) }
    }

    /// The JSON of an answer that has this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// The JSON lines.
    pub fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Asserts that this is the problem `code`, in every respect in which all problems are alike. Its members.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["type"], format!("urn:strandline:problem:{code}"));
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        problem
    }

    /// [`Self::problem`], and its detail mentions `words`.
    #[track_caller]
    pub fn problem_about(&self, status: u16, code: &str, words: &str) {
        let problem = self.problem(status, code);
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem} does not mention {words}");
    }
}

/// A stream of server-sent events.
pub struct EventStream {
    chunks: futures_util::stream::BoxStream<'static, reqwest::Result<actix_web::web::Bytes>>,
    text: String,
}

impl EventStream {
    /// The next event as (event, id, data); `None` when the server closed the stream. Comments are passed over.
    pub async fn next(&mut self) -> Option<(String, String, Value)> {
        self.next_within(Duration::from_secs(10)).await
    }

    /// The same, with more patience.
    pub async fn next_within(&mut self, limit: Duration) -> Option<(String, String, Value)> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                if let Some(data) = field("data: ") {
                    let event = field("event: ").unwrap_or_default();
                    return Some((event, field("id: ").unwrap_or_default(), serde_json::from_str(&data).unwrap()));
                }
                assert!(block.starts_with(':'), "neither an event nor a comment: {block:?}");
            }
            match tokio::time::timeout(limit, self.chunks.next()).await.expect("an event in time") {
                Some(chunk) => self.text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap()),
                None => return None,
            }
        }
    }

    /// The next event, which must be a page.
    pub async fn page(&mut self) -> Value {
        let (event, id, data) = self.next().await.expect("the stream goes on");
        assert_eq!(event, "changes");
        assert_eq!(data["cursor"], *id);
        data
    }

    /// Whether nothing comes for a while.
    pub async fn is_quiet(&mut self) -> bool {
        assert!(self.text.is_empty(), "{}", self.text);
        tokio::time::timeout(Duration::from_millis(300), self.chunks.next()).await.is_err()
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 3).unwrap()
}
