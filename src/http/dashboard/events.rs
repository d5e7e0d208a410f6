//! What keeps the page live: server-sent events that tell that a space changed, or that any did.
//!
//! An event says what is so now, and never what happened. So however much is written, the page hears at most once a
//! second, and a reader that is slow hears less often.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use tokio::time::Instant;

use super::super::accept::EVENTS;
use super::super::access::{Lease, Permit};
use super::super::problem::Problem;
use super::super::wire::space::Space;
use super::super::{Api, answer, query, throttle};
use crate::domain::{Access, Collections, RetentionPolicy, SpaceName, SpaceState};
use crate::feed::{Subscription, Woken};
use crate::store::StoreError;

/// An event comes no sooner than this after the last.
const PACE: Duration = Duration::from_secs(1);
/// How often a stream has a comment.
const HEARTBEAT: Duration = Duration::from_secs(10);

struct Watch {
    api: Arc<Api>,
    subscription: Subscription,
    lease: Lease,
    /// The space that is looked at; `None` for all.
    space: Option<SpaceName>,
    /// The collections that the page may see of it; `None` for all.
    choice: Option<Collections>,
    /// What was told last of the space.
    told: Option<Told>,
    next: Next,
    /// When the next event may be sent.
    due: Instant,
    /// When a comment is due.
    beat: Instant,
    _open: throttle::Stream,
}

/// What the page knows: the space as the wire has it, and what only its policy has.
#[derive(PartialEq)]
struct Told {
    space: Vec<u8>,
    policy: RetentionPolicy,
}

enum Next {
    /// Waits for a commit.
    Wait,
    /// Looks when the next event is due.
    Look,
    /// Ends.
    End,
}

/// Events for the page, of one space or of all.
pub async fn events(req: HttpRequest, permit: Permit, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    let [space] = query::read(req.query_string(), ["space"])?;
    let space = space.map(|name| SpaceName::new(&name)).transpose();
    let space = space.map_err(|fault| Problem::name("the space's name", fault))?;
    let choice = match &space {
        Some(space) => permit.choice(space, Access::Read, None)?,
        None => None,
    };
    let open = api.throttle.stream(&req, &api)?;
    // Before the first look: a commit between the look and the subscription would wake nobody.
    let subscription = match &space {
        Some(space) => {
            let subscription = api.feed.subscribe(space);
            api.store.space(space).await?;
            subscription
        }
        None => api.feed.subscribe_all(),
    };
    let mut response = answer::revalidated(StatusCode::OK);
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(EVENTS)));
    // Proxies that buffer would hold events back.
    response.insert_header(("x-accel-buffering", HeaderValue::from_static("no")));
    if req.method() == Method::HEAD {
        return Ok(response.streaming(stream::empty::<Result<Bytes, Infallible>>()));
    }
    // After the last event the connection ends too: the page sees that nothing more will come.
    response.force_close();
    let (lease, now) = (Lease::of(&req, &api), Instant::now());
    let api = Arc::clone(&api);
    let watch = Watch {
        api,
        subscription,
        lease,
        space,
        choice,
        told: None,
        next: Next::Look,
        due: now,
        beat: now + HEARTBEAT,
        _open: open,
    };
    Ok(response.streaming(stream::unfold(watch, next_event)))
}

async fn next_event(mut watch: Watch) -> Option<(Result<Bytes, Infallible>, Watch)> {
    loop {
        if watch.lease.has_ended() {
            return None;
        }
        if Instant::now() >= watch.beat && !matches!(watch.next, Next::End) {
            watch.beat = Instant::now() + HEARTBEAT;
            if watch.space.is_some() {
                // A look now and then costs next to nothing, and no lost wake-up can then last.
                watch.next = Next::Look;
            }
            return Some((Ok(Bytes::from_static(b":\n\n")), watch));
        }
        match watch.next {
            Next::End => return None,
            Next::Wait => tokio::select! {
                woken = watch.subscription.woken() => match woken {
                    Woken::Closed => return None,
                    Woken::Changed => watch.next = Next::Look,
                },
                () = tokio::time::sleep_until(watch.beat) => {}
                () = watch.lease.ended() => return None,
            },
            Next::Look if Instant::now() < watch.due => tokio::select! {
                () = watch.api.feed.closed() => return None,
                () = tokio::time::sleep_until(watch.due.min(watch.beat)) => {}
            },
            Next::Look => {
                watch.next = Next::Wait;
                if let Some(event) = watch.look().await {
                    watch.due = Instant::now() + PACE;
                    return Some((Ok(Bytes::from(event)), watch));
                }
            }
        }
    }
}

impl Watch {
    /// The event that says what is so now, if it is not what was said last.
    async fn look(&mut self) -> Option<Vec<u8>> {
        let Some(space) = &self.space else { return Some(event("spaces", b"{}")) };
        match self.api.store.space(space).await {
            Ok(state) => {
                let told = Told::of(&state, self.choice.as_ref());
                if self.told.as_ref() == Some(&told) {
                    return None;
                }
                let told = self.told.insert(told);
                Some(event("space", &told.space))
            }
            Err(StoreError::NoSpace(_)) => {
                self.next = Next::End;
                Some(event("gone", b"{}"))
            }
            Err(error) => {
                // The page comes again, and is told then what the matter is.
                log::warn!("the page's events of {space} ended: {error}");
                self.next = Next::End;
                None
            }
        }
    }
}

impl Told {
    fn of(state: &SpaceState, choice: Option<&Collections>) -> Self {
        // The wire types have no map with odd keys and no failing serializer: writing them cannot fail.
        Self { space: serde_json::to_vec(&Space::new(state, choice)).unwrap_or_default(), policy: state.policy }
    }
}

fn event(name: &str, data: &[u8]) -> Vec<u8> {
    [b"event: ", name.as_bytes(), b"\ndata: ", data, b"\n\n"].concat()
}
