//! Who waits for which space: long polls and event streams sleep here until a commit wakes them (PROTOCOL.md §3).
//!
//! A wake-up carries nothing. Whoever is woken reads from its own cursor, so that a slow reader costs no memory and a
//! wake-up too many costs one look. Subscribe before looking: a commit between the look and the subscription would
//! wake nobody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::domain::SpaceName;

/// The subscribers of all spaces of this process. Cloning is cheap; all clones are one feed.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    spaces: Arc<Mutex<HashMap<SpaceName, watch::Sender<()>>>>,
    all: Arc<watch::Sender<()>>,
    closed: Arc<watch::Sender<bool>>,
}

/// A place in a space's feed, or in that of all spaces.
#[derive(Debug)]
pub struct Subscription {
    feed: Feed,
    /// `None` for all spaces.
    space: Option<SpaceName>,
    changed: watch::Receiver<()>,
    closed: watch::Receiver<bool>,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Something was committed: look again.
    Changed,
    /// The server is shutting down.
    Closed,
}

impl Feed {
    /// Subscribes to `space`, whether it exists or not.
    #[must_use]
    pub fn subscribe(&self, space: &SpaceName) -> Subscription {
        let mut spaces = self.spaces.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = spaces.entry(space.clone()).or_insert_with(|| watch::Sender::new(()));
        Subscription {
            feed: self.clone(),
            space: Some(space.clone()),
            changed: sender.subscribe(),
            closed: self.closed.subscribe(),
        }
    }

    /// Subscribes to every space, of now and later.
    #[must_use]
    pub fn subscribe_all(&self) -> Subscription {
        let (changed, closed) = (self.all.subscribe(), self.closed.subscribe());
        Subscription { feed: self.clone(), space: None, changed, closed }
    }

    /// Wakes those who wait for `space`.
    pub fn wake(&self, space: &SpaceName) {
        let spaces = self.spaces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = spaces.get(space) {
            sender.send_replace(());
        }
        drop(spaces);
        self.all.send_replace(());
    }

    /// Wakes everybody: something changed, and it is not known where.
    pub fn wake_all(&self) {
        let spaces = self.spaces.lock().unwrap_or_else(PoisonError::into_inner);
        for sender in spaces.values() {
            sender.send_replace(());
        }
        drop(spaces);
        self.all.send_replace(());
    }

    /// The spaces that somebody waits for.
    #[must_use]
    pub fn subscribed(&self) -> Vec<SpaceName> {
        let spaces = self.spaces.lock().unwrap_or_else(PoisonError::into_inner);
        spaces.keys().cloned().collect()
    }

    /// How many wait, for one space or for all.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        let spaces = self.spaces.lock().unwrap_or_else(PoisonError::into_inner);
        spaces.values().map(watch::Sender::receiver_count).sum::<usize>() + self.all.receiver_count()
    }

    /// Ends every wait, now and later: the server is shutting down.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Resolves when the feed is closed.
    pub async fn closed(&self) {
        // The sender lives as long as `self`, so that waiting cannot fail.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }
}

impl Subscription {
    /// Waits for the next commit after the last wake-up (or after the subscription).
    pub async fn woken(&mut self) -> Woken {
        tokio::select! {
            biased;
            _ = self.closed.wait_for(|closed| *closed) => Woken::Closed,
            changed = self.changed.changed() => match changed {
                Ok(()) => Woken::Changed,
                Err(_) => Woken::Closed,
            },
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Some(space) = &self.space else { return };
        let mut spaces = self.feed.spaces.lock().unwrap_or_else(PoisonError::into_inner);
        // The last one out takes the space's entry with it: names that nobody waits for cost nothing.
        if spaces.get(space).is_some_and(|sender| sender.receiver_count() <= 1) {
            spaces.remove(space);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_commit_wakes_those_of_its_space_and_a_close_wakes_all() {
        let (feed, one, other) = (Feed::default(), SpaceName::new("one").unwrap(), SpaceName::new("other").unwrap());
        let mut waiting = feed.subscribe(&one);
        let mut elsewhere = feed.subscribe(&other);
        // Woken before it waits: nothing is lost.
        feed.wake(&one);
        assert_eq!(waiting.woken().await, Woken::Changed);
        let idle = tokio::time::timeout(std::time::Duration::from_millis(20), elsewhere.woken()).await;
        assert!(idle.is_err(), "a commit in another space wakes nobody here");
        feed.close();
        assert_eq!(elsewhere.woken().await, Woken::Closed);
        assert_eq!(feed.subscribe(&one).woken().await, Woken::Closed);
    }

    #[tokio::test]
    async fn who_waits_for_all_spaces_is_woken_by_each() {
        let (feed, space) = (Feed::default(), SpaceName::new("one").unwrap());
        let mut waiting = feed.subscribe_all();
        assert_eq!(feed.subscribers(), 1);
        feed.wake(&space);
        assert_eq!(waiting.woken().await, Woken::Changed);
        feed.wake_all();
        assert_eq!(waiting.woken().await, Woken::Changed);
        feed.close();
        assert_eq!(waiting.woken().await, Woken::Closed);
        drop(waiting);
        assert_eq!(feed.subscribers(), 0);
    }

    #[test]
    fn a_space_that_nobody_waits_for_is_forgotten() {
        let (feed, space) = (Feed::default(), SpaceName::new("one").unwrap());
        let first = feed.subscribe(&space);
        let second = feed.subscribe(&space);
        assert_eq!(feed.subscribers(), 2);
        drop(first);
        assert_eq!(feed.subscribers(), 1);
        drop(second);
        assert!(feed.spaces.lock().unwrap().is_empty());
    }
}
