//! Bodies, counted on their way. A stream of a client that has taken more than it may goes on more slowly; what is sent at
//! once is charged afterwards, and its client's next requests are refused until that is paid for.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes};
use futures_util::StreamExt;
use tokio::time::{Instant, Sleep, sleep, timeout_at};

use super::super::Api;
use super::super::problem::Problem;
use super::account::Account;
use super::connection::Busy;
use super::{Limit, Throttles};

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

/// How a body comes in: not more slowly than it must.
pub struct Intake<'r> {
    req: &'r HttpRequest,
    api: Option<&'r web::Data<Api>>,
    begun: Instant,
    received: u64,
}

impl<'r> Intake<'r> {
    /// Of the body of `req`, from now on.
    pub fn of(req: &'r HttpRequest) -> Self {
        Self { req, api: req.app_data(), begun: Instant::now(), received: 0 }
    }

    /// The next part; `None` at the end.
    ///
    /// # Errors
    /// 408 when the body comes too slowly.
    pub async fn next(&mut self, payload: &mut web::Payload) -> Result<Option<Result<Bytes, PayloadError>>, Problem> {
        let Some(api) = self.api else { return Ok(payload.next().await) };
        let part = match self.deadline(api.throttle.limits()) {
            Some(deadline) => timeout_at(deadline, payload.next()).await.map_err(|_| late(api))?,
            None => payload.next().await,
        };
        if let Some(Ok(bytes)) = &part {
            self.received += bytes.len() as u64;
        }
        Ok(part)
    }

    fn deadline(&self, limits: &Throttles) -> Option<Instant> {
        let rate = u64::from(limits.body_rate.get());
        Some(self.begun + limits.body_time? + Duration::from_secs(self.received / rate))
    }
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
        "the body of a request must arrive within {} seconds and one more for each {} bytes of it",
        limits.body_time.unwrap_or_default().as_secs(),
        limits.body_rate
    );
    Problem::invalid(detail).with_status(StatusCode::REQUEST_TIMEOUT)
}
