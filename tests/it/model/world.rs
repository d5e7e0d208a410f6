//! A scenario carried out: replicas, a server, and the ledger that watches both.

use super::guard::Guards;
use super::ledger::{Broken, Kept, Ledger};
use super::replica::{Bases, Repair, Replica};
use super::scenario::{Fate, SCOPES, Step};
use super::wire::{Page, Resync, Rev, Server, Since, epoch_of, rev_of};
use crate::promise;

/// As many requests as a replica may need to come to rest when nobody else writes.
const ENOUGH: usize = 60;
/// How many records a repair fetches at once.
const FETCHED_AT_ONCE: usize = 2;

pub struct World<'a> {
    server: &'a mut dyn Server,
    ledger: Ledger,
    replicas: Vec<Replica>,
    /// The answers that are on their way to each replica.
    late: Vec<Option<Result<Page, Resync>>>,
    edits: u32,
}

/// Carries the scenario out and sees whether the promises were kept.
pub fn play(server: &mut dyn Server, steps: &[Step], guards: Guards) -> Kept {
    let kinds = [
        (None, Bases::OwnRevision),
        (None, Bases::CursorRevision),
        (SCOPES[1], Bases::OwnRevision),
        (SCOPES[2], Bases::CursorRevision),
    ];
    let replicas = kinds.into_iter().enumerate();
    let replicas: Vec<_> = replicas.map(|(who, (scope, bases))| Replica::new(who, scope, bases, guards)).collect();
    let late = replicas.iter().map(|_| None).collect();
    let mut world = World { server, ledger: Ledger::default(), replicas, late, edits: 0 };
    for (index, step) in steps.iter().enumerate() {
        world.take(step).and_then(|()| world.look()).map_err(|Broken(how)| Broken(format!("step {index}: {how}")))?;
    }
    world.settle().map_err(|Broken(how)| Broken(format!("at the end: {how}")))
}

impl World<'_> {
    fn take(&mut self, step: &Step) -> Kept {
        self.server.tick();
        self.ledger.tick();
        match *step {
            Step::Edit { who, key, op } => {
                self.edits += 1;
                self.replicas[who].edit(key, op, self.edits);
            }
            Step::Push { who, atomic, fate } => return self.push(who, atomic, fate),
            Step::Pull { who, limit } => return self.pull(who, limit),
            Step::Ask { who, limit } => return self.ask(who, limit),
            Step::Receive { who } => return self.receive(who),
            Step::Sync { who } => return self.sync(who),
            Step::Choose { who, scope } => {
                self.replicas[who].choose(SCOPES[scope]);
            }
            Step::Write { key, op } => {
                let record = self.server.write(key, op);
                return self.ledger.wrote(key, op, record.as_ref());
            }
            Step::Purge { age } => {
                self.server.purge(age);
                self.ledger.purged(age);
            }
            Step::Restart => self.server.restart(),
            Step::BackUp => {
                self.server.back_up();
                self.ledger.backed_up();
            }
            Step::Restore { backup, plainly } => return self.restore(backup, plainly),
            Step::OpenEpoch => self.server.open_epoch(),
        }
        Ok(())
    }

    fn restore(&mut self, backup: usize, plainly: bool) -> Kept {
        if self.ledger.backups() == 0 {
            return Ok(());
        }
        let backup = backup % self.ledger.backups();
        let before = self.server.epoch();
        self.server.restore(backup, plainly);
        let lost = self.ledger.restored(backup);
        promise!(!lost || self.server.epoch() != before, "what was acknowledged is lost, and epoch {before} goes on");
        Ok(())
    }

    fn push(&mut self, who: usize, atomic: bool, fate: Fate) -> Kept {
        let Some(push) = self.replicas[who].next_push(atomic) else { return Ok(()) };
        if fate == Fate::RequestLost {
            return Ok(());
        }
        let mut answered = self.server.push(&push);
        if let Ok(answer) = &mut answered {
            self.ledger.pushed(&push, answer)?;
        }
        match answered {
            _ if fate == Fate::AnswerLost => {}
            Err(resync) => self.replicas[who].take_resync(&resync),
            Ok(answer) => {
                // What stood against a refused push is not taken over, and so not known.
                if !answer.refused {
                    self.ledger.tell(who, &self.ledger.told_by(&answer));
                }
                self.replicas[who].take_answer(&answer);
            }
        }
        Ok(())
    }

    /// The next request of a client that wants to be up to date: a step of a repair, or a page.
    fn pull(&mut self, who: usize, limit: usize) -> Kept {
        self.late[who] = None;
        let replica = &mut self.replicas[who];
        replica.overtake();
        match replica.repair.clone() {
            Repair::NotNeeded if replica.is_lost() => self.compare(who, 0, None),
            Repair::Needed(shared, epoch) => self.compare(who, shared, epoch.as_deref()),
            // What the manifest had is not to be fetched from other collections than its own: the pull's 410 begins anew.
            Repair::Missing(revs) if !revs.is_empty() && !replica.is_between_scopes() => {
                let from = *revs.first().unwrap();
                let scope = self.replicas[who].scope;
                let mut fetched = self.server.fetch(&revs, scope, from, FETCHED_AT_ONCE);
                self.ledger.fetched(&mut fetched, revs.into_iter(), scope)?;
                self.replicas[who].take_fetched(&fetched);
                Ok(())
            }
            Repair::NotNeeded | Repair::Missing(_) => match self.page(who, limit)? {
                Ok(page) => {
                    self.ledger.tell(who, &page.told);
                    self.replicas[who].take_page(&page);
                    Ok(())
                }
                Err(resync) => {
                    self.replicas[who].take_resync(&resync);
                    Ok(())
                }
            },
        }
    }

    fn compare(&mut self, who: usize, shared: Rev, epoch: Option<&str>) -> Kept {
        let scope = self.replicas[who].scope;
        let mut manifest = self.server.manifest(scope);
        self.ledger.listed(&mut manifest, scope)?;
        // What a manifest says that is thrown away is not known.
        if self.replicas[who].take_manifest(&manifest, shared, epoch) {
            self.ledger.tell(who, &manifest.told);
        }
        Ok(())
    }

    fn page(&mut self, who: usize, limit: usize) -> Kept<Result<Page, Resync>> {
        let replica = &self.replicas[who];
        let since = replica.cursor.as_deref().map_or(Since::Nothing, Since::Cursor);
        let mut answered = self.server.pull(since, replica.scope, limit);
        if let Ok(page) = &mut answered {
            promise!(page.changes.len() <= limit, "a page of {} exceeds {limit}", page.changes.len());
            self.ledger.paged(page, replica.scope)?;
        }
        Ok(answered)
    }

    /// A pull whose answer takes its time.
    fn ask(&mut self, who: usize, limit: usize) -> Kept {
        let replica = &self.replicas[who];
        let ready = matches!(&replica.repair, Repair::NotNeeded) && !replica.is_lost();
        if ready {
            self.late[who] = Some(self.page(who, limit)?);
            self.replicas[who].asked();
        }
        Ok(())
    }

    /// What was late comes. It must not bring back what the replica knows to be over.
    fn receive(&mut self, who: usize) -> Kept {
        // A late 410 is asked for again.
        let Some(Ok(page)) = self.late[who].take() else { return Ok(()) };
        let before = self.replicas[who].records.clone();
        if self.replicas[who].take_late_page(&page) {
            for (key, record) in &self.replicas[who].records {
                let held = before.get(key).map(|record| record.version);
                self.ledger.may_show(who, page.told.history, *key, record.version, held)?;
            }
            self.ledger.tell(who, &page.told);
        }
        Ok(())
    }

    fn sync(&mut self, who: usize) -> Kept {
        for _ in 0..ENOUGH {
            if self.is_up_to_date(who) && !self.replicas[who].has_unsent() {
                return Ok(());
            }
            self.push(who, false, Fate::Answered)?;
            if !self.is_up_to_date(who) {
                self.pull(who, 3)?;
            }
            self.look()?;
        }
        let Replica { cursor, repair, in_flight, outbox, .. } = &self.replicas[who];
        let state = format!("{cursor:?}, {repair:?}, in flight {in_flight:?}, unsent {outbox:?}");
        Err(Broken(format!("replica {who} never comes to rest: {state}")))
    }

    fn is_up_to_date(&mut self, who: usize) -> bool {
        let epoch = self.server.epoch();
        let replica = &self.replicas[who];
        let at_head = |cursor: &str| epoch_of(cursor) == epoch && rev_of(cursor) == self.ledger.head();
        replica.is_whole() && replica.cursor.as_deref().is_some_and(at_head) && replica.repair.is_at_rest()
    }

    /// After every step: a replica at a whole cursor is right (§1). That of another epoch is not judged: it may hold
    /// what was lost.
    fn look(&mut self) -> Kept {
        if let Some(fault) = self.server.fault() {
            return Err(Broken(fault));
        }
        let epoch = self.server.epoch();
        for replica in self.replicas.iter().filter(|replica| replica.is_whole()) {
            let cursor = replica.cursor.as_deref().unwrap_or_default();
            if epoch_of(cursor) != epoch || replica.is_between_scopes() {
                continue;
            }
            let truth = self.ledger.live_at(rev_of(cursor), replica.scope);
            let held = replica.records.iter().map(|(key, record)| (*key, (record.rev.unwrap_or(0), record.data)));
            let right = truth.iter().map(|(key, value)| (*key, *value)).eq(held);
            promise!(right, "replica {} at {cursor} holds {:?}, not {truth:?}", replica.who, replica.records);
        }
        Ok(())
    }

    /// Everybody syncs until nothing is left to be said, and has what the server has.
    fn settle(&mut self) -> Kept {
        for _ in 0..2 {
            for who in 0..self.replicas.len() {
                self.receive(who)?;
                self.sync(who)?;
            }
        }
        let replicas = 0..self.replicas.len();
        let behind: Vec<usize> = replicas.filter(|who| !self.is_up_to_date(*who)).collect();
        // Whoever pushed last left the others behind; they have nothing of their own any more.
        for who in behind {
            self.sync(who)?;
        }
        self.look()
    }
}
