//! What a connection and its requests know of each other: the client that they count for, and whether the connection is
//! in the middle of something.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest};

use super::account::{Account, Place};

/// A connection. All of it happens on one thread.
pub struct Connection {
    /// The client, where all requests come from the same one: not behind a proxy.
    client: Option<Arc<Account>>,
    /// Among all, and among those of the client.
    _places: [Option<Place>; 2],
    /// Requests begun so far.
    begun: Cell<u32>,
    /// Requests begun when bytes arrived last; `None` when none did.
    begun_when_read: Cell<Option<u32>>,
    /// Requests that are not done yet.
    open: Cell<u32>,
}

impl Connection {
    pub(super) fn new(client: Option<Arc<Account>>, places: [Option<Place>; 2]) -> Self {
        Self { client, _places: places, begun: Cell::new(0), begun_when_read: Cell::new(None), open: Cell::new(0) }
    }

    /// Looks at the connection that `req` came by. A request of HTTP/1.1 finds it with its socket, one of HTTP/2 has it
    /// with it.
    pub(super) fn of<T>(req: &HttpRequest, look: impl Fn(&Rc<Self>) -> T) -> Option<T> {
        if let Some(connection) = req.conn_data::<Rc<Self>>() {
            return Some(look(connection));
        }
        req.extensions().get::<Rc<Self>>().map(look)
    }

    /// Who all requests of this connection count for.
    pub(super) fn client(&self) -> Option<&Arc<Account>> {
        self.client.as_ref()
    }

    /// Bytes arrived.
    #[inline]
    pub fn read(&self) {
        self.begun_when_read.set(Some(self.begun.get()));
    }

    /// Whether the head of a request is due: the first one, or one that has begun to arrive.
    #[inline]
    pub fn awaits_head(&self) -> bool {
        self.open.get() == 0 && self.begun_when_read.get().is_none_or(|begun| begun == self.begun.get())
    }

    /// Whether no request is under way.
    pub fn is_idle(&self) -> bool {
        self.open.get() == 0
    }

    /// Requests begun so far.
    pub fn begun(&self) -> u32 {
        self.begun.get()
    }
}

/// A request that is under way, until its answer is handed over or its client is gone.
pub struct Busy(Rc<Connection>);

impl Busy {
    /// Its head is there.
    #[inline]
    pub fn begin(connection: &Rc<Connection>) -> Self {
        connection.begun.set(connection.begun.get().wrapping_add(1));
        connection.open.set(connection.open.get() + 1);
        Self(Rc::clone(connection))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}
