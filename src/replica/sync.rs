//! A sync: one step after the other until nothing is left to do (clients/PROTOCOL-CLIENT.md, 3).

use std::time::Duration;

use super::apply::{self, Applied, Pulled};
use super::state::State;
use super::step::{self, Reason, Step, Taking, Task};
use super::transport::{Request, Response};
use super::wire::{Answer, Fetched, Manifest, Page, Problem};
use super::{Replica, ReplicaError, Sum, Verdict};
use crate::domain::{Clock, SystemClock};

/// The pause after the first try of a request, and the longest.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Repairs in one sync: whoever needs more of them is overtaken by purges again and again.
const REPAIRS: u32 = 10;
/// The code of a refusal because of how full the space is, and not of who asks.
const QUOTA_EXCEEDED: &str = "quota_exceeded";
/// The reason of a repair that no answer of the server asked for.
const DIFFERENT: &str = "different";

/// What a sync did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Edits that the server took.
    pub pushed: u64,
    /// Edits that it did not take, now listed as conflicts.
    pub conflicts: u64,
    /// Edits that it cannot take, now listed too.
    pub rejected: u64,
    /// Changes that were pulled, own ones included.
    pub pulled: u64,
    /// Records that repairs fetched.
    pub fetched: u64,
    /// The reasons of the repairs: those of a 410 (PROTOCOL.md §3), and `different` where count or checksum were.
    pub repairs: Vec<String>,
    /// Requests, those without an answer included.
    pub requests: u64,
}

impl Report {
    /// Whether the replica had heard of everything and was yet not what the server has, until a repair mended it. Where
    /// nothing else writes to the file, this does not happen.
    pub fn is_mended(&self) -> bool {
        self.repairs.iter().any(|reason| reason == DIFFERENT)
    }
}

/// How far a sync is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A page came; so many changes until now, up to this revision of the head.
    Pulled {
        /// Changes until now.
        changes: u64,
        /// The revision of the last one.
        rev: u64,
        /// The newest revision of the space.
        head: u64,
    },
    /// A push was answered; so many edits until now.
    Pushed(u64),
    /// A repair fetches; so many records until now, of so many.
    Fetched {
        /// Records until now.
        records: u64,
        /// Records in all.
        of: u64,
    },
    /// A request is made again after a pause, for this reason.
    Waiting {
        /// How long.
        pause: Duration,
        /// What the trouble is.
        why: String,
    },
}

/// A sync under way.
pub(super) struct Sync<'a> {
    replica: &'a Replica,
    progress: &'a mut dyn FnMut(Progress),
    report: Report,
    /// Whether a pull to the end was made.
    pulled: bool,
    batch: usize,
    /// Why the server takes nothing more that adds to the space.
    over_quota: Option<ReplicaError>,
    to_fetch: u64,
    /// Repairs that were begun.
    repairs: u32,
    /// Whether a difference is repaired.
    mends: bool,
    /// What was held and what the server has, where they were compared: when they first differed, or at last.
    compared: Option<(Sum, Sum)>,
}

impl<'a> Sync<'a> {
    pub fn new(replica: &'a Replica, progress: &'a mut dyn FnMut(Progress)) -> Self {
        Self {
            replica,
            progress,
            report: Report::default(),
            pulled: false,
            batch: step::PUSH,
            over_quota: None,
            to_fetch: 0,
            repairs: 0,
            mends: true,
            compared: None,
        }
    }

    /// Takes steps until the replica is whole and has checked itself.
    pub fn run(mut self) -> Result<Report, ReplicaError> {
        self.steps()?;
        if let Some(refusal) = self.over_quota {
            return Err(refusal);
        }
        self.replica.write(|file| {
            let mut state = State::load(file)?;
            state.synced_at = Some(SystemClock.now().micros());
            state.save(file)
        })?;
        Ok(self.report)
    }

    /// Compares the replica, counted anew, with the server. No push is formed; one that is on its way is asked for, since
    /// nobody knows whether the server has it. A difference ends it, unless it is to be repaired.
    pub fn check(mut self, sound: bool, repair: bool) -> Result<Verdict, ReplicaError> {
        (self.batch, self.mends) = (0, repair);
        let same = match self.steps() {
            Err(ReplicaError::Wrong) if !repair => false,
            done => {
                done?;
                !self.report.is_mended()
            }
        };
        let (here, server) = match self.compared {
            Some((here, server)) => (here, Some(server)),
            None => (self.replica.read(State::load)?.sum(), None),
        };
        Ok(Verdict { sound, same, here, server, report: self.report })
    }

    fn steps(&mut self) -> Result<(), ReplicaError> {
        while let Some(task) = self.next()? {
            let mut task = task;
            // An answer may ask for a repair, and that for another.
            while let Some(reason) = self.take(&task)? {
                task = self.replica.read(|file| step::repair(file, self.replica.collections(), reason))?;
            }
        }
        Ok(())
    }

    fn next(&self) -> Result<Option<Task>, ReplicaError> {
        let taking = Taking { most: self.batch, deletions_only: self.over_quota.is_some() };
        self.replica.write(|file| step::next(file, self.replica.collections(), self.pulled, taking))
    }

    /// Makes the request of a task and applies the answer. Answers why a repair is due.
    fn take(&mut self, task: &Task) -> Result<Option<Reason>, ReplicaError> {
        let response = self.ask(&task.request)?;
        match (&task.step, response.status) {
            (_, 410) => {
                let Problem { code, reason, epoch, shared_rev, .. } = Problem::parse(&response.body);
                if code != "resync_required" {
                    return Err(refusal(&response, false));
                }
                let reason = Reason::Resync { reason, epoch, shared_rev: shared_rev.cast_signed() };
                self.may_repair(&reason)?;
                return Ok(Some(reason));
            }
            (Step::Pull, 200) => return self.page(task, &response),
            (Step::Pull, 304) if task.request.if_none_match.is_some() => self.pulled = true,
            // Who holds something of a space that is not there was told of it before: it is gone.
            (Step::Pull, 404) if self.replica.read(State::load)?.is_blank() => {
                self.replica.write(|file| apply::no_space(file, task.answers))?;
                self.pulled = true;
            }
            (Step::Send { .. }, 200) => self.pushed(task, &response)?,
            (Step::Send { changes }, 400 | 413) if Problem::parse(&response.body).code != "invalid_cursor" => {
                self.batch = self.batch.min((changes / 2).max(1));
                let problem = problem_text(&response);
                let now = SystemClock.now();
                let applied = self.replica.write(|file| apply::refused(file, task.answers, &problem, now))?;
                self.count(applied);
            }
            (Step::Send { .. }, 403) if Problem::parse(&response.body).code == QUOTA_EXCEEDED => {
                self.replica.write(|file| apply::put_off(file, task.answers))?;
                self.over_quota = Some(refusal(&response, false));
            }
            (Step::Fetch { asked, rest }, 200) => {
                let page = Fetched::parse(&response.body)?;
                let mut touched = Vec::new();
                self.replica.write(|file| apply::fetched(file, task.answers, &page, asked, rest, &mut touched))?;
                self.replica.tell(&touched);
                self.report.fetched += page.changes.len() as u64;
                let (records, of) = (self.report.fetched, self.to_fetch.max(self.report.fetched));
                (self.progress)(Progress::Fetched { records, of });
            }
            (Step::Repair(reason), 200) => {
                let manifest = Manifest::parse(&response.body)?;
                log::debug!("repairs itself by the manifest at {}", manifest.head);
                let applied = self.replica.write(|file| apply::manifest(file, task.answers, &manifest, reason))?;
                self.pulled = false;
                if let Some((missing, stale)) = applied {
                    log::info!("{missing} records are to be fetched, {stale} are not there any more");
                    self.to_fetch = self.report.fetched + missing;
                } else {
                    self.report.repairs.pop();
                }
            }
            _ => return Err(refusal(&response, self.replica.read(State::load)?.is_blank())),
        }
        Ok(None)
    }

    fn page(&mut self, task: &Task, response: &Response) -> Result<Option<Reason>, ReplicaError> {
        let page = Page::parse(&response.body)?;
        let mut touched = Vec::new();
        let etag = response.etag.clone();
        let pulled = self.replica.write(|file| apply::page(file, task.answers, &page, etag, &mut touched))?;
        self.replica.tell(&touched);
        let Some(pulled) = pulled else { return Ok(None) };
        self.report.pulled += page.changes.len() as u64;
        let rev = page.changes.last().and_then(|change| change.rev).unwrap_or(page.head).get();
        (self.progress)(Progress::Pulled { changes: self.report.pulled, rev, head: page.head.get() });
        if let Some((count, checksum)) = page.end
            && !self.report.is_mended()
        {
            let here = self.replica.read(State::load)?.sum();
            self.compared = Some((here, Sum::new(count, checksum)));
        }
        match pulled {
            Pulled::More => {}
            Pulled::Whole => self.pulled = true,
            Pulled::Different => {
                self.may_repair(&Reason::Different)?;
                return Ok(Some(Reason::Different));
            }
        }
        Ok(None)
    }

    fn pushed(&mut self, task: &Task, response: &Response) -> Result<(), ReplicaError> {
        let answer = Answer::parse(&response.body)?;
        let (scoped, now) = (self.replica.collections().is_some(), SystemClock.now());
        let applied = self.replica.write(|file| apply::answer(file, task.answers, &answer, scoped, now))?;
        self.pulled = false;
        // There may be room now.
        self.over_quota = None;
        self.count(applied);
        (self.progress)(Progress::Pushed(self.report.pushed));
        Ok(())
    }

    fn count(&mut self, applied: Option<Applied>) {
        if let Some(applied) = applied {
            self.report.pushed += applied.pushed;
            self.report.conflicts += applied.conflicts;
            self.report.rejected += applied.rejected;
            self.replica.tell(&applied.touched);
        }
    }

    /// Whether one more repair, for this reason, is of use.
    fn may_repair(&mut self, reason: &Reason) -> Result<(), ReplicaError> {
        let name = match reason {
            Reason::Resync { reason, .. } => reason.clone(),
            Reason::Different => DIFFERENT.to_owned(),
        };
        if *reason == Reason::Different && (!self.mends || self.report.is_mended()) {
            return Err(ReplicaError::Wrong);
        }
        self.repairs += 1;
        if self.repairs > REPAIRS {
            return Err(ReplicaError::Unavailable("purges overtake every repair".into()));
        }
        self.report.repairs.push(name);
        Ok(())
    }

    /// Makes a request, again where that may help.
    fn ask(&mut self, request: &Request) -> Result<Response, ReplicaError> {
        let mut pause = PAUSE;
        let tries = self.replica.tries();
        for attempt in 1.. {
            self.report.requests += 1;
            let (why, after) = match self.replica.send(request) {
                Ok(response) if !matches!(response.status, 429 | 500 | 502..=504) => return Ok(response),
                Ok(response) => (said(&response), response.retry_after.unwrap_or_default()),
                Err(lost) => (lost, Duration::ZERO),
            };
            if after > LONGEST_PAUSE {
                let why = format!("{why}; not before {} seconds have passed", after.as_secs());
                return Err(ReplicaError::Unavailable(why));
            }
            if attempt >= tries {
                return Err(ReplicaError::Unavailable(why));
            }
            let pause_now = pause.mul_f64(f64::midpoint(1.0, fastrand::f64())).max(after);
            (self.progress)(Progress::Waiting { pause: pause_now, why });
            std::thread::sleep(pause_now);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Err(ReplicaError::Unavailable("no try was allowed".into()))
    }
}

/// What a status that nothing can be done about means. To a `blank` replica nothing can be gone.
fn refusal(response: &Response, blank: bool) -> ReplicaError {
    let problem = Problem::parse(&response.body);
    match response.status {
        401 => ReplicaError::Denied(said(response)),
        403 if problem.code != QUOTA_EXCEEDED => ReplicaError::Denied(said(response)),
        404 if problem.code == "not_found" && !blank => ReplicaError::Gone,
        status if problem.code.is_empty() => {
            ReplicaError::Protocol(format!("an answer with status {status} and without a problem"))
        }
        _ => ReplicaError::Refused { code: problem.code, detail: problem.detail },
    }
}

fn said(response: &Response) -> String {
    let Problem { code, detail, .. } = Problem::parse(&response.body);
    match (code.is_empty(), detail.is_empty()) {
        (true, _) => format!("status {}", response.status),
        (false, true) => code,
        (false, false) => format!("{code}: {detail}"),
    }
}

/// The problem of a rejection, as it is listed.
fn problem_text(response: &Response) -> String {
    let text = std::str::from_utf8(&response.body).unwrap_or_default();
    let sound = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if sound { text.to_owned() } else { format!("{{\"status\":{}}}", response.status) }
}
