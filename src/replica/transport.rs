//! How requests reach the server. [`Http`] is what one has; an app with a network stack of its own brings that.

use std::time::Duration;

use ureq::http::{self, HeaderMap, HeaderValue, Uri};
use ureq::{Agent, Body};

use super::ReplicaError;
use crate::domain::SpaceName;

/// The longest answer that is read: many times a page of the server's.
const MAX_ANSWER: u64 = 512 << 20;
/// How long nothing may come. The server holds a long poll for a minute at the most.
const PATIENCE: Duration = Duration::from_secs(90);

/// A request to the replica's space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Path and query below the space, such as `/changes?limit=5000`.
    pub path: String,
    /// The body of a POST, as JSON; without it the request is a GET.
    pub body: Option<String>,
    /// The header `If-None-Match`.
    pub if_none_match: Option<String>,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The header `ETag`.
    pub etag: Option<String>,
    /// The header `Retry-After`, where it is a number of seconds.
    pub retry_after: Option<Duration>,
    /// The body, expanded.
    pub body: Vec<u8>,
}

/// A way to the server. Every request carries the replica's name as `Strandline-Client`, and `Accept: application/json`.
pub trait Transport: Send + Sync {
    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    /// A sentence, when there is no answer. The server may have carried the request out nevertheless.
    fn send(&self, client: &str, request: &Request) -> Result<Response, String>;
}

/// HTTP, with compressed answers and connections that are kept.
pub struct Http {
    space: String,
    authorization: Option<String>,
    agent: Agent,
}

impl Http {
    /// The space at `url`, such as `http://127.0.0.1:7878`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ReplicaError::Address`], [`ReplicaError::Token`].
    pub fn new(url: &str, space: &SpaceName, token: Option<&str>) -> Result<Self, ReplicaError> {
        // What cannot be sent is said here: later it would look like a network that fails.
        let of_http = url.starts_with("http://") || url.starts_with("https://");
        let space = format!("{}/v1/spaces/{space}", url.trim_end_matches('/'));
        if !of_http || space.parse::<Uri>().is_err() {
            return Err(ReplicaError::Address(url.to_owned()));
        }
        let authorization = token.map(|token| format!("Bearer {token}"));
        if authorization.as_ref().is_some_and(|text| HeaderValue::from_str(text).is_err()) {
            return Err(ReplicaError::Token);
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(PATIENCE))
            // A network that was left may never say so.
            .timeout_per_read(Some(PATIENCE))
            .timeout_per_write(Some(PATIENCE))
            .user_agent(concat!("strandline/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { space, authorization, agent: config.into() })
    }
}

impl Transport for Http {
    fn send(&self, client: &str, request: &Request) -> Result<Response, String> {
        let method = if request.body.is_some() { http::Method::POST } else { http::Method::GET };
        let mut message = http::Request::builder()
            .method(method)
            .uri(format!("{}{}", self.space, request.path))
            .header("Accept", "application/json")
            .header("Strandline-Client", client);
        if let Some(authorization) = &self.authorization {
            message = message.header("Authorization", authorization);
        }
        if let Some(etag) = &request.if_none_match {
            message = message.header("If-None-Match", etag);
        }
        let response = match &request.body {
            Some(body) => self
                .agent
                .run(message.header("Content-Type", "application/json").body(body).map_err(|error| error.to_string())?),
            None => self.agent.run(message.body(()).map_err(|error| error.to_string())?),
        };
        read(response.map_err(|error| error.to_string())?)
    }
}

fn read(mut response: http::Response<Body>) -> Result<Response, String> {
    let text = |headers: &HeaderMap, name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let etag = text(response.headers(), http::header::ETAG);
    let retry_after = text(response.headers(), http::header::RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
    let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(|error| error.to_string())?;
    Ok(Response { status: response.status().as_u16(), etag, retry_after: retry_after.map(Duration::from_secs), body })
}
