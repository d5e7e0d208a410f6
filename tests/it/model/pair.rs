//! The model and the real server side by side: the same requests, and the same answers but for the spelling of cursors.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;

use super::real::Real;
use super::reference::Model;
use super::wire::{
    Answer, Change, Fetched, Key, Manifest, Op, Page, Push, Resync, Rev, Scope, Server, Since, epoch_of,
};

pub struct Pair {
    model: Model,
    real: Real,
    /// The model's cursor for each of the real server's, and its epochs.
    cursors: HashMap<String, String>,
    fault: Option<String>,
}

impl Pair {
    pub fn new(model: Model, real: Real) -> Self {
        Self { model, real, cursors: HashMap::new(), fault: None }
    }

    fn same<T: PartialEq + Debug>(&mut self, what: &str, model: &T, real: &T) {
        if model != real && self.fault.is_none() {
            self.fault = Some(format!("{what}: the model says {model:?}, the server {real:?}"));
        }
    }

    /// Two cursors for one place: the model's is replaced by the real one, so that the rest of the answers compares.
    fn pair_cursors(&mut self, model: &mut String, real: &str) {
        let parts = |cursor: &str| {
            let (place, scoped) = cursor.split_once('~').map_or((cursor, false), |(place, _)| (place, true));
            (place.split('.').skip(1).map(str::to_owned).collect::<Vec<_>>(), scoped)
        };
        self.same("cursor", &parts(model), &parts(real));
        self.pair_epochs(epoch_of(model), epoch_of(real));
        self.cursors.insert(real.to_owned(), std::mem::replace(model, real.to_owned()));
    }

    fn pair_epochs(&mut self, model: &str, real: &str) {
        let known = self.cursors.entry(real.to_owned()).or_insert_with(|| model.to_owned()).clone();
        self.same("epoch", &model, &known.as_str());
    }

    fn for_model(&self, cursor: &str) -> &str {
        &self.cursors[cursor]
    }

    fn same_resync(&mut self, mut model: Resync, real: &Resync) {
        let epoch = std::mem::replace(&mut model.epoch, real.epoch.clone());
        self.pair_epochs(&epoch, &real.epoch);
        self.same("resync", &model, real);
    }
}

impl Server for Pair {
    fn pull(&mut self, since: Since, scope: Scope, limit: usize) -> Result<Page, Resync> {
        let for_model = match since {
            Since::Nothing => Since::Nothing,
            Since::Cursor(cursor) => Since::Cursor(&self.cursors[cursor]),
        };
        let real = self.real.pull(since, scope, limit);
        match (self.model.pull(for_model, scope, limit), &real) {
            (Ok(mut page), Ok(real)) => {
                self.pair_cursors(&mut page.cursor, &real.cursor);
                self.same("page", &page, real);
            }
            (Err(model), Err(real)) => self.same_resync(model, real),
            (model, real) => self.same("pull", &model, real),
        }
        real
    }

    fn push(&mut self, push: &Push) -> Result<Answer, Resync> {
        let cursor = push.cursor.as_deref().map(|cursor| self.for_model(cursor).to_owned());
        let real = self.real.push(push);
        match (self.model.push(&Push { cursor, ..push.clone() }), &real) {
            (Ok(mut answer), Ok(real)) => {
                self.pair_cursors(&mut answer.cursor, &real.cursor);
                self.same(&format!("answer to {push:?}"), &answer, real);
            }
            (Err(model), Err(real)) => self.same_resync(model, real),
            (model, real) => self.same("push", &model, real),
        }
        real
    }

    fn manifest(&mut self, scope: Scope) -> Manifest {
        let (mut model, real) = (self.model.manifest(scope), self.real.manifest(scope));
        self.pair_cursors(&mut model.cursor, &real.cursor);
        self.same("manifest", &model, &real);
        real
    }

    fn fetch(&mut self, revs: &BTreeSet<Rev>, scope: Scope, from: Rev, limit: usize) -> Fetched {
        let (model, real) = (self.model.fetch(revs, scope, from, limit), self.real.fetch(revs, scope, from, limit));
        self.same("fetch", &model, &real);
        real
    }

    fn write(&mut self, key: Key, op: Op) -> Option<Change> {
        let (model, real) = (self.model.write(key, op), self.real.write(key, op));
        self.same("write", &model, &real);
        real
    }

    fn purge(&mut self, age: u64) {
        self.model.purge(age);
        self.real.purge(age);
    }

    fn restart(&mut self) {
        self.model.restart();
        self.real.restart();
    }

    fn back_up(&mut self) {
        self.model.back_up();
        self.real.back_up();
    }

    /// Always from the product's own backup, where it makes any: a plain copy of a file begins no new epoch where
    /// nothing was lost.
    fn restore(&mut self, backup: usize, _plainly: bool) {
        self.model.restore(backup, false);
        self.real.restore(backup, false);
    }

    fn open_epoch(&mut self) {
        self.model.open_epoch();
        self.real.open_epoch();
    }

    fn epoch(&mut self) -> String {
        let (model, real) = (self.model.epoch(), self.real.epoch());
        self.pair_epochs(&model, &real);
        real
    }

    fn tick(&mut self) {
        self.model.tick();
        self.real.tick();
    }

    fn fault(&self) -> Option<String> {
        self.fault.clone()
    }
}
