//! The NDJSON form: the whole answer as one stream of lines, in constant memory (PROTOCOL.md §3).
//!
//! Each step is some rows and a checkpoint. While one is written, the next one is read, and none further ahead. The stream ends at the head as it stood at the start, however much is written meanwhile.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Bytes};
use actix_web::{HttpResponse, ResponseError};
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt, stream};

use super::super::accept::NDJSON;
use super::super::metrics::PullKind;
use super::super::problem::Problem;
use super::super::{Api, answer, wire};
use super::page_tag;
use crate::domain::pull::{PullRequest, Pulled};
use crate::domain::{Rev, Since};
use crate::store::StoreError;

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
    next: Next,
}

/// What is to be written next.
enum Next {
    /// What was read already.
    Read(Box<Result<Pulled, StoreError>>),
    /// What is being read.
    Reading(LocalBoxFuture<'static, Result<Pulled, StoreError>>),
    /// Nothing.
    End,
}

impl Next {
    /// Begins to read, on a thread of the store's, while this one goes on.
    fn begin(api: Arc<Api>, request: PullRequest) -> Self {
        let mut reading: LocalBoxFuture<'static, _> = Box::pin(async move { api.store.pull(request).await });
        // The first poll begins it. Nobody is woken by that one, but whoever wants the page polls again.
        match (&mut reading).now_or_never() {
            Some(read) => Self::Read(Box::new(read)),
            None => Self::Reading(reading),
        }
    }
}

pub async fn answer(api: &web::Data<Api>, mut request: PullRequest) -> Result<HttpResponse, Problem> {
    // The first step is taken here, so that what is wrong from the start has its proper status.
    let page = match api.store.pull(request.clone()).await? {
        Pulled::Page(page) => page,
        Pulled::NotModified { epoch, head } => {
            api.metrics.count_pull(PullKind::NotModified);
            let mut response = answer::revalidated(StatusCode::NOT_MODIFIED);
            response.insert_header((header::ETAG, answer::etag(page_tag((epoch, head)))));
            return Ok(response.insert_header((header::VARY, HeaderValue::from_static("accept"))).finish());
        }
        Pulled::Resync(resync) => {
            api.metrics.count_pull(PullKind::Resync);
            api.metrics.count_resync(resync.reason);
            return Err(Problem::resync(&request.space, request.collections.as_ref(), &resync));
        }
    };
    api.metrics.count_pull(PullKind::Lines);
    let etag = answer::etag(page_tag((page.cursor.epoch, page.head)));
    request.held = None;
    request.upto = Some(page.head);
    let upto = page.head;
    let next = Next::Read(Box::new(Ok(Pulled::Page(page))));
    let stream = Stream { api: Arc::clone(api), request, upto, next };
    let mut response = answer::revalidated(StatusCode::OK);
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(NDJSON)));
    response.insert_header((header::ETAG, etag));
    response.insert_header((header::VARY, HeaderValue::from_static("accept")));
    Ok(response.streaming(stream::try_unfold(stream, step)))
}

/// The next lines, or `None` at the end.
async fn step(mut stream: Stream) -> Result<Option<(Bytes, Stream)>, Cut> {
    let pulled = match std::mem::replace(&mut stream.next, Next::End) {
        Next::End => return Ok(None),
        Next::Read(read) => *read,
        Next::Reading(reading) => reading.await,
    };
    let page = match pulled {
        Ok(Pulled::Page(page)) => page,
        Ok(Pulled::Resync(resync)) => {
            return Err(Cut(format!("overtaken by a purge or a broken history ({})", resync.reason.as_str())));
        }
        Ok(Pulled::NotModified { .. }) => return Err(Cut("a step of a stream holds no tag".into())),
        Err(error) => {
            log::warn!("a stream of {} was cut short: {error}", stream.request.space);
            return Err(Cut(error.to_string()));
        }
    };
    let done = !page.has_more || page.cursor.rev >= stream.upto;
    stream.request.since = Since::Cursor(page.cursor);
    if !done {
        stream.next = Next::begin(Arc::clone(&stream.api), stream.request.clone());
    }
    Ok(Some((Bytes::from(wire::page::to_lines(&page, done)), stream)))
}
