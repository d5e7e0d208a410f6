//! The NDJSON form: the whole answer as one stream of lines, in constant memory (PROTOCOL.md §3).
//!
//! Each step reads some rows and ends with a checkpoint; the next one is read when the socket has taken it. The stream
//! ends at the head as it stood at the start, however much is written meanwhile.

use std::sync::Arc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use futures_util::stream;

use super::super::accept::NDJSON;
use super::super::metrics::PullKind;
use super::super::problem::Problem;
use super::super::{Api, answer, wire};
use super::{page_or_answer, tagged};
use crate::domain::pull::{Page, PullRequest, Pulled};
use crate::domain::{Rev, Since};

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
    /// What is to be written next; `None` when it has to be read.
    read: Option<Page>,
    done: bool,
}

pub async fn answer(
    req: &HttpRequest,
    api: &web::Data<Api>,
    mut request: PullRequest,
) -> Result<HttpResponse, Problem> {
    // The first step is taken here, so that what is wrong from the start has its proper status.
    let page = match page_or_answer(api, &request, api.store.pull(request.clone()).await?)? {
        Ok(page) => page,
        Err(answer) => return Ok(answer),
    };
    api.metrics.count_pull(PullKind::Lines);
    request.held = None;
    request.upto = Some(page.head);
    let mut response = tagged(answer::revalidated(StatusCode::OK), (page.cursor.epoch, page.head));
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(NDJSON)));
    if req.method() == Method::HEAD {
        return Ok(response.streaming(stream::empty::<Result<Bytes, Cut>>()));
    }
    let stream = Stream { api: Arc::clone(api), request, upto: page.head, read: Some(page), done: false };
    Ok(response.streaming(stream::try_unfold(stream, step)))
}

/// The next lines, or `None` at the end.
async fn step(mut stream: Stream) -> Result<Option<(Bytes, Stream)>, Cut> {
    if stream.done {
        return Ok(None);
    }
    let page = match stream.read.take() {
        Some(page) => page,
        None => match stream.api.store.pull(stream.request.clone()).await {
            Ok(Pulled::Page(page)) => page,
            Ok(Pulled::Resync(resync)) => {
                return Err(Cut(format!("overtaken by a purge or a broken history ({})", resync.reason.as_str())));
            }
            Ok(Pulled::NotModified { .. }) => return Err(Cut("a step of a stream holds no tag".into())),
            Err(error) => {
                log::warn!("a stream of {} was cut short: {error}", stream.request.space);
                return Err(Cut(error.to_string()));
            }
        },
    };
    stream.done = !page.has_more || page.cursor.rev >= stream.upto;
    let lines = wire::page::to_lines(&page, stream.done);
    stream.request.since = Since::Cursor(page.cursor);
    Ok(Some((Bytes::from(lines), stream)))
}
