//! HTTP to one space of a server that may come and go, with every byte of the bodies counted.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use super::{Answer, Place, Trouble};

pub struct Link {
    client: Client,
    place: Place,
    space: String,
    /// Sent with every request, as `Strandline-Client`.
    pub name: Option<String>,
    /// Bytes of bodies, in both directions, as they went over the wire.
    pub bytes: usize,
}

/// A body that arrives in pieces, each ending with `mark`.
pub struct Pieces {
    chunks: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    mark: &'static [u8],
    held: Vec<u8>,
    searched: usize,
    /// Bytes that came so far.
    pub bytes: usize,
}

impl Link {
    pub fn new(place: Place, space: &str) -> Self {
        // A server that says nothing for so long is stuck: even the live feed sends comments.
        let client = Client::builder().no_proxy().read_timeout(Duration::from_secs(30)).build().unwrap();
        Self { client, place, space: space.to_owned(), name: None, bytes: 0 }
    }

    /// Another one to the same place, with connections of its own.
    pub fn again(&self) -> Self {
        Self::new(self.place.clone(), &self.space)
    }

    /// Waits for a server to be there.
    async fn request(&mut self, method: Method, rest: &str) -> RequestBuilder {
        let address = self.place.wait_for(Option::is_some).await.expect("the test goes on").unwrap();
        let request = self.client.request(method, format!("http://{address}/v1/spaces/{}{rest}", self.space));
        match &self.name {
            Some(name) => request.header("strandline-client", name),
            None => request,
        }
    }

    pub async fn get(&mut self, rest: &str) -> Result<Answer, Trouble> {
        let request = self.request(Method::GET, rest).await;
        self.send(request).await
    }

    pub async fn post(&mut self, rest: &str, body: &Value) -> Result<Answer, Trouble> {
        self.write(Method::POST, rest, body).await
    }

    pub async fn put(&mut self, rest: &str, body: &Value) -> Result<Answer, Trouble> {
        self.write(Method::PUT, rest, body).await
    }

    async fn write(&mut self, method: Method, rest: &str, body: &Value) -> Result<Answer, Trouble> {
        let body = body.to_string();
        self.bytes += body.len();
        let request = self.request(method, rest).await.header("content-type", "application/json").body(body);
        self.send(request).await
    }

    async fn send(&mut self, request: RequestBuilder) -> Result<Answer, Trouble> {
        let answer = Answer::of(request.send().await?).await?;
        self.bytes += answer.body.len();
        if answer.status == 410 { Err(Trouble::Resync(answer.json())) } else { Ok(answer) }
    }

    /// Opens the live feed.
    pub async fn events(&mut self, rest: &str) -> Result<Pieces, Trouble> {
        let request = self.request(Method::GET, rest).await;
        Self::open(request, "text/event-stream", b"\n\n").await
    }

    /// Opens a stream of lines.
    pub async fn lines(&mut self, rest: &str) -> Result<Pieces, Trouble> {
        let request = self.request(Method::GET, rest).await;
        Self::open(request, "application/x-ndjson", b"\n").await
    }

    /// Opens the stream of lines that answers `body`.
    pub async fn post_for_lines(&mut self, rest: &str, body: &Value) -> Result<Pieces, Trouble> {
        let body = body.to_string();
        self.bytes += body.len();
        let request = self.request(Method::POST, rest).await.header("content-type", "application/json").body(body);
        Self::open(request, "application/x-ndjson", b"\n").await
    }

    async fn open(request: RequestBuilder, accept: &str, mark: &'static [u8]) -> Result<Pieces, Trouble> {
        let response = request.header("accept", accept).send().await?;
        if response.status() == 410 {
            return Err(Trouble::Resync(serde_json::from_slice(&response.bytes().await?).unwrap()));
        }
        if response.status() == 503 {
            return Err(Trouble::Lost(response.text().await?));
        }
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], accept);
        Ok(Pieces { chunks: response.bytes_stream().boxed(), mark, held: Vec::new(), searched: 0, bytes: 0 })
    }
}

impl Pieces {
    /// The next piece without its mark; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Trouble> {
        loop {
            let unsearched = &self.held[self.searched..];
            if let Some(at) = unsearched.windows(self.mark.len()).position(|window| window == self.mark) {
                let rest = self.held.split_off(self.searched + at + self.mark.len());
                let mut piece = std::mem::replace(&mut self.held, rest);
                self.searched = 0;
                piece.truncate(piece.len() - self.mark.len());
                return Ok(Some(piece));
            }
            self.searched = self.held.len().saturating_sub(self.mark.len() - 1);
            let Some(chunk) = self.chunks.next().await else { return Ok(None) };
            let chunk = chunk?;
            self.bytes += chunk.len();
            self.held.extend_from_slice(&chunk);
        }
    }
}
