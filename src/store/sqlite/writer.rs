//! The one writer: a thread that owns the write connection and commits what waits for it in groups.
//!
//! A write that arrives while a commit is on its way waits for the next one, together with all that arrive meanwhile;
//! so one flush to the disk is shared by as many writes as there are, and none is acknowledged before it. A caller
//! that goes away leaves its write in the queue: what was begun is carried out.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use tokio::sync::{mpsc, oneshot};

use super::connection::failure;
use super::states::States;
use super::transaction::Transaction;
use crate::domain::Clock;
use crate::feed::Feed;
use crate::store::meters::WriteCounts;
use crate::store::writes::Defaults;
use crate::store::{StoreError, WriteMeters};

/// A group is closed after this long, so that the first in it does not wait for ever longer queues.
const GROUP_TIME: Duration = Duration::from_millis(4);
/// A group is closed at this many writes.
const GROUP_SIZE: usize = 512;

/// The queue's end that callers hold.
#[derive(Debug)]
pub(super) struct Writer {
    queue: std::sync::Mutex<Option<mpsc::Sender<Box<dyn Task>>>>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
    counts: Arc<WriteCounts>,
}

/// A write that waits: it can be run again when the group that it was in fails for the sake of another.
trait Task: Send {
    /// Does the work within a transaction and keeps the result.
    fn run(&mut self, transaction: &mut Transaction<'_>) -> Result<(), StoreError>;
    /// Hands out the result, now that it is durable, or the error.
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Work<F, T> {
    run: F,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Task for Work<F, T>
where
    F: FnMut(&mut Transaction<'_>) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn run(&mut self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        let result = match (self.run)(transaction) {
            Ok(value) => Ok(value),
            // Answers like any other: nothing was written for them, and the group goes on.
            Err(answer @ (StoreError::NoSpace(_) | StoreError::SpaceExists(_))) => Err(answer),
            Err(error) => return Err(error),
        };
        self.result = Some(result);
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { result, reply, .. } = *self;
        let nothing = || Err(StoreError::internal("a write was committed without having been run"));
        // A caller that went away has its write all the same.
        let _ = reply.send(committed.and_then(|()| result.unwrap_or_else(nothing)));
    }
}

impl Writer {
    /// Starts the thread. `queue` is how many writes may wait.
    pub fn start(
        connection: SqliteConnection,
        clock: Arc<dyn Clock>,
        feed: Feed,
        states: Arc<States>,
        defaults: Defaults,
        queue: usize,
    ) -> Result<Self, StoreError> {
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let (cache, counts) = (super::transaction::Cache::new(defaults), Arc::<WriteCounts>::default());
        let mut state = WriterThread { connection, cache, clock, feed, states, counts: Arc::clone(&counts) };
        let thread = std::thread::Builder::new().name("strandline-writer".into()).spawn(move || state.run(receiver));
        let thread = thread.map_err(StoreError::internal)?;
        let (queue, thread) = (std::sync::Mutex::new(Some(sender)), std::sync::Mutex::new(Some(thread)));
        Ok(Self { queue, thread, counts })
    }

    /// Queues `work` and waits until it is durable.
    ///
    /// `work` may run more than once, each time in a transaction that knows nothing of the time before.
    pub async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnMut(&mut Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task: Box<dyn Task> = Box::new(Work { run: work, result: None, reply });
        {
            let queue = self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let queue = queue.as_ref().ok_or_else(closed)?;
            queue.try_send(task).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => {
                    self.counts.refuse();
                    StoreError::Busy
                }
                mpsc::error::TrySendError::Closed(_) => closed(),
            })?;
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// What was counted, and what waits now.
    pub fn meters(&self) -> WriteMeters {
        let queue = self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (limit, free) = queue.as_ref().map_or((0, 0), |queue| (queue.max_capacity(), queue.capacity()));
        self.counts.read(limit - free, limit)
    }

    /// Commits what waits and ends the thread.
    pub fn close(&self) {
        self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!("the writer thread panicked");
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is being closed".into())
}

struct WriterThread {
    connection: SqliteConnection,
    cache: super::transaction::Cache,
    clock: Arc<dyn Clock>,
    feed: Feed,
    states: Arc<States>,
    counts: Arc<WriteCounts>,
}

impl WriterThread {
    fn run(&mut self, mut queue: mpsc::Receiver<Box<dyn Task>>) {
        while let Some(first) = queue.blocking_recv() {
            let mut group = vec![first];
            match self.commit(&mut group, Some(&mut queue)) {
                Ok(()) => finish(group, || Ok(())),
                Err(error) if group.len() == 1 => finish(group, || Err(error.copy())),
                // One of them is at fault, or the disk is full. Alone, each gets the answer that is its own.
                Err(_) => group.into_iter().for_each(|task| {
                    let mut alone = vec![task];
                    let committed = self.commit(&mut alone, None);
                    finish(alone, || committed.as_ref().map_or_else(|error| Err(error.copy()), |()| Ok(())));
                }),
            }
        }
    }

    /// Runs the group, and what joins it meanwhile, in one transaction.
    fn commit(
        &mut self,
        group: &mut Vec<Box<dyn Task>>,
        queue: Option<&mut mpsc::Receiver<Box<dyn Task>>>,
    ) -> Result<(), StoreError> {
        let begun = Instant::now();
        self.connection.batch_execute("BEGIN IMMEDIATE").map_err(failure)?;
        let done = self.run_group(group, queue).and_then(|touched| {
            let committing = Instant::now();
            self.connection.batch_execute("COMMIT").map_err(failure)?;
            self.counts.committed(group.len(), begun.elapsed(), committing.elapsed());
            Ok(touched)
        });
        match done {
            Ok(touched) => {
                self.states.note_own_commit();
                for space in &touched {
                    self.feed.wake(space);
                }
                Ok(())
            }
            Err(error) => {
                self.cache.clear();
                // SQLite may have rolled back by itself (as when the disk is full), and then says that there is nothing
                // to roll back: either way, nothing of this transaction is left.
                let _ = self.connection.batch_execute("ROLLBACK");
                Err(error)
            }
        }
    }

    fn run_group(
        &mut self,
        group: &mut Vec<Box<dyn Task>>,
        mut queue: Option<&mut mpsc::Receiver<Box<dyn Task>>>,
    ) -> Result<Vec<crate::domain::SpaceName>, StoreError> {
        let begun = Instant::now();
        let mut transaction = Transaction::begin(&mut self.connection, &mut self.cache, self.clock.now())?;
        if transaction.others_wrote {
            self.feed.wake_all();
        }
        for task in &mut *group {
            run_guarded(task, &mut transaction)?;
        }
        while group.len() < GROUP_SIZE && begun.elapsed() < GROUP_TIME {
            let Some(mut task) = queue.as_mut().and_then(|queue| queue.try_recv().ok()) else { break };
            let done = run_guarded(&mut task, &mut transaction);
            group.push(task);
            done?;
        }
        transaction.finish()
    }
}

/// A panic is a fault of one write. The thread outlives it: the transaction is rolled back and the cache cleared.
fn run_guarded(task: &mut Box<dyn Task>, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| task.run(transaction)))
        .unwrap_or_else(|_| Err(StoreError::internal("a write panicked")))
}

fn finish(group: Vec<Box<dyn Task>>, outcome: impl Fn() -> Result<(), StoreError>) {
    for task in group {
        task.finish(outcome());
    }
}
