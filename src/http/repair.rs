//! Repair: the manifest, and fetching what is missing (PROTOCOL.md §6).

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;

use super::accept::{self, JSON, NDJSON};
use super::access::Lease;
use super::extract::{InSpace, TakesJson};
use super::limits::{STREAM_BYTES, STREAM_ROWS};
use super::metrics::Via;
use super::problem::Problem;
use super::wire::{self, page, schema, write};
use super::{Api, answer, body, query, throttle};
use crate::domain::repair::{FetchRequest, ManifestRequest};
use crate::domain::{Rev, Runs};
use crate::store::StoreError;

/// Runs handed to the store at a time when records are streamed: each step copies them.
const RUNS_A_STEP: usize = 2_048;

/// The exact set of live revisions.
#[utoipa::path(
    get, path = "/v1/spaces/{space}/manifest", operation_id = "readManifest", tag = "repair",
    params(schema::SpacePath, schema::ManifestQuery, schema::ClientHeader),
    responses(
        (status = 200, description = "The set, as runs", body = schema::Manifest),
        schema::Refusals, schema::UnknownSpace, schema::NoAcceptableForm,
    ),
)]
pub async fn manifest(
    req: HttpRequest,
    at: InSpace,
    _: TakesJson,
    api: web::Data<Api>,
) -> Result<HttpResponse, Problem> {
    let [collections, from, to] = query::read(req.query_string(), ["collections", "from", "to"])?;
    let (from, to) = (bound("from", from.as_deref())?, bound("to", to.as_deref())?);
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(Problem::invalid("from must not be above to"));
    }
    let collections = at.reading(query::collections(collections.as_deref())?)?;
    let manifest = api.store.manifest(ManifestRequest { space: at.space, collections, from, to }).await?;
    let body = wire::repair::manifest(&manifest);
    api.metrics.count_manifest(body.len());
    Ok(answer::json(StatusCode::OK).body(body))
}

fn bound(name: &str, value: Option<&str>) -> Result<Option<Rev>, Problem> {
    value.map(str::parse).transpose().map_err(|fault| Problem::invalid(format!("{name}: {fault}")))
}

/// The live records that have given revisions.
#[utoipa::path(
    post, path = "/v1/spaces/{space}/fetch", operation_id = "fetchRecords", tag = "repair",
    params(schema::SpacePath, schema::ClientHeader),
    request_body(content = schema::Fetch, description = "The revisions; gzip and zstd are accepted as Content-Encoding"),
    responses(
        (status = 200, description = "A page, or all of them as lines, by `Accept`", content(
            (schema::Fetched = "application/json"), (schema::FetchLine = "application/x-ndjson"))),
        schema::Refusals, schema::UnknownSpace, schema::NoAcceptableForm, schema::BodyRefusals,
    ),
)]
pub async fn fetch(
    req: HttpRequest,
    at: InSpace,
    api: web::Data<Api>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    let form = accept::choose(req.headers(), [JSON, NDJSON])?;
    let space = at.space.clone();
    let parse = move |text: &str| wire::repair::parse_fetch(text, space);
    let (mut request, has_limit) = body::read_json(&req, payload, api.limits.push_bytes, parse).await?;
    request.collections = at.reading(request.collections)?;
    if form == JSON {
        let fetched = api.store.fetch(request).await?;
        let body = wire::repair::fetched(&fetched);
        api.metrics.count_fetch();
        api.metrics.count_sent(Via::Fetch, fetched.changes.len(), body.len());
        return Ok(varied(answer::json(StatusCode::OK)).body(body));
    }
    if has_limit {
        return Err(Problem::invalid("limit is for pages: a stream of lines has no limit"));
    }
    lines(&req, &api, request).await
}

fn varied(mut response: actix_web::HttpResponseBuilder) -> actix_web::HttpResponseBuilder {
    response.insert_header((header::VARY, HeaderValue::from_static("accept")));
    response
}

/// The records as lines, read step by step as the socket takes them.
struct Records {
    api: Arc<Api>,
    /// The present step; its runs are a part of those asked for.
    request: FetchRequest,
    /// All runs asked for, the place where those of the next step begin, and the revision before it.
    runs: Runs,
    place: usize,
    end: u64,
    first: Option<Vec<u8>>,
    count: u64,
    done: bool,
    lease: Lease,
    _open: throttle::Stream,
}

async fn lines(req: &HttpRequest, api: &web::Data<Api>, request: FetchRequest) -> Result<HttpResponse, Problem> {
    let open = api.throttle.stream(req, api)?;
    let runs = request.runs.clone();
    let request = FetchRequest { runs: Runs::default(), limit: STREAM_ROWS, max_bytes: STREAM_BYTES, ..request };
    let mut records = Records {
        api: Arc::clone(api),
        request,
        runs,
        place: 0,
        end: 0,
        first: None,
        count: 0,
        done: false,
        lease: Lease::of(req, api),
        _open: open,
    };
    records.advance();
    // The first step is taken here, so that an unknown space has its proper status.
    records.first = Some(records.read().await?);
    api.metrics.count_fetch();
    let mut response = varied(answer::revalidated(StatusCode::OK));
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(NDJSON)));
    Ok(response.streaming(stream::try_unfold(records, step)))
}

async fn step(mut records: Records) -> Result<Option<(Bytes, Records)>, Problem> {
    let lines = match records.first.take() {
        Some(first) => first,
        None if records.done => return Ok(None),
        None if records.lease.has_ended() => return Err(Lease::refusal()),
        None => records.read().await?,
    };
    Ok(Some((Bytes::from(lines), records)))
}

impl Records {
    /// The next lines; the last one behind the last records.
    async fn read(&mut self) -> Result<Vec<u8>, StoreError> {
        let api = Arc::clone(&self.api);
        let _turn = api.throttle.step().await;
        let fetched = api.store.fetch(self.request.clone()).await?;
        let mut out = Vec::with_capacity(64 + page::size(&fetched.changes));
        page::lines(&mut out, &fetched.changes);
        self.api.metrics.count_sent(Via::Fetch, fetched.changes.len(), out.len());
        self.count += fetched.changes.len() as u64;
        match fetched.next {
            Some(next) => self.request.from = next,
            None if self.place < self.runs.counts().len() => self.advance(),
            None => {
                self.done = true;
                out.extend_from_slice(b"{\"end\":true,\"count\":");
                write::number(&mut out, self.count);
                out.extend_from_slice(b"}\n");
            }
        }
        Ok(out)
    }

    /// Takes up the next runs.
    fn advance(&mut self) {
        let rest = self.runs.counts().get(self.place..).unwrap_or_default();
        let mut part: Vec<u64> = rest.iter().take(2 * RUNS_A_STEP).copied().collect();
        self.place += part.len();
        let length: u64 = part.iter().sum();
        // A set of runs counts from revision 0, and these begin after the last ones.
        if let Some(skip) = part.first_mut() {
            *skip += self.end;
        }
        self.end += length;
        // A part of a valid set is one.
        self.request.runs = Runs::new(part).unwrap_or_default();
    }
}
