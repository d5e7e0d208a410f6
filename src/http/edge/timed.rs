//! A socket whose client has to take what is ready for it.
//!
//! It may take its time; but one that takes nothing at all holds memory and a place that others need, and is dropped. A
//! connection on which there is nothing to send may be as silent as it likes.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::web;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tokio_rustls::server::TlsStream;

use super::super::Api;
use super::super::throttle::{Connection, Limit};

/// What a connection is read from and written to.
pub trait Socket: AsyncRead + AsyncWrite + Unpin {
    /// The connection below.
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Rings when nothing was taken for too long. It is set when the first write has to wait, and looked at when one waits
/// again or still, so that a client that reads costs nothing.
struct Stall {
    timer: Pin<Box<Sleep>>,
    /// Whether anything was taken since it was set.
    taken: bool,
}

/// The socket.
pub struct Timed<S> {
    socket: S,
    connection: Rc<Connection>,
    api: web::Data<Api>,
    stall: Option<Stall>,
}

impl<S> Timed<S> {
    /// Around the socket of `connection`.
    pub fn new(socket: S, connection: Connection, api: web::Data<Api>) -> Self {
        Self { socket, connection: Rc::new(connection), api, stall: None }
    }

    /// What the requests of this connection are to know of it.
    pub fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    pub(super) fn api(&self) -> &Api {
        &self.api
    }
}

impl<S: Socket> Timed<S> {
    /// A write waits.
    fn wait(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(time) = self.api.throttle.limits().stall_time else { return Ok(()) };
        match &mut self.stall {
            None => {
                let mut timer = Box::pin(sleep(time));
                // The connection is one task for all its life, so that it need not be told of again.
                let _ = timer.as_mut().poll(cx);
                self.stall = Some(Stall { timer, taken: false });
            }
            Some(stall) if !stall.timer.is_elapsed() => {}
            Some(stall) if stall.taken => {
                stall.taken = false;
                stall.timer.as_mut().reset(Instant::now() + time);
                let _ = stall.timer.as_mut().poll(cx);
            }
            Some(_) => {
                self.api.metrics.count_refusal(Limit::Stall);
                // What the system still holds for this client goes with it.
                let _ = self.socket.tcp().set_zero_linger();
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }

    /// What came of a write.
    fn wrote(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_pending() {
            self.wait(cx)?;
        } else if let Some(stall) = &mut self.stall {
            stall.taken = true;
        }
        written
    }
}

impl<S: Socket> AsyncRead for Timed<S> {
    #[inline]
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl<S: Socket> AsyncWrite for Timed<S> {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.wrote(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.wrote(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        if flushed.is_pending() {
            // Of TLS: what was encrypted waits.
            self.wait(cx)?;
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
