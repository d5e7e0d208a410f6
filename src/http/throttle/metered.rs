//! Bodies, counted on their way. A stream of a client that has taken more than it may goes on more slowly; what is sent at
//! once is charged afterwards, and its client's next requests are refused until that is paid for.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::HttpRequest;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes};
use futures_util::StreamExt;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, Sleep, sleep, timeout_at};

use super::super::Api;
use super::super::problem::{Code, Problem};
use super::Limit;
use super::account::Account;
use super::connection::Busy;

/// A body up to this size needs no room.
const SMALL: u64 = 64 << 10;
/// Room is counted in units of this many bytes.
pub(super) const ROOM_UNIT: usize = 1024;

/// Whom the bytes of a request are charged to: its address, and its token if it has one.
pub(super) struct Meter(pub [Option<Arc<Account>>; 2]);

impl Meter {
    fn each(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.0.iter().flatten()
    }

    /// Charges what is handed over at once.
    pub fn charge(&self, bytes: u64) {
        self.each().for_each(|account| account.charge_body(bytes));
    }
}

/// The body of an answer that is a stream.
pub(super) struct Metered {
    body: BoxBody,
    meter: Meter,
    /// The request is under way as long as its answer.
    _busy: Option<Busy>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Metered {
    pub fn new(body: BoxBody, meter: Meter, busy: Option<Busy>) -> Self {
        Self { body, meter, _busy: busy, pause: None }
    }
}

impl MessageBody for Metered {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = &mut *self;
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(cx));
            this.pause = None;
        }
        let part = ready!(Pin::new(&mut this.body).poll_next(cx));
        if let Some(Ok(bytes)) = &part {
            let pauses = this.meter.each().filter_map(|account| account.charge_part(bytes.len() as u64));
            this.pause = pauses.max().map(|pause| Box::pin(sleep(pause)));
        }
        Poll::Ready(part)
    }
}

/// How a body comes in: not more slowly than it must, and only as long as there is room for it.
pub struct Intake<'r> {
    req: &'r HttpRequest,
    api: Option<&'r web::Data<Api>>,
    received: u64,
    /// When the body, or enough of it to go on, has to be there.
    due: Instant,
    /// How much had arrived when that was set.
    before: u64,
    room: Option<SemaphorePermit<'r>>,
}

impl<'r> Intake<'r> {
    /// Of the body of `req`, from now on.
    pub fn of(req: &'r HttpRequest) -> Self {
        let api: Option<&web::Data<Api>> = req.app_data();
        let time = api.and_then(|api| api.throttle.limits().body_time).unwrap_or_default();
        Self { req, api, received: 0, due: Instant::now() + time, before: 0, room: None }
    }

    /// The next part; `None` at the end.
    ///
    /// # Errors
    /// 408 when the body comes too slowly, 503 when there is no room for it.
    pub async fn next(&mut self, payload: &mut web::Payload) -> Result<Option<Result<Bytes, PayloadError>>, Problem> {
        let Some(api) = self.api else { return Ok(payload.next().await) };
        let limits = api.throttle.limits();
        let Some(time) = limits.body_time else { return self.took(api, payload.next().await) };
        let part = timeout_at(self.due, payload.next()).await.map_err(|_| late(api))?;
        let part = self.took(api, part)?;
        if self.received - self.before >= u64::from(limits.body_rate.get()).saturating_mul(time.as_secs().max(1)) {
            (self.due, self.before) = (Instant::now() + time, self.received);
        }
        Ok(part)
    }

    /// Makes room for a part that has arrived. Small bodies need none.
    fn took(
        &mut self,
        api: &'r Api,
        part: Option<Result<Bytes, PayloadError>>,
    ) -> Result<Option<Result<Bytes, PayloadError>>, Problem> {
        if let Some(Ok(bytes)) = &part {
            let had = units(self.received);
            self.received += bytes.len() as u64;
            if let Some(more) = units(self.received).checked_sub(had).filter(|more| *more > 0) {
                let more = api.throttle.room(more).ok_or_else(|| crowded(api))?;
                match &mut self.room {
                    Some(room) => room.merge(more),
                    none => *none = Some(more),
                }
            }
        }
        Ok(part)
    }

    /// The room that the body has taken, which it has as long as this.
    pub fn room(&mut self) -> Option<SemaphorePermit<'r>> {
        self.room.take()
    }
}

/// The units of room that a body takes.
fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.saturating_sub(SMALL) / ROOM_UNIT as u64).unwrap_or(u32::MAX)
}

impl Drop for Intake<'_> {
    fn drop(&mut self) {
        if let Some(api) = self.api {
            api.throttle.meter(self.req, &api.proxies).charge(self.received);
        }
    }
}

fn late(api: &Api) -> Problem {
    api.metrics.count_refusal(Limit::BodyTime);
    let limits = api.throttle.limits();
    let detail = format!(
        "the body of a request must arrive within {} seconds, or with {} bytes a second",
        limits.body_time.unwrap_or_default().as_secs(),
        limits.body_rate
    );
    Problem::invalid(detail).with_status(StatusCode::REQUEST_TIMEOUT)
}

fn crowded(api: &Api) -> Problem {
    api.metrics.count_refusal(Limit::Bodies);
    Problem::new(Code::Unavailable, "so many large bodies are on their way that there is no room for this one")
}
