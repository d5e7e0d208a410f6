//! A connection of HTTP/2, which comes with TLS.
//!
//! actix's own dispatcher has no bound on the streams of a connection or on their headers, waits for ever on a client that
//! takes nothing, and knows no end in order; so the application is called from here.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use actix_http::{HttpMessage, Payload, Request, Response};
use actix_service::Service;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Bytes};
use futures_util::Stream;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use tokio::time::{Instant, sleep, timeout};

use crate::http::{Api, Connection, Limit, Socket, Timed};

/// Requests of one connection at a time: more than a browser sends.
const STREAMS: u32 = 128;
/// Bytes of a body, and of all bodies of a connection, that may come before somebody reads them.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Bytes that are handed over at a time.
const CHUNK: usize = 16 << 10;
/// Headers, as HTTP/2 counts them, beyond which nobody reads on. What is too long but not that long gets a problem.
const HEAD: u32 = 256 << 10;
/// Whoever is told to go, and has nothing more to wait for, is gone after this time.
const LEAVE: Duration = Duration::from_secs(1);

/// Headers that HTTP/2 does not have.
const OF_HTTP1: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Serves a connection to its end. An idle one is kept for the time `idle`, and at most twice as long.
pub(super) async fn serve<S, A>(
    socket: Timed<S>,
    app: Rc<A>,
    peer: Option<SocketAddr>,
    idle: Duration,
    api: web::Data<Api>,
) where
    S: Socket,
    A: Service<Request> + 'static,
    A::Response: Into<Response<BoxBody>>,
    A::Error: Into<Response<BoxBody>>,
    A::Future: 'static,
{
    let state = Rc::clone(socket.connection());
    let handshake = Builder::new()
        .max_concurrent_streams(STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEAD)
        .handshake::<_, Bytes>(socket);
    let Ok(Ok(mut connection)) = timeout(api.throttle.limits().head_time.unwrap_or(Duration::MAX), handshake).await
    else {
        return;
    };
    let (mut stop, mut tick) = (pin!(api.feed.closed()), pin!(sleep(idle)));
    let (mut leaving, mut begun) = (false, state.begun());
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    let request = converted(request, peer, &state);
                    tokio::task::spawn_local(answer(Rc::clone(&app), request, respond, api.clone()));
                }
                Some(Err(error)) => return log::debug!("a connection of HTTP/2 broke: {error}"),
                None => return,
            },
            () = &mut stop, if !leaving => {
                leaving = true;
                connection.graceful_shutdown();
                tick.as_mut().reset(Instant::now() + LEAVE);
            }
            () = &mut tick => {
                let unused = state.is_idle() && state.begun() == begun;
                if unused && leaving {
                    return;
                }
                if unused {
                    leaving = true;
                    connection.graceful_shutdown();
                }
                begun = state.begun();
                tick.as_mut().reset(Instant::now() + if leaving { LEAVE } else { idle });
            }
        }
    }
}

/// The request as the application knows requests, in the form that HTTP/1.1 gives them.
fn converted(request: http0::Request<RecvStream>, peer: Option<SocketAddr>, state: &Rc<Connection>) -> Request {
    let (parts, body) = request.into_parts();
    let payload = if body.is_end_stream() { Payload::None } else { Payload::from(Body(body).boxed()) };
    let mut request = Request::with_payload(payload);
    let head = request.head_mut();
    head.headers = parts.headers.into();
    let host = parts.uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(host) = host.filter(|_| !head.headers.contains_key(header::HOST)) {
        head.headers.insert(header::HOST, host);
    }
    (head.uri, head.method, head.version, head.peer_addr) = (parts.uri, parts.method, parts.version, peer);
    request.extensions_mut().insert(Rc::clone(state));
    request
}

/// The body of a request. What was read makes room for more.
struct Body(RecvStream);

impl Body {
    fn boxed(self) -> Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>> {
        Box::pin(self)
    }
}

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let fault = |error: h2::Error| PayloadError::Io(std::io::Error::other(error));
        let chunk = ready!(self.0.poll_data(cx));
        Poll::Ready(chunk.map(|chunk| {
            let chunk = chunk.map_err(fault)?;
            self.0.flow_control().release_capacity(chunk.len()).map_err(fault)?;
            Ok(chunk)
        }))
    }
}

/// Why an answer was not sent to its end.
enum Cut {
    /// The client wants no more of it, or is gone.
    Unwanted,
    /// The client takes nothing.
    Stalled,
    /// The body failed.
    Failed,
}

impl From<h2::Error> for Cut {
    fn from(_: h2::Error) -> Self {
        Self::Unwanted
    }
}

/// Answers one request. It ends early when the client does not wait for the answer any more.
async fn answer<A>(app: Rc<A>, request: Request, mut respond: SendResponse<Bytes>, api: web::Data<Api>)
where
    A: Service<Request>,
    A::Response: Into<Response<BoxBody>>,
    A::Error: Into<Response<BoxBody>>,
{
    let is_head = request.head().method == Method::HEAD;
    let mut call = pin!(app.call(request));
    let answered = poll_fn(|cx| match call.as_mut().poll(cx) {
        Poll::Ready(answered) => Poll::Ready(Some(answered)),
        Poll::Pending => respond.poll_reset(cx).map(|_| None),
    });
    let response = match answered.await {
        Some(Ok(response)) => response.into(),
        Some(Err(error)) => error.into(),
        None => return,
    };
    let (response, body) = response.into_parts();
    let size = body.size();
    let ends = is_head || size.is_eof();
    let Ok(mut stream) = respond.send_response(head(&response, size), ends) else { return };
    if ends {
        return;
    }
    match send(body, &mut stream, api.throttle.limits().stall_time).await {
        Ok(()) | Err(Cut::Unwanted) => {}
        Err(Cut::Stalled) => {
            api.metrics.count_refusal(Limit::Stall);
            stream.send_reset(Reason::CANCEL);
        }
        Err(Cut::Failed) => stream.send_reset(Reason::INTERNAL_ERROR),
    }
}

async fn send(body: BoxBody, stream: &mut SendStream<Bytes>, stall: Option<Duration>) -> Result<(), Cut> {
    let mut body = pin!(body);
    loop {
        let part = poll_fn(|cx| match stream.poll_reset(cx) {
            Poll::Ready(_) => Poll::Ready(Err(Cut::Unwanted)),
            Poll::Pending => body.as_mut().poll_next(cx).map(Ok),
        });
        let Some(part) = part.await? else { break };
        let mut part = part.map_err(|error| {
            log::debug!("an answer was cut short: {error}");
            Cut::Failed
        })?;
        while !part.is_empty() {
            stream.reserve_capacity(part.len().min(CHUNK));
            let room = timeout(stall.unwrap_or(Duration::MAX), poll_fn(|cx| stream.poll_capacity(cx)));
            let room = room.await.map_err(|_| Cut::Stalled)?.ok_or(Cut::Unwanted)??;
            stream.send_data(part.split_to(room.min(part.len())), false)?;
        }
    }
    Ok(stream.send_data(Bytes::new(), true)?)
}

/// The head of an answer, in the form of HTTP/2.
fn head(response: &Response<()>, size: BodySize) -> http0::Response<()> {
    let mut head = http0::Response::new(());
    *head.status_mut() = response.status();
    let headers = head.headers_mut();
    for (name, value) in response.headers() {
        if !OF_HTTP1.contains(name) && name != header::CONTENT_LENGTH {
            headers.append(name, value.clone());
        }
    }
    let silent = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if let (BodySize::Sized(size), false) = (size, silent) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    }
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::now())) {
        headers.insert(header::DATE, date);
    }
    head
}
