//! The NDJSON form: the whole answer as one stream of lines, in constant memory (PROTOCOL.md §3).
//!
//! Each step is some rows and a checkpoint. While one is written, the next one is read, and none further ahead. The stream ends at the head as it stood at the start, however much is written meanwhile.

use std::sync::Arc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use futures_util::stream;
use tokio::task::JoinHandle;

use super::super::accept::NDJSON;
use super::super::access::Lease;
use super::super::extract::Caller;
use super::super::metrics::{PullKind, Via};
use super::super::problem::Problem;
use super::super::{Api, answer, throttle, wire};
use super::{page_or_answer, tagged};
use crate::domain::pull::{Page, PullRequest, Pulled};
use crate::domain::{Cursor, Rev, Since};

/// Why a stream was cut short. The client sees that its last line is missing, and resumes at its last checkpoint.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Cut(String);

impl ResponseError for Cut {}

struct Stream {
    api: Arc<Api>,
    request: PullRequest,
    /// The head when the stream began.
    upto: Rev,
    lease: Lease,
    next: Next,
    _open: throttle::Stream,
}

/// What is to be written next.
enum Next {
    /// What was read already.
    Ready(Lines),
    /// What is being read.
    Reading(JoinHandle<Result<Lines, Cut>>),
    /// Nothing.
    End,
}

/// Some lines with their checkpoint.
struct Lines {
    text: Vec<u8>,
    changes: usize,
    cursor: Cursor,
    /// Whether they are the last.
    done: bool,
}

impl Lines {
    fn of(page: &Page, upto: Rev) -> Self {
        let done = !page.has_more || page.cursor.rev >= upto;
        let text = wire::page::to_lines(page, done);
        Self { text, changes: page.changes.len(), cursor: page.cursor, done }
    }

    async fn read(api: Arc<Api>, request: PullRequest, upto: Rev) -> Result<Self, Cut> {
        let _turn = api.throttle.step().await;
        let space = request.space.clone();
        match api.store.pull(request).await {
            Ok(Pulled::Page(page)) => Ok(Self::of(&page, upto)),
            Ok(Pulled::Resync(resync)) => {
                Err(Cut(format!("overtaken by a purge or a broken history ({})", resync.reason.as_str())))
            }
            Ok(Pulled::NotModified { .. }) => Err(Cut("a step of a stream holds no tag".into())),
            Err(error) => {
                log::warn!("a stream of {space} was cut short: {error}");
                Err(Cut(error.to_string()))
            }
        }
    }
}

pub async fn answer(
    req: &HttpRequest,
    api: &web::Data<Api>,
    caller: &Caller,
    mut request: PullRequest,
) -> Result<HttpResponse, Problem> {
    let open = api.throttle.stream(req, api)?;
    let turn = api.throttle.step().await;
    // The first step is taken here, so that what is wrong from the start has its proper status.
    let pulled = api.store.pull(request.clone()).await?;
    let page = match page_or_answer(req, api, caller, &request, pulled)? {
        Ok(page) => page,
        Err(answer) => return Ok(answer),
    };
    api.metrics.count_pull(PullKind::Lines);
    request.held = None;
    request.upto = Some(page.head);
    let upto = page.head;
    let mut response = tagged(answer::revalidated(StatusCode::OK), (page.cursor.epoch, upto));
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(NDJSON)));
    if req.method() == Method::HEAD {
        return Ok(response.streaming(stream::empty::<Result<Bytes, Cut>>()));
    }
    let next = Next::Ready(Lines::of(&page, upto));
    drop(turn);
    let stream = Stream { api: Arc::clone(api), request, upto, lease: Lease::of(req, api), next, _open: open };
    Ok(response.streaming(stream::try_unfold(stream, step)))
}

/// The next lines, or `None` at the end.
async fn step(mut stream: Stream) -> Result<Option<(Bytes, Stream)>, Cut> {
    if stream.lease.has_ended() {
        return Err(Cut("its token does not hold any more".into()));
    }
    let lines = match std::mem::replace(&mut stream.next, Next::End) {
        Next::End => return Ok(None),
        Next::Ready(lines) => lines,
        Next::Reading(reading) => reading.await.map_err(|error| Cut(error.to_string()))??,
    };
    stream.request.since = Since::Cursor(lines.cursor);
    if !lines.done {
        // It is read while this is written, and by a task that is driven whether its client takes this or not: a read that
        // waits for its turn in the store, and is then not looked at, would keep the others waiting.
        let reading = Lines::read(Arc::clone(&stream.api), stream.request.clone(), stream.upto);
        stream.next = Next::Reading(tokio::spawn(reading));
    }
    stream.api.metrics.count_sent(Via::Lines, lines.changes, lines.text.len());
    Ok(Some((Bytes::from(lines.text), stream)))
}
