//! For as long as an answer lasts that goes on: whether its credential still holds (PROTOCOL.md §10).

use std::pin::Pin;
use std::sync::Arc;

use actix_web::HttpRequest;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::super::Api;
use super::super::problem::{Code, Problem};
use super::Credential;

/// Waits for the end of a credential. One lease lasts as long as its answer: what it waits for does not begin anew whenever
/// something else happens.
pub struct Lease(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Lease {
    /// Of the credential that `req` came with, or, where there is no access control, until there is.
    pub fn of(req: &HttpRequest, api: &Api) -> Self {
        let keyring = Arc::clone(&api.keyring);
        let credential = Credential::of(req).ok().map(|found| (found.secret.to_owned(), found.via));
        let ended: BoxFuture<'static, ()> = match credential.filter(|_| !keyring.is_open()) {
            Some((secret, via)) => async move { keyring.ended(&secret, via).await }.boxed(),
            None => async move { keyring.locked().await }.boxed(),
        };
        Self(ended)
    }

    /// Resolves when the credential does not hold any more.
    pub async fn ended(&mut self) {
        (&mut self.0).await;
    }

    /// Whether it is known by now that it does not.
    pub fn has_ended(&mut self) -> bool {
        self.ended().now_or_never().is_some()
    }

    /// What a request is told that was held for longer than its credential.
    pub fn refusal() -> Problem {
        Problem::new(Code::Unauthorized, "the token was revoked, or has expired, while the request was held")
    }
}
