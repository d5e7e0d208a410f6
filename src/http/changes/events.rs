//! The live feed as server-sent events (PROTOCOL.md §3).
//!
//! An event is read from the subscriber's cursor when its socket can take one, and not before: a slow reader gets
//! fewer, larger events, and the server holds one of them at the most.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::super::accept::EVENTS;
use super::super::access::Lease;
use super::super::extract::Caller;
use super::super::metrics::{PullKind, Via};
use super::super::problem::Problem;
use super::super::{Api, answer, sightings, throttle, wire};
use crate::domain::pull::{Page, PullRequest, Pulled, Resync};
use crate::domain::{Progress, Since};
use crate::feed::{Subscription, Woken};
use crate::store::StoreError;

/// How often a stream has a comment. The protocol promises one every 15 s.
const HEARTBEAT: Duration = Duration::from_secs(10);

struct Subscriber {
    api: Arc<Api>,
    caller: Caller,
    agent: Option<String>,
    request: PullRequest,
    subscription: Subscription,
    lease: Lease,
    next: Next,
    /// When a comment is due.
    beat: Instant,
    _open: throttle::Stream,
}

/// What a subscriber does next.
enum Next {
    /// Reads from its cursor.
    Read,
    /// Waits for a commit.
    Wait,
    /// Ends.
    End,
}

pub async fn answer(
    req: &HttpRequest,
    api: &web::Data<Api>,
    caller: Caller,
    request: PullRequest,
) -> Result<HttpResponse, Problem> {
    let open = api.throttle.stream(req, api)?;
    // Before the first look: a commit between the look and the subscription would wake nobody.
    let subscription = api.feed.subscribe(&request.space);
    api.metrics.count_pull(PullKind::Events);
    let mut response = stream_headers(answer::revalidated(StatusCode::OK));
    if req.method() == Method::HEAD {
        api.store.pull(request).await?;
        // The events would be read, and thrown away, for as long as the connection lives.
        return Ok(response.streaming(stream::empty::<Result<Bytes, Infallible>>()));
    }
    // After the last event the connection ends too: the client sees that nothing more will come.
    response.force_close();
    let mut subscriber = Subscriber {
        api: Arc::clone(api),
        caller,
        agent: sightings::agent(req).map(str::to_owned),
        request,
        subscription,
        lease: Lease::of(req, api),
        next: Next::End,
        beat: Instant::now() + HEARTBEAT,
        _open: open,
    };
    // The first look is taken here, so that what is wrong from the start has its proper status.
    let first = subscriber.look().await?;
    let events = stream::iter(first.map(|event| Ok(Bytes::from(event)))).chain(stream::unfold(subscriber, next_event));
    Ok(response.streaming(events))
}

fn stream_headers(mut response: HttpResponseBuilder) -> HttpResponseBuilder {
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(EVENTS)));
    response.insert_header((header::VARY, HeaderValue::from_static("accept")));
    // Proxies that buffer would hold events back.
    response.insert_header(("x-accel-buffering", HeaderValue::from_static("no")));
    response
}

async fn next_event(mut subscriber: Subscriber) -> Option<(Result<Bytes, Infallible>, Subscriber)> {
    loop {
        if subscriber.lease.has_ended() {
            return None;
        }
        // The protocol promises a comment however much else is sent.
        if Instant::now() >= subscriber.beat && !matches!(subscriber.next, Next::End) {
            subscriber.beat = Instant::now() + HEARTBEAT;
            if matches!(subscriber.next, Next::Wait) {
                // A look now and then costs next to nothing, and no lost wake-up can then last.
                subscriber.next = Next::Read;
            }
            return Some((Ok(Bytes::from_static(b":\n\n")), subscriber));
        }
        let looked = match std::mem::replace(&mut subscriber.next, Next::End) {
            Next::End => return None,
            Next::Read => subscriber.look().await,
            Next::Wait => {
                tokio::select! {
                    woken = subscriber.subscription.woken() => match woken {
                        Woken::Closed => return None,
                        Woken::Changed => subscriber.next = Next::Read,
                    },
                    () = tokio::time::sleep_until(subscriber.beat) => subscriber.next = Next::Wait,
                    () = subscriber.lease.ended() => return None,
                }
                continue;
            }
        };
        match looked {
            Ok(Some(event)) => return Some((Ok(Bytes::from(event)), subscriber)),
            Ok(None) => {}
            Err(StoreError::NoSpace(_)) => return None,
            Err(error) => {
                log::warn!("an event stream of {} ended: {error}", subscriber.request.space);
                return None;
            }
        }
    }
}

impl Subscriber {
    /// Reads from the cursor. The next event, if there is any.
    async fn look(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let api = Arc::clone(&self.api);
        let _turn = api.throttle.step().await;
        let pulled = api.store.pull(self.request.clone()).await?;
        // What it was sent before counts as what it has: its socket has taken it.
        sightings::pulled(&api, &self.caller, self.agent.as_deref(), &self.request, &pulled);
        Ok(match pulled {
            Pulled::Page(page) => self.advance(&page),
            Pulled::Resync(resync) => Some(self.resync(&resync)),
            Pulled::NotModified { .. } => {
                self.next = Next::Wait;
                None
            }
        })
    }

    /// Moves on to the page's cursor. An empty page makes an event only where the client has no whole cursor yet.
    fn advance(&mut self, page: &Page) -> Option<Vec<u8>> {
        let whole = matches!(&self.request.since, Since::Cursor(cursor) if cursor.progress == Progress::Whole);
        self.request.since = Since::Cursor(page.cursor);
        self.next = if page.has_more { Next::Read } else { Next::Wait };
        let silent = page.changes.is_empty() && whole && !page.has_more;
        (!silent).then(|| {
            let event = wire::page::to_event(page);
            self.api.metrics.count_sent(Via::Events, page.changes.len(), event.len());
            event
        })
    }

    /// The last event. It has no id, so that a client that reconnects anyway is told again.
    fn resync(&mut self, resync: &Resync) -> Vec<u8> {
        self.next = Next::End;
        self.api.metrics.count_resync(resync.reason);
        let problem = Problem::resync(&self.request.space, self.request.collections.as_ref(), resync);
        [b"event: resync\ndata: ".as_slice(), &problem.to_json(), b"\n\n"].concat()
    }
}
