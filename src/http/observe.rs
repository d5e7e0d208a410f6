//! Counts and times the requests of a route. It stands in the way of every one, so it does next to nothing.

use std::cell::RefCell;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready as poll_ready};
use std::time::Instant;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpMessage, web};
use pin_project_lite::pin_project;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use super::Api;
use super::metrics::RequestLabels;

/// Left in a request by a handler that held it on purpose: its time would say nothing about the server.
pub struct Held;

/// The middleware for one route.
pub struct Observe {
    route: &'static str,
    api: web::Data<Api>,
}

impl Observe {
    /// Observes the requests of `route`, a pattern.
    pub fn new(route: &'static str, api: &web::Data<Api>) -> Self {
        Self { route, api: api.clone() }
    }
}

impl<S, B> Transform<S, ServiceRequest> for Observe
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = Observed<S>;
    type InitError = ();
    type Future = Ready<Result<Observed<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let latency = self.api.metrics.latency(self.route);
        let (route, api) = (self.route, self.api.clone());
        ready(Ok(Observed { service, meter: Rc::new(Meter { route, api, latency, counters: RefCell::default() }) }))
    }
}

/// The service of one route on one worker.
pub struct Observed<S> {
    service: S,
    meter: Rc<Meter>,
}

struct Meter {
    route: &'static str,
    api: web::Data<Api>,
    latency: Histogram,
    /// The counters that this worker needed so far: a handful, found faster than by hashing labels.
    counters: RefCell<Vec<(Method, StatusCode, Counter)>>,
}

impl Meter {
    fn record<B>(&self, response: &ServiceResponse<B>, begun: Instant) {
        let (method, status) = (response.request().method(), response.status());
        if response.request().extensions().get::<Held>().is_none() {
            self.latency.observe(begun.elapsed().as_secs_f64());
        }
        let mut counters = self.counters.borrow_mut();
        if let Some((.., counter)) = counters.iter().find(|(m, s, _)| *s == status && m == method) {
            counter.inc();
            return;
        }
        // Any word can come as a method: those that mean nothing share a series.
        let known = Method::from_bytes(method.as_str().as_bytes()).is_ok_and(|m| m.is_safe() || m.is_idempotent());
        let name = if known || matches!(*method, Method::POST | Method::PATCH) { method.as_str() } else { "other" };
        let labels = RequestLabels { method: name.into(), route: self.route, status: status.as_u16() };
        let counter = self.api.metrics.requests(&labels);
        counter.inc();
        if name != "other" {
            counters.push((method.clone(), status, counter));
        }
    }
}

impl<S, B> Service<ServiceRequest> for Observed<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = Observing<S::Future>;

    actix_web::dev::forward_ready!(service);

    fn call(&self, req: ServiceRequest) -> Self::Future {
        Observing { answer: self.service.call(req), begun: Instant::now(), meter: Rc::clone(&self.meter) }
    }
}

pin_project! {
    /// A request under observation.
    pub struct Observing<F> {
        #[pin]
        answer: F,
        begun: Instant,
        meter: Rc<Meter>,
    }
}

impl<F, B> Future for Observing<F>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let answer = poll_ready!(this.answer.poll(cx));
        if let Ok(response) = &answer {
            this.meter.record(response, *this.begun);
        }
        Poll::Ready(answer)
    }
}
