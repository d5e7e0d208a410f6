//! The edge of a connection: what cannot be read as a request gets a problem too (PROTOCOL.md §8).
//!
//! Such a request reaches no route and no middleware. actix's HTTP/1 dispatcher answers it with a bare head, the last
//! bytes of the connection, and has no hook for more. So the connection itself knows that head and writes the whole
//! answer in its place. Nothing else looks like it: every error of ours has a body.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready as poll_ready};
use std::time::Duration;

use actix_web::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::problem::{Code, PROBLEM_JSON, Problem};

/// The first head of a connection has to be there within this time.
pub const HEAD_SECONDS: u64 = 5;
/// A client has this long to take a refusal and close.
const LINGER: Duration = Duration::from_secs(1);
/// What actix takes at most as the head of a request (`MAX_BUFFER_SIZE` and `MAX_HEADERS` of its decoder).
const HEAD_BYTES: usize = 131_072;
const HEAD_FIELDS: usize = 96;

/// The part of a bare head that is always as long as this.
const DATE: &str = "date: Sun, 06 Nov 1994 08:49:37 GMT";
/// What the request before left as the state of the connection.
const CONNECTIONS: [&[u8]; 3] = [b"connection: close\r\n", b"connection: keep-alive\r\n", b"connection: upgrade\r\n"];
const VERSIONS: [&[u8]; 2] = [b"HTTP/1.1 ", b"HTTP/1.0 "];

/// The refusals that the dispatcher writes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// No request can be read.
    Malformed,
    /// The head did not end in time.
    Slow,
    /// The head is too long.
    Long,
}

impl Refusal {
    const ALL: [Self; 3] = [Self::Malformed, Self::Slow, Self::Long];

    fn status_line(self) -> &'static str {
        match self {
            Self::Malformed => "400 Bad Request",
            Self::Slow => "408 Request Timeout",
            Self::Long => "431 Request Header Fields Too Large",
        }
    }

    fn problem(self) -> Problem {
        match self {
            Self::Malformed => Problem::invalid(
                "this cannot be read as a request of HTTP/1.1: the request line, a header, or the way in which the body \
                 is sent is malformed, or the target is too long",
            ),
            Self::Slow => Problem::invalid(format!("the head of a request must arrive within {HEAD_SECONDS} seconds"))
                .with_status(StatusCode::REQUEST_TIMEOUT),
            Self::Long => Problem::new(
                Code::TooLarge,
                format!("the head of a request may have {HEAD_BYTES} bytes and {HEAD_FIELDS} headers"),
            )
            .with_status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        }
    }

    /// The whole answer.
    fn answer(self, date: &[u8]) -> Vec<u8> {
        let (status, body) = (self.status_line(), self.problem().to_json());
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\ncontent-type: {PROBLEM_JSON}\r\n\
             cache-control: no-store\r\n",
            body.len()
        );
        [head.as_bytes(), date, b"\r\n\r\n", &body].concat()
    }
}

/// A bare head at the end of what is to be written.
#[derive(Debug, PartialEq, Eq)]
struct Bare<'a> {
    /// An answer to an earlier request may stand before it.
    before: &'a [u8],
    refusal: Refusal,
    date: &'a [u8],
}

impl<'a> Bare<'a> {
    /// Looks from the end, where nearly every other answer differs in the first four bytes.
    fn find(bytes: &'a [u8]) -> Option<Self> {
        let head = bytes.strip_suffix(b"\r\n\r\n")?;
        let (head, date) = head.split_at_checked(head.len().checked_sub(DATE.len())?)?;
        if !date.starts_with(b"date: ") {
            return None;
        }
        let head = CONNECTIONS.iter().find_map(|connection| head.strip_suffix(*connection)).unwrap_or(head);
        let head = head.strip_suffix(b"\r\ncontent-length: 0\r\n")?;
        let status = |refusal: Refusal| Some((refusal, head.strip_suffix(refusal.status_line().as_bytes())?));
        let (refusal, head) = Refusal::ALL.into_iter().find_map(status)?;
        let before = VERSIONS.iter().find_map(|version| head.strip_suffix(*version))?;
        Some(Self { before, refusal, date })
    }
}

/// How the end of a refused connection goes.
enum Ending {
    /// This is still to be written.
    Answer(Vec<u8>),
    /// All is said; what still arrives is thrown away until this rings. To close at once would make the system reset
    /// the connection, and the client might lose the answer with that.
    Linger(Pin<Box<Sleep>>),
}

/// A connection that knows the dispatcher's bare heads.
pub struct Edge<S> {
    socket: S,
    /// Set from the bare head on, after which nothing else comes.
    ending: Option<Ending>,
}

impl<S> Edge<S> {
    /// Around a connection.
    pub fn new(socket: S) -> Self {
        Self { socket, ending: None }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Edge<S> {
    /// Writes the answer and waits until the client has closed, or long enough.
    fn poll_ending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut socket = Pin::new(&mut self.socket);
        while let Some(Ending::Answer(answer)) = &mut self.ending {
            if answer.is_empty() {
                poll_ready!(socket.as_mut().poll_shutdown(cx))?;
                self.ending = Some(Ending::Linger(Box::pin(sleep(LINGER))));
            } else {
                match poll_ready!(socket.as_mut().poll_write(cx, answer))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    written => drop(answer.drain(..written)),
                }
            }
        }
        if let Some(Ending::Linger(timer)) = &mut self.ending {
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

impl<S: AsyncRead + Unpin> AsyncRead for Edge<S> {
    #[inline]
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Edge<S> {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.ending.is_none() {
            let Some(bare) = Bare::find(bytes) else {
                return Pin::new(&mut self.socket).poll_write(cx, bytes);
            };
            if !bare.before.is_empty() {
                // The dispatcher comes again with the rest, which is the bare head alone.
                return Pin::new(&mut self.socket).poll_write(cx, bare.before);
            }
            self.ending = Some(Ending::Answer(bare.refusal.answer(bare.date)));
        }
        poll_ready!(self.poll_ending(cx))?;
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
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_head_is_found_at_the_end_alone() {
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            for connection in ["", "connection: close\r\n", "connection: keep-alive\r\n", "connection: upgrade\r\n"] {
                for refusal in Refusal::ALL {
                    let status = refusal.status_line();
                    let bare = format!("{version} {status}\r\ncontent-length: 0\r\n{connection}{DATE}\r\n\r\n");
                    for before in ["", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"] {
                        let all = format!("{before}{bare}");
                        let found = Bare { before: before.as_bytes(), refusal, date: DATE.as_bytes() };
                        assert_eq!(Bare::find(all.as_bytes()), Some(found), "{all}");
                    }
                    for cut in 1..=bare.len() {
                        assert_eq!(Bare::find(&bare.as_bytes()[cut..]), None, "{bare} from {cut}");
                        assert_eq!(Bare::find(&bare.as_bytes()[..bare.len() - cut]), None, "{bare} less {cut}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_has_a_body_or_another_field_or_status_is_no_bare_head() {
        for other in [
            "HTTP/1.1 204 No Content\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\na: b\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "\r\n\r\n",
            "",
        ] {
            assert_eq!(Bare::find(other.as_bytes()), None, "{other}");
        }
    }
}
