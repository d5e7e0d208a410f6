//! The middleware that every request goes through first: it counts the request by its address, looks at the size of its
//! head, and charges the bytes of its answer. It stands in the way of every request, so it does next to nothing.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready as poll_ready};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::StatusCode;
use actix_web::{Error, HttpRequest, ResponseError, web};
use pin_project_lite::pin_project;

use super::super::Api;
use super::super::problem::{Code, Problem};
use super::account::Account;
use super::connection::{Busy, Connection};
use super::metered::{Meter, Metered};
use super::{Limit, token};

/// The middleware.
pub struct Admit {
    api: web::Data<Api>,
}

impl Admit {
    /// Admits by the limits of `api`.
    pub fn new(api: &web::Data<Api>) -> Self {
        Self { api: api.clone() }
    }
}

impl<S, B> Transform<S, ServiceRequest> for Admit
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = Admitting<S>;
    type InitError = ();
    type Future = Ready<Result<Admitting<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Admitting { service, api: self.api.clone() }))
    }
}

/// The service behind it.
pub struct Admitting<S> {
    service: S,
    api: web::Data<Api>,
}

impl<S> Admitting<S> {
    fn check(&self, req: &HttpRequest, account: &Account) -> Result<(), Problem> {
        let Api { throttle, metrics, .. } = &**self.api;
        account
            .request()
            .map_err(|exceeded| exceeded.refusal(Limit::AddressRequests, Limit::AddressBytes).problem(metrics))?;
        let limits = throttle.limits();
        let target = req.uri().path_and_query().map_or(0, |target| target.as_str().len());
        if let Some(most) = limits.url_bytes.filter(|most| target > *most) {
            metrics.count_refusal(Limit::Url);
            let problem = Problem::new(Code::TooLarge, format!("the target of a request may have {most} bytes"));
            return Err(problem.with_status(StatusCode::URI_TOO_LONG));
        }
        if let Some(most) = limits.head_bytes.filter(|most| target + fields(req) > *most) {
            metrics.count_refusal(Limit::Head);
            let problem = Problem::new(Code::TooLarge, format!("the head of a request may have {most} bytes"));
            return Err(problem.with_status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        }
        Ok(())
    }
}

/// The bytes of the headers, as HTTP/1.1 writes them.
fn fields(req: &HttpRequest) -> usize {
    req.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum()
}

impl<S, B> Service<ServiceRequest> for Admitting<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = Admitted<S::Future>;

    actix_web::dev::forward_ready!(service);

    fn call(&self, req: ServiceRequest) -> Self::Future {
        let known = Connection::of(req.request(), |connection| (Busy::begin(connection), connection.client().cloned()));
        let (busy, client) = known.map_or((None, None), |(busy, client)| (Some(busy), client));
        let Api { throttle, proxies, .. } = &**self.api;
        let account = client.unwrap_or_else(|| throttle.address(proxies.peer(req.head()).address));
        if let Err(problem) = self.check(req.request(), &account) {
            return Admitted::Refused { answer: Some(req.into_response(problem.error_response())) };
        }
        Admitted::Let { answer: self.service.call(req), account: Some(account), busy }
    }
}

pin_project! {
    /// A request that was let in, or refused.
    #[project = AdmittedProjection]
    pub enum Admitted<F> {
        /// Let in.
        Let {
            #[pin]
            answer: F,
            account: Option<Arc<Account>>,
            busy: Option<Busy>,
        },
        /// Refused, with this.
        Refused { answer: Option<ServiceResponse> },
    }
}

impl<F, B> Future for Admitted<F>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
    B: MessageBody + 'static,
{
    type Output = Result<ServiceResponse<BoxBody>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AdmittedProjection::Let { answer, account, busy } => {
                let answer = poll_ready!(answer.poll(cx))?.map_into_boxed_body();
                let meter = Meter([account.take(), token(answer.request())]);
                Poll::Ready(Ok(match answer.response().body().size() {
                    BodySize::None => answer,
                    BodySize::Sized(bytes) => {
                        meter.charge(bytes);
                        answer
                    }
                    BodySize::Stream => {
                        let busy = busy.take();
                        answer.map_body(|_, body| BoxBody::new(Metered::new(body, meter, busy)))
                    }
                }))
            }
            AdmittedProjection::Refused { answer } => {
                // A future is polled once after it is done by nobody.
                answer.take().map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer)))
            }
        }
    }
}
