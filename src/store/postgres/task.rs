//! A write that waits for its turn, and its answer.

use tokio::sync::oneshot;

use super::transaction::Transaction;
use crate::domain::push::{PushRequest, Pushed};
use crate::domain::record::{RecordWrite, Written};
use crate::domain::{CollectionName, RecordId, SpaceName};
use crate::store::{StoreError, writes};

/// A write, which may be run more than once, each time in a transaction that knows nothing of the time before.
pub(super) struct Task {
    work: Work,
    /// Bytes of what it writes.
    bytes: usize,
    done: Option<Answer>,
}

enum Work {
    Push(Box<PushRequest>, Reply<Pushed>),
    Write(Box<RecordWrite>, Reply<Written>),
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

enum Answer {
    Push(Pushed),
    Write(Written),
}

impl Task {
    /// A push, and where its answer comes.
    pub fn push(request: PushRequest) -> (Self, oneshot::Receiver<Result<Pushed, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        let bytes = request.changes.iter().map(|change| change.op.bytes()).sum();
        (Self { work: Work::Push(Box::new(request), reply), bytes, done: None }, answer)
    }

    /// A write of one record, and where its answer comes.
    pub fn write(request: RecordWrite) -> (Self, oneshot::Receiver<Result<Written, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        let bytes = request.op.bytes();
        (Self { work: Work::Write(Box::new(request), reply), bytes, done: None }, answer)
    }

    /// The space that it is about.
    pub fn space(&self) -> &SpaceName {
        match &self.work {
            Work::Push(request, _) => &request.space,
            Work::Write(request, _) => &request.space,
        }
    }

    /// How many records it is about.
    pub fn size(&self) -> usize {
        match &self.work {
            Work::Push(request, _) => request.changes.len(),
            Work::Write(..) => 1,
        }
    }

    /// Bytes of what it writes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The records that it is about.
    pub fn keys(&self) -> impl Iterator<Item = (&CollectionName, &RecordId)> {
        let (changes, single) = match &self.work {
            Work::Push(request, _) => (request.changes.as_slice(), None),
            Work::Write(request, _) => (&[][..], Some((&request.collection, &request.id))),
        };
        changes.iter().map(|change| (&change.collection, &change.id)).chain(single)
    }

    /// The client whose `seq` it asks for.
    pub fn client(&self) -> Option<&str> {
        match &self.work {
            Work::Push(request, _) => request.seq.as_ref().map(|(client, _)| client.as_str()),
            Work::Write(..) => None,
        }
    }

    /// Does the work within a transaction and keeps the answer. A panic is a fault of this write alone.
    pub fn run(&mut self, transaction: &mut Transaction) -> Result<(), StoreError> {
        let work = &self.work;
        let run = std::panic::AssertUnwindSafe(|| match work {
            Work::Push(request, _) => writes::push(transaction, request).map(Answer::Push),
            Work::Write(request, _) => writes::write(transaction, request).map(Answer::Write),
        });
        let done = std::panic::catch_unwind(run);
        self.done = Some(done.unwrap_or_else(|_| Err(StoreError::internal("a write panicked")))?);
        Ok(())
    }

    /// Hands out the answer, now that it is durable, or the error. A caller that went away has its write all the same.
    pub fn finish(self, committed: Result<(), StoreError>) {
        let nothing = || StoreError::internal("a write was committed without having been run");
        match (self.work, committed, self.done) {
            (Work::Push(_, reply), Ok(()), Some(Answer::Push(done))) => drop(reply.send(Ok(done))),
            (Work::Write(_, reply), Ok(()), Some(Answer::Write(done))) => drop(reply.send(Ok(done))),
            (Work::Push(_, reply), committed, _) => drop(reply.send(Err(committed.err().unwrap_or_else(nothing)))),
            (Work::Write(_, reply), committed, _) => drop(reply.send(Err(committed.err().unwrap_or_else(nothing)))),
        }
    }
}
