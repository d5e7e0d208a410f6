//! The last look at every answer: errors that the framework made become problems (PROTOCOL.md §8), and what is worth
//! it is compressed (§9).
//!
//! actix's own compression negotiates before it knows the answer and wraps all of them; this one looks at the answer
//! first, so that a 304 or a small page costs nothing. Event streams are never compressed: an encoder would hold
//! events back.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll, ready as poll_ready};

use actix_http::encoding::Encoder;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::{self, ContentEncoding, HeaderMap, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode, Version};
use actix_web::{Error, ResponseError};
use pin_project_lite::pin_project;

use super::accept::{self, EVENTS, HTML};
use super::problem::{Code, PROBLEM_JSON, Problem};

/// Smaller bodies are sent as they are: one packet either way.
const SMALL: u64 = 1024;

/// The outermost middleware.
pub struct Finish;

impl<S, B> Transform<S, ServiceRequest> for Finish
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = Finisher<S>;
    type InitError = ();
    type Future = Ready<Result<Finisher<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Finisher { service }))
    }
}

/// The service around all routes.
pub struct Finisher<S> {
    service: S,
}

impl<S, B> Service<ServiceRequest> for Finisher<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = Finishing<S::Future>;

    actix_web::dev::forward_ready!(service);

    fn call(&self, req: ServiceRequest) -> Self::Future {
        Finishing { answer: self.service.call(req) }
    }
}

pin_project! {
    /// An answer in the making.
    pub struct Finishing<F> {
        #[pin]
        answer: F,
    }
}

impl<F, B> Future for Finishing<F>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
    B: MessageBody + 'static,
{
    type Output = Result<ServiceResponse<BoxBody>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = poll_ready!(self.project().answer.poll(cx))?;
        Poll::Ready(Ok(compressed(unsniffed(explained(answer.map_into_boxed_body())))))
    }
}

/// Gives an error that is no problem yet the form of one; its headers stay.
fn explained(answer: ServiceResponse) -> ServiceResponse {
    let status = answer.status();
    let own = [PROBLEM_JSON, HTML].iter().any(|own| has_type(answer.headers(), own));
    if own || !(status.is_client_error() || status.is_server_error()) {
        return answer;
    }
    let code = match status {
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
        _ if status.is_server_error() => Code::Internal,
        _ => Code::InvalidRequest,
    };
    let (request, response) = answer.into_parts();
    let (plain, body) = response.into_parts();
    let said = body.try_into_bytes().unwrap_or_default();
    let problem = if code == Code::Internal {
        Problem::internal(&String::from_utf8_lossy(&said))
    } else {
        Problem::new(code, String::from_utf8_lossy(&said).into_owned())
    };
    let mut answer = problem.error_response();
    for (name, value) in plain.headers() {
        // Those that describe the body are the problem's now.
        if !answer.headers().contains_key(name) {
            answer.headers_mut().append(name.clone(), value.clone());
        }
    }
    ServiceResponse::new(request, answer)
}

/// What comes from a record is taken for what it says it is, and for nothing that a browser guesses.
fn unsniffed(mut answer: ServiceResponse) -> ServiceResponse {
    if answer.response().body().size() != BodySize::None {
        answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    answer
}

fn compressed(answer: ServiceResponse) -> ServiceResponse {
    // A client of HTTP/1.0 cannot read chunks: what has no length ends with the connection.
    if answer.request().version() < Version::HTTP_11 {
        return answer.map_body(|head, body| {
            if matches!(body.size(), BodySize::Stream) {
                head.no_chunking(true);
                head.set_connection_type(ConnectionType::Close);
            }
            body
        });
    }
    if !worth_it(&answer) {
        return answer;
    }
    let coding = accept::coding(answer.request().headers());
    answer.map_body(|head, body| {
        if coding == ContentEncoding::Identity {
            // A cache must know that another client would have got something else.
            head.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
            body
        } else {
            Encoder::response(coding, head, body).boxed()
        }
    })
}

fn worth_it(answer: &ServiceResponse) -> bool {
    let long = match answer.response().body().size() {
        BodySize::None => false,
        BodySize::Sized(size) => size >= SMALL,
        BodySize::Stream => true,
    };
    long && !has_type(answer.headers(), EVENTS)
}

fn has_type(headers: &HeaderMap, media_type: &str) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes() == media_type.as_bytes())
}
