//! Keeping up: a sync whenever the user edits or the server has news.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::state::State;
use super::step;
use super::transport::{Request, Response};
use super::wire::Page;
use super::{Replica, ReplicaError, Report};

/// How long the server may hold a poll.
const WAIT: u64 = 30;
/// How often it is looked whether another process edited the file.
const LOOK: Duration = Duration::from_millis(500);
/// How often a space is asked for that is not there yet.
const NO_SPACE: Duration = Duration::from_secs(5);
/// How long to wait after a poll that was answered at once, and with nothing.
const UNHELD: Duration = Duration::from_secs(5);
/// The first pause after a sync that failed, and the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What happened while a replica was kept up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// A sync ended well.
    Synced(Report),
    /// A sync failed; the next one is tried after this pause.
    Failed(ReplicaError, Duration),
}

/// Ends [`Replica::follow`].
#[derive(Clone, Default)]
pub struct Stop(Arc<Signal>);

#[derive(Default)]
struct Signal {
    state: Mutex<Flags>,
    raised: Condvar,
}

#[derive(Default)]
struct Flags {
    stop: bool,
    /// The poll of this number has found news.
    news: u64,
}

impl Stop {
    /// Ends it soon: a sync that is under way comes to its end.
    pub fn stop(&self) {
        self.lock().stop = true;
        self.0.raised.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Flags> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, for so long at the most. Whether it is to end.
    fn wait(&self, patience: Duration, enough: impl Fn(&Flags) -> bool) -> bool {
        let flags = self.lock();
        let waited = self.0.raised.wait_timeout_while(flags, patience, |flags| !flags.stop && !enough(flags));
        waited.unwrap_or_else(PoisonError::into_inner).0.stop
    }
}

impl Replica {
    /// Keeps the replica up to date until `stop` says otherwise: syncs, waits for edits, of this process or another, and for
    /// news from the server, which holds a poll open meanwhile (PROTOCOL.md §3); and begins anew. `tell` hears of each sync.
    ///
    /// # Errors
    /// Only what no waiting helps: [`ReplicaError::Denied`], [`ReplicaError::Gone`] and what is wrong with the file.
    pub fn follow(&self, stop: &Stop, mut tell: impl FnMut(&Followed)) -> Result<(), ReplicaError> {
        let mut pause = PAUSE;
        let mut poll = 0;
        loop {
            match self.sync() {
                Ok(report) => {
                    pause = PAUSE;
                    tell(&Followed::Synced(report));
                    poll += 1;
                    if self.wait_for_news(stop, poll)? {
                        return Ok(());
                    }
                }
                // A full server may have room again, and what answers for it on a strange network be gone.
                Err(
                    error @ (ReplicaError::Unavailable(_)
                    | ReplicaError::Wrong
                    | ReplicaError::Refused { .. }
                    | ReplicaError::Protocol(_)),
                ) => {
                    let this = pause.mul_f64(f64::midpoint(1.0, fastrand::f64()));
                    tell(&Followed::Failed(error, this));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    if stop.wait(this, |_| false) {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until there is something to sync. Whether it is to end.
    fn wait_for_news(&self, stop: &Stop, poll: u64) -> Result<bool, ReplicaError> {
        let asked = self.read(|file| {
            let cursor = State::load(file)?.cursor;
            cursor.map(|_| step::long_poll(file, self.collections(), WAIT)).transpose()
        })?;
        let begun = Instant::now();
        let without_space = asked.is_none();
        if let Some(request) = asked {
            let (this, stop) = (self.clone(), stop.clone());
            // It outlives this wait where the user edits meanwhile, and then ends by itself.
            std::thread::spawn(move || this.listen(&request, &stop, poll));
        }
        loop {
            if stop.wait(LOOK, |flags| flags.news >= poll) {
                return Ok(true);
            }
            let news = stop.lock().news >= poll;
            if news || self.waiting()? > 0 || (without_space && begun.elapsed() >= NO_SPACE) {
                return Ok(false);
            }
        }
    }

    /// Polls until something is new, or the server does not answer.
    fn listen(&self, request: &Request, stop: &Stop, poll: u64) {
        loop {
            let begun = Instant::now();
            let answer = self.send(request);
            let brings = |answer: &Response| Page::parse(&answer.body).is_ok_and(|page| !page.changes.is_empty());
            let news = answer.as_ref().is_ok_and(|answer| answer.status == 200 && brings(answer));
            // A poll that was not held would be made again and again.
            if !news && begun.elapsed() < LOOK {
                stop.wait(UNHELD, |flags| flags.news > poll);
            }
            let mut flags = stop.lock();
            if flags.stop || flags.news > poll {
                return;
            }
            if !answer.is_ok_and(|answer| answer.status == 304) {
                flags.news = poll;
                stop.0.raised.notify_all();
                return;
            }
        }
    }
}
