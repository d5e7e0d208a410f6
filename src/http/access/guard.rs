//! The middleware before every route: it finds out who asks, holds the route's rule against that, and writes down what is to
//! be audited.
//!
//! A poll by a token that was seen a moment ago costs a hash and a look into a map; everything else may take its time.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::{Method, header};
use actix_web::{Error, HttpMessage, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use pin_project_lite::pin_project;

use super::super::problem::{Code, Problem};
use super::super::{Api, audit, extract};
use super::credential::{Credential, check_origin};
use super::permit::Permit;
use super::rule::{Need, Rule, changes, forbidden};
use crate::access::{AccessFault, Holder};
use crate::domain::SpaceName;

/// The guard of one route.
pub struct Guard {
    route: &'static str,
    rules: Rc<[(Method, Rule)]>,
    /// The rule of methods that have none.
    otherwise: Rule,
    api: web::Data<Api>,
}

impl Guard {
    /// Holds the methods of `route`, a pattern, to these rules. A method without one needs a good credential to hear that it is
    /// not allowed, unless the route is open to everybody.
    pub fn new(route: &'static str, rules: Vec<(Method, Rule)>, api: &web::Data<Api>) -> Self {
        let open = !rules.is_empty() && rules.iter().all(|(_, rule)| rule.need == Need::Nothing);
        let otherwise = if open { Rule::PUBLIC } else { Rule::SIGNED_IN };
        Self { route, rules: rules.into(), otherwise, api: api.clone() }
    }
}

impl<S> Transform<S, ServiceRequest> for Guard
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
    S::Future: 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = Guarded<S>;
    type InitError = ();
    type Future = Ready<Result<Guarded<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let (rules, api) = (Rc::clone(&self.rules), self.api.clone());
        ready(Ok(Guarded { route: self.route, service: Rc::new(service), rules, otherwise: self.otherwise, api }))
    }
}

/// The service behind a guard.
pub struct Guarded<S> {
    route: &'static str,
    service: Rc<S>,
    rules: Rc<[(Method, Rule)]>,
    otherwise: Rule,
    api: web::Data<Api>,
}

impl<S> Service<ServiceRequest> for Guarded<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
    S::Future: 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = Guarding<S::Future>;

    actix_web::dev::forward_ready!(service);

    fn call(&self, req: ServiceRequest) -> Self::Future {
        let rule =
            self.rules.iter().find(|(method, _)| method == req.method()).map_or(self.otherwise, |(_, rule)| *rule);
        if rule.need == Need::Nothing {
            return Guarding::Let { answer: self.service.call(req) };
        }
        let gate = Gate { route: self.route, rule };
        if self.api.keyring.is_open() {
            return match from_here(&self.api, req.request()) {
                Ok(()) => self.let_in(req, gate, None),
                Err(problem) => gate.turn_away(req, None, problem),
            };
        }
        let known = match Credential::of(req.request()) {
            Ok(credential) => self.api.keyring.remembered(credential.secret, credential.via),
            Err(problem) => return gate.turn_away(req, None, problem),
        };
        match known {
            Some(known) => self.judge(req, gate, known),
            None => self.look_up(req, gate),
        }
    }
}

impl<S> Guarded<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
    S::Future: 'static,
{
    /// Lets a request in, or not, now that it is known who asks.
    fn judge(&self, req: ServiceRequest, gate: Gate, known: Result<Arc<Holder>, AccessFault>) -> Guarding<S::Future> {
        let Api { throttle, metrics, proxies, .. } = &**self.api;
        if matches!(known, Err(AccessFault::Refused(_))) {
            throttle.failed_login(req.request(), proxies);
        }
        let admitted = gate.judge(&req, known).and_then(|holder| match throttle.admit(&holder, metrics) {
            Ok(account) => Ok((holder, account)),
            Err(problem) => Err((Some(holder), problem)),
        });
        match admitted {
            Ok((holder, account)) => {
                req.extensions_mut().insert(Permit::of(Arc::clone(&holder), account));
                self.let_in(req, gate, Some(holder))
            }
            Err((holder, problem)) => gate.turn_away(req, holder.as_deref(), problem),
        }
    }

    fn let_in(&self, req: ServiceRequest, gate: Gate, holder: Option<Arc<Holder>>) -> Guarding<S::Future> {
        let answer = self.service.call(req);
        let Some(event) = gate.rule.event else { return Guarding::Let { answer } };
        let audited = async move {
            let answer = answer.await?;
            audit::done(event, gate.route, answer.request(), holder.as_deref(), answer.status());
            Ok(answer)
        };
        Guarding::Boxed { answer: Box::pin(audited) }
    }

    /// Asks the store, or the keys of an issuer, who holds the credential.
    fn look_up(&self, req: ServiceRequest, gate: Gate) -> Guarding<S::Future> {
        let this = Self {
            otherwise: self.otherwise,
            route: self.route,
            service: Rc::clone(&self.service),
            rules: Rc::clone(&self.rules),
            api: self.api.clone(),
        };
        let looked_up = async move {
            let known = match Credential::of(req.request()) {
                Ok(credential) => this.api.keyring.holder(credential.secret, credential.via).await,
                Err(problem) => return gate.turn_away::<S::Future>(req, None, problem).await,
            };
            this.judge(req, gate, known).await
        };
        Guarding::Boxed { answer: Box::pin(looked_up) }
    }
}

/// One rule of one route.
#[derive(Clone, Copy)]
struct Gate {
    route: &'static str,
    rule: Rule,
}

impl Gate {
    /// Who may come in; or why not, and who that is if it is known.
    fn judge(
        self,
        req: &ServiceRequest,
        known: Result<Arc<Holder>, AccessFault>,
    ) -> Result<Arc<Holder>, (Option<Arc<Holder>>, Problem)> {
        let holder = known.map_err(|fault| (None, Problem::from(fault)))?;
        let space = match self.rule.need {
            Need::Space(_) | Need::WholeSpace(_) => match extract::space(req.request()) {
                Ok(space) => Some(space),
                Err(problem) => return Err((Some(holder), problem)),
            },
            _ => None,
        };
        match check_origin(req.request()).and_then(|()| self.rule.check(&holder, space.as_ref())) {
            Ok(()) => Ok(holder),
            Err(problem) => Err((Some(holder), problem)),
        }
    }

    fn turn_away<F>(self, req: ServiceRequest, holder: Option<&Holder>, problem: Problem) -> Guarding<F> {
        audit::refused(self.rule.event, self.route, req.request(), holder, &problem);
        let answer = ServiceResponse::from_err(problem, req.into_parts().0);
        Guarding::Away { answer: Some(answer) }
    }
}

/// Without access control, what changes something must not come from a page of another site that a browser on this machine
/// happens to show.
fn from_here(api: &Api, req: &HttpRequest) -> Result<(), Problem> {
    let elsewhere = |value: &header::HeaderValue| matches!(value.as_bytes(), b"cross-site" | b"same-site");
    if !changes(req.method()) || !req.headers().get("sec-fetch-site").is_some_and(elsewhere) {
        return Ok(());
    }
    let origin = req.headers().get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
    if api.origins.iter().any(|known| known == "*" || known == origin) {
        return Ok(());
    }
    Err(forbidden("pages of other origins may change nothing here: see --cors-origin"))
}

impl From<AccessFault> for Problem {
    fn from(fault: AccessFault) -> Self {
        match fault {
            AccessFault::Refused(why) => Self::new(Code::Unauthorized, why),
            AccessFault::NoKeys => Self::new(Code::Unavailable, fault.to_string()),
            AccessFault::Store(error) => error.into(),
        }
    }
}

/// The space that a path names, if it names one.
pub fn space_of(req: &HttpRequest) -> Option<SpaceName> {
    req.path().starts_with("/v1/spaces/").then(|| extract::space(req).ok()).flatten()
}

pin_project! {
    /// A request at a guard.
    #[project = AtGuard]
    pub enum Guarding<F> {
        /// It was let in.
        Let { #[pin] answer: F },
        /// It was turned away.
        Away { answer: Option<ServiceResponse<BoxBody>> },
        /// It takes some time.
        Boxed { answer: LocalBoxFuture<'static, Result<ServiceResponse<BoxBody>, Error>> },
    }
}

impl<F> Future for Guarding<F>
where
    F: Future<Output = Result<ServiceResponse<BoxBody>, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            AtGuard::Let { answer } => answer.poll(cx),
            AtGuard::Away { answer } => match answer.take() {
                Some(answer) => Poll::Ready(Ok(answer)),
                None => Poll::Pending,
            },
            AtGuard::Boxed { answer } => answer.as_mut().poll(cx),
        }
    }
}
