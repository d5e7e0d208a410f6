//! Carries out what waits in the queue: groups it, tries again where that is safe, and answers after the commit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use super::fault::{Fault, closed};
use super::group::{Attempt, Failure, Group, Locking};
use super::link::Link;
use super::pool::Pool;
use super::queue::{Lanes, Queue, Refused};
use super::states::States;
use super::task::Task;
use crate::domain::push::{PushRequest, Pushed};
use crate::domain::record::{RecordWrite, Written};
use crate::domain::{Clock, SpaceName};
use crate::feed::Feed;
use crate::store::meters::WriteCounts;
use crate::store::writes::Defaults;
use crate::store::{StoreError, WriteMeters};

/// How often a group is tried where trying again is safe.
const TRIES: u32 = 6;
/// The first pause between two tries. It doubles, and varies, so that those who were in each other's way part.
const PAUSE: Duration = Duration::from_millis(20);
/// Transactions that several spaces share, at once: while one is being committed, the next one forms.
const SHARED: usize = 2;

/// What the writer works with.
pub(super) struct Tools {
    pub pool: Pool,
    pub states: Arc<States>,
    pub link: Link,
    pub feed: Feed,
    pub clock: Arc<dyn Clock>,
    pub defaults: Defaults,
    pub patience: Duration,
    pub counts: WriteCounts,
}

/// The writer's handle. Cloning is cheap.
#[derive(Clone)]
pub(super) struct Writer(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    idle: Notify,
    tools: Tools,
    runtime: Handle,
}

impl Writer {
    /// A writer with `connections` connections of `tools.pool`, for at most `queue` waiting writes.
    pub fn new(tools: Tools, connections: u32, queue: usize) -> Self {
        // At least one connection is left to groups that wait for no lock.
        let connections = usize::try_from(connections).unwrap_or(usize::MAX).max(2);
        let shared = SHARED.min(connections - 1);
        let lanes = Lanes { shared, alone: connections - shared };
        let queue = Mutex::new(Queue::new(queue, lanes));
        Self(Arc::new(Shared { queue, idle: Notify::new(), tools, runtime: Handle::current() }))
    }

    /// Queues a push and waits until it is durable.
    pub async fn push(&self, request: PushRequest) -> Result<Pushed, StoreError> {
        let (task, answer) = Task::push(request);
        self.queue(task)?;
        answered(answer).await
    }

    /// Queues a write of one record and waits until it is durable.
    pub async fn write(&self, request: RecordWrite) -> Result<Written, StoreError> {
        let (task, answer) = Task::write(request);
        self.queue(task)?;
        answered(answer).await
    }

    fn queue(&self, task: Task) -> Result<(), StoreError> {
        let mut queue = self.lock();
        queue.push(task).map_err(|refused| match refused {
            Refused::Full => {
                self.0.tools.counts.refuse();
                StoreError::Busy
            }
            Refused::Closed => closed(),
        })?;
        self.start(&mut queue);
        Ok(())
    }

    /// Starts a task for each group that may begin now.
    fn start(&self, queue: &mut Queue) {
        while let Some((group, locking)) = queue.next() {
            let this = self.clone();
            self.0.runtime.spawn(async move {
                let spaces = group.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
                let left = this.carry_out(group, locking).await;
                let done = spaces.into_iter().filter(|name| !left.iter().any(|(left, _)| left == name)).collect();
                let mut queue = this.lock();
                queue.ended(locking, done, left);
                this.start(&mut queue);
                if queue.is_idle() {
                    this.0.idle.notify_waiters();
                }
            });
        }
    }

    /// Carries out a group and answers its writes; what is left over is handed back.
    async fn carry_out(&self, mut group: Group, locking: Locking) -> Group {
        let mut left = Group::new();
        match self.tried(&mut group, locking, &mut left).await {
            Ok(()) => finish(group, || Ok(())),
            // One of them may be at fault. Alone, each gets the answer that is its own.
            Err(Failure::Undone(Fault::Store(StoreError::Internal(_) | StoreError::StorageFull)))
                if is_many(&group) =>
            {
                for (name, tasks) in group {
                    for task in tasks {
                        let mut alone = vec![(name.clone(), vec![task])];
                        let done = self.tried(&mut alone, Locking::Wait, &mut Group::new()).await;
                        answer(alone, done);
                    }
                }
            }
            Err(failure) => answer(group, Err(failure)),
        }
        left
    }

    /// Tries a group until it is through, or trying again is not safe, or has been of no use for too long.
    async fn tried(&self, group: &mut Group, locking: Locking, left: &mut Group) -> Result<(), Failure> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            match self.attempt(group, locking, left).await {
                Err(Failure::Undone(fault @ (Fault::RolledBack(_) | Fault::Lost(_)))) => {
                    self.0.tools.pool.doubt(&fault);
                    if attempt >= TRIES {
                        return Err(Failure::Undone(fault));
                    }
                    log::debug!("a write is tried again: {fault}");
                }
                Err(Failure::Unknown(why)) => {
                    // It may have been carried out, so that nothing that is remembered of these spaces may be answered.
                    for (name, _) in group.iter() {
                        self.tell(name);
                    }
                    return Err(Failure::Unknown(why));
                }
                done => return done,
            }
            tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            pause *= 2;
        }
        Ok(())
    }

    async fn attempt(&self, group: &mut Group, locking: Locking, left: &mut Group) -> Result<(), Failure> {
        let tools = &self.0.tools;
        let session = tools.pool.session().await?;
        // Taken before the locks: what is heard of a space from here on came perhaps after this commit.
        let ticket = tools.states.ticket();
        let attempt = Attempt {
            states: &tools.states,
            clock: &*tools.clock,
            defaults: tools.defaults,
            patience: tools.patience,
            counts: &tools.counts,
        };
        let changed = attempt.run(session, group, locking, left).await?;
        for known in changed {
            tools.states.wrote(ticket, &known);
            tools.feed.wake(&known.row.state.name);
            tools.link.tell(&known.row.state.name);
        }
        Ok(())
    }

    /// Makes known, here and to other nodes, that a space was perhaps changed.
    fn tell(&self, space: &SpaceName) {
        let tools = &self.0.tools;
        tools.states.changed(space);
        tools.feed.wake(space);
        tools.link.tell(space);
    }

    /// What was counted, and what waits now.
    pub fn meters(&self) -> WriteMeters {
        let (waiting, limit) = self.lock().waiting();
        self.0.tools.counts.read(waiting, limit)
    }

    /// Turns away writes from now on, and waits for those that are there.
    pub async fn close(&self) {
        self.lock().close();
        loop {
            let idle = self.0.idle.notified();
            if self.lock().is_idle() {
                return;
            }
            idle.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answered<T>(answer: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
    answer.await.unwrap_or_else(|_| Err(closed()))
}

/// Answers the writes of a group whose work is done, or will not be.
fn answer(group: Group, done: Result<(), Failure>) {
    let error = match done {
        Ok(()) => return finish(group, || Ok(())),
        Err(Failure::Undone(fault)) => fault.into_store(),
        Err(Failure::Unknown(why)) => {
            StoreError::Unavailable(format!("the connection was lost during a commit, whose end is not known: {why}"))
        }
    };
    finish(group, || Err(error.copy()));
}

fn is_many(group: &Group) -> bool {
    group.iter().map(|(_, tasks)| tasks.len()).sum::<usize>() > 1
}

fn finish(group: Group, outcome: impl Fn() -> Result<(), StoreError>) {
    for task in group.into_iter().flat_map(|(_, tasks)| tasks) {
        task.finish(outcome());
    }
}
