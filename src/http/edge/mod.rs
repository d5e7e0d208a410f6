//! The edge of a connection of HTTP/1.1: what cannot be read as a request gets a problem too (PROTOCOL.md §8).
//!
//! Such a request reaches no route and no middleware. actix's dispatcher answers it with a bare head, the last bytes of
//! the connection, and has no hook for more. So the connection itself knows that head and writes the whole answer in its
//! place. Nothing else looks like it: every error of ours has a body. It also sees to it that the head of every request,
//! and not just of the first, is there in time.

mod refusal;
mod timed;

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready as poll_ready};
use std::time::{Duration, SystemTime};

use actix_web::ResponseError;
use actix_web::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::Api;
use super::problem::{PROBLEM_JSON, Problem};
use super::throttle::{Connection, Limit, Refusal};
use refusal::Bare;

pub use timed::{Socket, Timed};

/// A client has this long to take a refusal and close.
const LINGER: Duration = Duration::from_secs(1);

/// How the end of a refused connection goes.
enum Ending {
    /// This is still to be written.
    Answer(Vec<u8>),
    /// All is said; what still arrives is thrown away until this rings. To close at once would make the system reset
    /// the connection, and the client might lose the answer with that.
    Linger(Pin<Box<Sleep>>),
}

impl Ending {
    fn of(problem: &Problem, date: &[u8]) -> Self {
        let (status, body) = (problem.status_code(), problem.to_json());
        let retry = problem.retry_after().map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {} {}\r\ncontent-length: {}\r\nconnection: close\r\ncontent-type: {PROBLEM_JSON}\r\n\
             cache-control: no-store\r\n{retry}",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default(),
            body.len()
        );
        Self::Answer([head.as_bytes(), date, b"\r\n\r\n", &body].concat())
    }

    fn now(problem: &Problem) -> Self {
        Self::of(problem, format!("date: {}", httpdate::fmt_http_date(SystemTime::now())).as_bytes())
    }

    /// Writes the answer and waits until the client has closed, or long enough.
    fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut socket = Pin::new(socket);
        while let Self::Answer(answer) = self {
            if answer.is_empty() {
                poll_ready!(socket.as_mut().poll_shutdown(cx))?;
                *self = Self::Linger(Box::pin(sleep(LINGER)));
            } else {
                match poll_ready!(socket.as_mut().poll_write(cx, answer))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    written => drop(answer.drain(..written)),
                }
            }
        }
        if let Self::Linger(timer) = self {
            if timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            loop {
                let mut space = [0; 4096];
                let mut rest = ReadBuf::new(&mut space);
                let read = poll_ready!(socket.as_mut().poll_read(cx, &mut rest));
                if read.is_err() || rest.filled().is_empty() {
                    break;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Refuses a connection before it has asked for anything.
///
/// # Errors
/// When the client is gone.
pub async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(mut socket: S, refusal: Refusal, api: &Api) -> io::Result<()> {
    let mut ending = Ending::now(&refusal.problem(&api.metrics));
    poll_fn(|cx| ending.poll(&mut socket, cx)).await
}

/// A connection that knows the dispatcher's bare heads.
pub struct Edge<S> {
    socket: Timed<S>,
    /// Set from a refusal on, after which nothing else comes.
    ending: Option<Ending>,
    /// Rings when the head that is awaited should have been there; and how many requests had begun by then.
    head: Option<(Pin<Box<Sleep>>, u32)>,
}

impl<S> Edge<S> {
    /// Around a connection.
    pub fn new(socket: Timed<S>) -> Self {
        Self { socket, ending: None, head: None }
    }

    /// What the requests of this connection are to know of it.
    pub fn connection(&self) -> &Rc<Connection> {
        self.socket.connection()
    }

    /// Sets the timer where a head is awaited. Called when all that has arrived was looked at, so that a request that
    /// comes in one piece sets none.
    fn watch_head(&mut self, cx: &mut Context<'_>) {
        if !self.connection().awaits_head() {
            self.head = None;
        } else if self.head.is_none() {
            self.head = self.socket.api().throttle.limits().head_time.map(|time| {
                let mut timer = Box::pin(sleep(time));
                // The connection is one task for all its life, so that it need not be told of again.
                let _ = timer.as_mut().poll(cx);
                (timer, self.connection().begun())
            });
        }
    }

    fn head_is_late(&self) -> bool {
        let connection = self.connection();
        self.head.as_ref().is_some_and(|(timer, begun)| {
            timer.is_elapsed() && connection.awaits_head() && *begun == connection.begun()
        })
    }

    fn late(&self) -> Problem {
        let api = self.socket.api();
        api.metrics.count_refusal(Limit::HeadTime);
        let seconds = api.throttle.limits().head_time.unwrap_or_default().as_secs();
        Problem::invalid(format!("the head of a request must arrive within {seconds} seconds"))
            .with_status(StatusCode::REQUEST_TIMEOUT)
    }
}

impl<S: Socket> AsyncRead for Edge<S> {
    #[inline]
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.ending.is_none() {
            let before = buf.filled().len();
            let read = Pin::new(&mut this.socket).poll_read(cx, buf);
            if read.is_ready() {
                if buf.filled().len() > before {
                    this.connection().read();
                }
                return read;
            }
            if this.head.is_none() || !this.head_is_late() {
                return Poll::Pending;
            }
            this.ending = Some(Ending::now(&this.late()));
        }
        // To the dispatcher the client has closed.
        this.ending.as_mut().map_or(Poll::Pending, |ending| ending.poll(&mut this.socket, cx))
    }
}

impl<S: Socket> AsyncWrite for Edge<S> {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.ending.is_none() {
            let Some(bare) = Bare::find(bytes) else {
                return Pin::new(&mut this.socket).poll_write(cx, bytes);
            };
            if !bare.before.is_empty() {
                // The dispatcher comes again with the rest, which is the bare head alone.
                return Pin::new(&mut this.socket).poll_write(cx, bare.before);
            }
            if bare.refusal.is_long() {
                this.socket.api().metrics.count_refusal(Limit::Head);
            }
            let most = this.socket.api().throttle.limits().head_bytes;
            this.ending = Some(Ending::of(&bare.refusal.problem(most), bare.date));
        }
        let ending = this.ending.as_mut().map_or(Poll::Pending, |ending| ending.poll(&mut this.socket, cx));
        poll_ready!(ending)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // The dispatcher has one buffer, and does not come here.
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch_head(cx);
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
