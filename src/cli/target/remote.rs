//! A server as a [`Target`], over HTTP as PROTOCOL.md has it.

use std::time::Duration;

use async_trait::async_trait;
use form_urlencoded::Serializer;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use tokio::sync::oneshot;
use ureq::http::{Method, Request, Response};
use ureq::{Agent, Body};

use super::wire::{self, Problem, unexpected};
use super::{CliError, Pushed, SpaceInfo, Target};
use crate::access::NewToken;
use crate::compactor::{Compacted, Order};
use crate::domain::access::TokenId;
use crate::domain::pull::{Page, Reason};
use crate::domain::push::Proposal;
use crate::domain::{
    ClientName, CollectionName, Collections, Cursor, QuotaChange, RecordId, Retention, RetentionPolicy, Rev, Since,
    SpaceName,
};
use crate::http::wire::quota::{self, SpaceQuota};
use crate::http::wire::retention::{ClientList, Known, Plan, RetentionState};
use crate::http::wire::stats::Stats;
use crate::http::wire::tokens::{IssuedToken, ListedToken, TokenList};
use crate::store::PolicyChange;

/// Where tokens are.
const TOKENS: &str = "/v1/tokens";
/// Records in a page, at the most; the server also bounds its bytes.
const PAGE: &str = "5000";
/// The longest answer that is read: many times a page of the server's.
const MAX_ANSWER: u64 = 512 << 20;
/// How often a request is made that the server turns away for the moment (429, 503).
const ATTEMPTS: u32 = 6;
/// The longest wait between two of them.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A server.
pub struct Remote {
    base: String,
    authorization: Option<String>,
    agent: Agent,
}

/// What came back: a status and a text.
struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    text: String,
}

impl Remote {
    /// A server at `url`. Nothing is sent yet.
    pub fn new(url: &str, token: Option<&str>) -> Result<Self, CliError> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            let message = format!("{url} is no address of a server: write it as http://127.0.0.1:7878");
            return Err(CliError::Usage(message));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(Duration::from_secs(120)))
            .user_agent(concat!("strandline/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            base: url.trim_end_matches('/').to_owned(),
            authorization: token.map(|token| format!("Bearer {token}")),
            agent: config.into(),
        })
    }

    /// Sends a request and answers the text of a success. `space` is the one it is about, for a 404.
    async fn send(
        &self,
        method: Method,
        space: Option<&SpaceName>,
        rest: &str,
        body: Option<String>,
    ) -> Result<String, CliError> {
        let place = space.map(|name| format!("/{name}")).unwrap_or_default();
        self.success(method, space, &format!("/v1/spaces{place}{rest}"), body).await
    }

    /// The same at any path.
    async fn success(
        &self,
        method: Method,
        space: Option<&SpaceName>,
        path: &str,
        body: Option<String>,
    ) -> Result<String, CliError> {
        let answer = self.exchange(method, path, body).await?;
        match answer.status {
            200..=299 => Ok(answer.text),
            status => Err(self.failure(status, &answer.text, space)),
        }
    }

    /// Sends a request, again where the server turns it away for the moment.
    async fn exchange(&self, method: Method, path: &str, body: Option<String>) -> Result<Answer, CliError> {
        let url = format!("{}{path}", self.base);
        let mut attempt = 1;
        loop {
            let answer = self.once(method.clone(), url.clone(), body.clone()).await?;
            if !matches!(answer.status, 429 | 503) || attempt == ATTEMPTS {
                return Ok(answer);
            }
            let wait = answer.retry_after.unwrap_or(Duration::from_millis(250) * 2u32.pow(attempt));
            tokio::time::sleep(wait.min(LONGEST_WAIT)).await;
            attempt += 1;
        }
    }

    async fn once(&self, method: Method, url: String, body: Option<String>) -> Result<Answer, CliError> {
        let (agent, base) = (self.agent.clone(), self.base.clone());
        let mut request = Request::builder().method(method).uri(&url).header("Accept", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let exchange = move || {
            let response = match body {
                Some(body) => agent.run(request.header("Content-Type", "application/json").body(body)?),
                None => agent.run(request.body(())?),
            };
            read(response?)
        };
        let (told, heard) = oneshot::channel();
        // A thread of its own: at the end of this program the runtime would wait for one of its, and so for a server that
        // does not answer.
        std::thread::spawn(move || told.send(exchange()));
        let answer = heard.await.map_err(|_| CliError::Failed("a part of this program stopped".into()))?;
        answer.map_err(|error| {
            CliError::Failed(format!("the server at {base} cannot be reached ({error}): is it running there?"))
        })
    }

    /// A sentence for an answer that is no success.
    fn failure(&self, status: u16, text: &str, space: Option<&SpaceName>) -> CliError {
        let problem: Problem = serde_json::from_str(text).unwrap_or_default();
        let said = problem.sentence().map_or_else(|| format!("status {status}"), ToOwned::to_owned);
        match (status, space) {
            (401, _) => CliError::Failed(format!("the server asks for a token: set STRANDLINE_TOKEN ({said})")),
            (403, _) if problem.code == "quota_exceeded" => CliError::OverQuota(said),
            (403, _) => CliError::Failed(format!("the token does not reach that far: {said}")),
            (404, Some(space)) if problem.code == "not_found" => CliError::NoSpace(space.clone()),
            (404, _) => unexpected(format_args!("status 404 at {}", self.base)),
            (410, _) => CliError::Resync(problem.reason().unwrap_or(Reason::Purged)),
            (413, _) => CliError::TooLarge(said),
            (429 | 503, _) => CliError::Failed(format!("the server is too busy: try again later ({said})")),
            (507, _) => CliError::Failed(format!("the server's disk is full: make room and run this again ({said})")),
            _ => CliError::Failed(format!("the server answered {status}: {said}")),
        }
    }
}

fn read(mut response: Response<Body>) -> Result<Answer, ureq::Error> {
    let seconds = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    Ok(Answer {
        status: response.status().as_u16(),
        retry_after: seconds.map(Duration::from_secs),
        text: response.body_mut().with_config().limit(MAX_ANSWER).read_to_string()?,
    })
}

fn parse<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, CliError> {
    serde_json::from_str(text).map_err(unexpected)
}

/// A path with the size of a page and other parameters.
fn paged(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("limit", PAGE);
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    format!("{path}?{}", query.finish())
}

/// The query parameter of `since`; none for an initial sync.
fn since_text(since: Since) -> Option<String> {
    match since {
        Since::Nothing => None,
        Since::Now => Some("now".into()),
        Since::Rev(rev) => Some(rev.to_string()),
        Since::Time(time) => Some(time.to_string()),
        Since::Cursor(cursor) => Some(cursor.to_string()),
    }
}

#[async_trait]
impl Target for Remote {
    async fn spaces(&self) -> Result<Vec<SpaceInfo>, CliError> {
        let mut all = Vec::new();
        let mut query = String::new();
        loop {
            let text = self.send(Method::GET, None, &query, None).await?;
            let page: wire::Spaces = parse(&text)?;
            all.extend(page.spaces);
            match page.after {
                Some(after) => query = format!("?after={after}"),
                None => return Ok(all),
            }
        }
    }

    async fn space(&self, name: &SpaceName) -> Result<SpaceInfo, CliError> {
        parse(&self.send(Method::GET, Some(name), "", None).await?)
    }

    async fn create(&self, name: &SpaceName, retention: Option<Retention>) -> Result<SpaceInfo, CliError> {
        let body = match retention {
            Some(retention) => format!("{{\"retention\":\"{retention}\"}}"),
            None => "{}".into(),
        };
        parse(&self.send(Method::PUT, Some(name), "", Some(body)).await?)
    }

    async fn delete(&self, name: &SpaceName) -> Result<(), CliError> {
        self.send(Method::DELETE, Some(name), "", None).await.map(drop)
    }

    async fn retention(&self, name: &SpaceName) -> Result<RetentionPolicy, CliError> {
        parse::<wire::Policy>(&self.send(Method::GET, Some(name), "/retention", None).await?)?.into_policy()
    }

    async fn set_retention(&self, name: &SpaceName, change: PolicyChange) -> Result<RetentionPolicy, CliError> {
        let body = wire::policy_body(change);
        parse::<wire::Policy>(&self.send(Method::PUT, Some(name), "/retention", Some(body)).await?)?.into_policy()
    }

    async fn quota(&self, name: &SpaceName) -> Result<SpaceQuota, CliError> {
        parse(&self.send(Method::GET, Some(name), "/quota", None).await?)
    }

    async fn set_quota(&self, name: &SpaceName, change: QuotaChange) -> Result<SpaceQuota, CliError> {
        parse(&self.send(Method::PUT, Some(name), "/quota", Some(quota::body(change))).await?)
    }

    async fn plan(&self, name: &SpaceName, windows: &[Retention]) -> Result<Plan, CliError> {
        let windows: Vec<String> = windows.iter().map(ToString::to_string).collect();
        let path = format!("/retention/plan?windows={}", windows.join(","));
        parse(&self.send(Method::GET, Some(name), &path, None).await?)
    }

    async fn explain(&self, name: &SpaceName) -> Result<RetentionState, CliError> {
        parse(&self.send(Method::GET, Some(name), "/retention/state", None).await?)
    }

    async fn stats(&self, name: &SpaceName) -> Result<Stats, CliError> {
        parse(&self.send(Method::GET, Some(name), "/stats", None).await?)
    }

    async fn clients(&self, name: &SpaceName) -> Result<Vec<Known>, CliError> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let path = paged("/clients", &[("after", after)]);
            let page: ClientList = parse(&self.send(Method::GET, Some(name), &path, None).await?)?;
            all.extend(page.clients);
            match page.after {
                Some(last) => after = Some(last),
                None => return Ok(all),
            }
        }
    }

    async fn forget_client(&self, name: &SpaceName, client: &ClientName) -> Result<bool, CliError> {
        // Asked first: one and the same 404 says that there is no such space, or no such client.
        self.space(name).await?;
        let path = format!("/clients/{}", utf8_percent_encode(client.as_str(), NON_ALPHANUMERIC));
        match self.send(Method::DELETE, Some(name), &path, None).await {
            Ok(_) => Ok(true),
            Err(CliError::NoSpace(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn issue_token(&self, new: NewToken) -> Result<IssuedToken, CliError> {
        let expires = new.lifetime.map_or("forever".into(), |lifetime| format!("{}s", lifetime.as_secs()));
        let body = json!({ "name": new.name.as_str(), "grants": new.grants.all(), "expires": expires });
        parse(&self.success(Method::POST, None, TOKENS, Some(body.to_string())).await?)
    }

    async fn tokens(&self) -> Result<Vec<ListedToken>, CliError> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let path = format!("{TOKENS}{}", paged("", &[("after", after)]));
            let page: TokenList = parse(&self.success(Method::GET, None, &path, None).await?)?;
            all.extend(page.tokens);
            match page.after {
                Some(last) => after = Some(last),
                None => return Ok(all),
            }
        }
    }

    async fn revoke_token(&self, id: &TokenId) -> Result<bool, CliError> {
        let answer = self.exchange(Method::DELETE, &format!("{TOKENS}/{id}"), None).await?;
        match answer.status {
            200..=299 => Ok(true),
            404 => Ok(false),
            status => Err(self.failure(status, &answer.text, None)),
        }
    }

    fn database_bytes(&self) -> Option<u64> {
        None
    }

    async fn compact(&self, name: &SpaceName, order: Order) -> Result<Compacted, CliError> {
        let Order { older_than, force, dry_run } = order;
        let older_than = older_than.map(|age| format!("\"older_than\":\"{age}\",")).unwrap_or_default();
        let body = format!("{{{older_than}\"force\":{force},\"dry_run\":{dry_run}}}");
        let text = self.send(Method::POST, Some(name), "/compact", Some(body)).await?;
        parse::<wire::Compaction>(&text)?.into_compacted()
    }

    async fn pull(&self, space: &SpaceName, since: Since, collections: Option<&Collections>) -> Result<Page, CliError> {
        let since = since_text(since);
        let path = paged("/changes", &[("since", since), ("collections", collections.map(ToString::to_string))]);
        let text = self.send(Method::GET, Some(space), &path, None).await?;
        parse::<wire::WirePage<'_>>(&text)?.into_page()
    }

    async fn push(&self, space: &SpaceName, changes: &[Proposal], cursor: Option<Cursor>) -> Result<Pushed, CliError> {
        let body = wire::push_body(changes, cursor);
        let text = self.send(Method::POST, Some(space), "/push", Some(body)).await?;
        let answer: wire::WirePushed = parse(&text)?;
        if answer.results.len() != changes.len() {
            return Err(unexpected("a push with another number of results than changes"));
        }
        let results = answer.results.into_iter().map(wire::WireResult::into_pushing).collect::<Result<_, _>>()?;
        Ok(Pushed { results, head: Rev::new(answer.head).map_err(unexpected)? })
    }

    async fn live_ids(
        &self,
        space: &SpaceName,
        collection: &CollectionName,
        after: Option<RecordId>,
    ) -> Result<(Vec<RecordId>, Option<RecordId>), CliError> {
        let after = after.map(|id| id.as_str().to_owned());
        let path = paged(&format!("/records/{collection}"), &[("after", after)]);
        let text = self.send(Method::GET, Some(space), &path, None).await?;
        let list: wire::WireList = parse(&text)?;
        let id = |text: String| RecordId::new(text).map_err(unexpected);
        let ids = list.records.into_iter().map(|named| id(named.id)).collect::<Result<_, _>>()?;
        Ok((ids, list.after.map(id).transpose()?))
    }

    async fn close(&self) {}
}
