//! What a purge may take: by age, by what clients still need, and by number (PROTOCOL.md §7).
//!
//! Times do not decrease as revisions grow, so that each rule is a revision up to which tombstones may go. What a
//! purge takes of a collection is always its oldest tombstones.

use std::collections::BTreeMap;

use super::client::KnownClient;
use super::forecast::Forecast;
use super::{CollectionName, Epoch, Retention, RetentionPolicy, Rev, SpaceState, Timestamp};

/// Which tombstones a purge is to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurgeRule {
    /// Those of this time or before; `None` for none by age.
    pub cut: Option<Timestamp>,
    /// Not those that a known client needs.
    pub hold: Option<Hold>,
    /// Besides, the oldest ones beyond this many, whatever their age and whoever needs them.
    pub keep: Option<u64>,
}

/// What is held for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Tombstones of this time or before are held for nobody; `None` where a hold never ends.
    pub until: Option<Timestamp>,
}

impl PurgeRule {
    /// The rule of a space's policy at `now`, with another window where one is given, and without a hold by force.
    #[must_use]
    pub fn of(policy: RetentionPolicy, older_than: Option<Retention>, force: bool, now: Timestamp) -> Self {
        Self {
            cut: older_than.unwrap_or(policy.retention).cut(now),
            hold: (policy.hold_for_clients && !force).then(|| Hold { until: policy.max_retention.cut(now) }),
            keep: policy.max_tombstones,
        }
    }
}

/// The revisions that a rule's times and numbers come to in a space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Everything up to here is as old as the rule's cut.
    pub cut: Rev,
    /// Nothing up to here is held for clients.
    pub released: Rev,
    /// Tombstones up to here are beyond the number that is kept.
    pub surplus: Rev,
}

/// Up to which revision a purge may take the tombstones of each collection, in the history in which that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeBounds {
    /// A purge by these bounds does nothing in another history: revisions mean something else there.
    pub epoch: Epoch,
    /// By collection; one that is not named keeps all.
    pub upto: BTreeMap<CollectionName, Rev>,
}

impl PurgeBounds {
    /// The bounds of a rule that came to these marks, and which holds, if it does, for these clients.
    #[must_use]
    pub fn new(state: &SpaceState, rule: &PurgeRule, marks: Marks, clients: &[KnownClient]) -> Self {
        let needed = |collection: &CollectionName| match rule.hold {
            Some(_) => first_needed(state, collection, clients),
            None => Rev::MAX,
        };
        let bound = |collection: &CollectionName| {
            marks.cut.min(needed(collection).max(marks.released)).max(marks.surplus).min(state.head)
        };
        let upto = state.collections.iter().filter(|(_, collection)| collection.tombstones > 0);
        let upto = upto.map(|(name, _)| (name.clone(), bound(name)));
        Self { epoch: state.epoch(), upto: upto.filter(|(_, rev)| *rev > Rev::ZERO).collect() }
    }

    /// These bounds where they lie within `other`, and those of `other` where they do not. Of another history, nothing.
    #[must_use]
    pub fn within(mut self, other: &Self) -> Self {
        if self.epoch != other.epoch {
            self.upto.clear();
        }
        for (collection, upto) in &mut self.upto {
            *upto = (*upto).min(other.of(collection));
        }
        self
    }

    /// Up to where the tombstones of a collection may go.
    #[must_use]
    pub fn of(&self, collection: &CollectionName) -> Rev {
        self.upto.get(collection).copied().unwrap_or_default()
    }
}

/// The revision after which a client needs the tombstones of a collection: the lowest one of those that ask for it.
///
/// Who is behind the horizon already, or of another history, repairs itself anyway, and needs none.
#[must_use]
pub fn first_needed(state: &SpaceState, collection: &CollectionName, clients: &[KnownClient]) -> Rev {
    let needs = |client: &&KnownClient| client.place.covers(collection) && is_current(state, client);
    clients.iter().filter(needs).map(|client| client.place.rev).min().unwrap_or(Rev::MAX)
}

/// Whether a delta would be served to this client now.
#[must_use]
pub fn is_current(state: &SpaceState, client: &KnownClient) -> bool {
    let horizon =
        |name: &CollectionName| state.collections.get(name).map_or(Rev::ZERO, |collection| collection.horizon);
    client.place.is_of_this_history(state) && !client.place.is_behind(state, horizon)
}

/// The known clients that are behind the horizon of what they ask for.
#[must_use]
pub fn behind(state: &SpaceState, clients: &[KnownClient]) -> usize {
    let horizon =
        |name: &CollectionName| state.collections.get(name).map_or(Rev::ZERO, |collection| collection.horizon);
    clients.iter().filter(|client| client.place.is_behind(state, horizon)).count()
}

/// What keeps the oldest tombstone of a space, or is about to let it go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// There are no tombstones.
    Nothing,
    /// The window: it is not old enough, or goes at the compactor's next round.
    Retention,
    /// A window without end.
    Forever,
    /// Clients that still need it.
    Clients,
    /// The end of the hold: clients need it, and it goes all the same.
    MaxRetention,
    /// The bound on their number: it goes before its time.
    MaxTombstones,
}

impl Holding {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Retention => "retention",
            Self::Forever => "forever",
            Self::Clients => "hold_for_clients",
            Self::MaxRetention => "max_retention",
            Self::MaxTombstones => "max_tombstones",
        }
    }
}

/// Why the horizon of a space is where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The space's policy.
    pub policy: RetentionPolicy,
    /// Its head.
    pub head: Rev,
    /// Its horizon.
    pub horizon: Rev,
    /// Its tombstones.
    pub tombstones: u64,
    /// Those that may be purged now.
    pub purgeable: u64,
    /// When the oldest was written.
    pub oldest: Option<Timestamp>,
    /// The rule that counts for the oldest.
    pub rule: Holding,
    /// Clients for which tombstones are held that the window would let go, those furthest behind first.
    pub pinned_by: Vec<KnownClient>,
}

/// Clients that are named as holding tombstones, at the most.
const PINS: usize = 10;

impl Explanation {
    /// Explains a space: `rule` is that of its policy, `unheld` has the bounds without the hold, and `forecast` is what the rule lets
    /// go. What may go and what there is are told from the one snapshot of the forecast, so that whoever looks again and again
    /// during a purge can tell from them what went.
    #[must_use]
    pub fn new(
        state: &SpaceState,
        rule: &PurgeRule,
        unheld: &PurgeBounds,
        forecast: &Forecast,
        oldest: Option<Timestamp>,
        clients: &[KnownClient],
    ) -> Self {
        let mut pinned_by: Vec<KnownClient> = Vec::new();
        if rule.hold.is_some() {
            let needs = |client: &&KnownClient| {
                let behind =
                    |(name, upto): (&CollectionName, &Rev)| client.place.covers(name) && client.place.rev < *upto;
                unheld.upto.iter().any(behind) && is_current(state, client)
            };
            pinned_by.extend(clients.iter().filter(needs).cloned());
            pinned_by.sort_by_key(|client| client.place.rev);
            pinned_by.truncate(PINS);
        }
        let reached = |time: Option<Timestamp>| oldest.zip(time).is_some_and(|(oldest, time)| oldest <= time);
        let holding = if oldest.is_none() {
            Holding::Nothing
        } else if rule.keep.is_some_and(|keep| forecast.tombstones_before > keep) {
            Holding::MaxTombstones
        } else if rule.cut.is_none() {
            Holding::Forever
        } else if !reached(rule.cut) || pinned_by.is_empty() {
            Holding::Retention
        } else if reached(rule.hold.and_then(|hold| hold.until)) {
            Holding::MaxRetention
        } else {
            Holding::Clients
        };
        Self {
            policy: state.policy,
            head: state.head,
            horizon: forecast.horizon_before,
            tombstones: forecast.tombstones_before,
            purgeable: forecast.tombstones,
            oldest,
            rule: holding,
            pinned_by,
        }
    }
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let RetentionPolicy { retention, max_retention, max_tombstones, .. } = self.policy;
        let going = self.purgeable > 0;
        match self.rule {
            Holding::Nothing => f.write_str("there are no tombstones: nothing is held, and nothing can be purged"),
            Holding::Retention if going => {
                write!(f, "the oldest tombstones are older than {retention}, and go at the compactor's next round")
            }
            Holding::Retention => write!(f, "no tombstone is older than {retention}, the retention"),
            Holding::Forever => f.write_str("tombstones are kept forever, whatever their age"),
            Holding::Clients => write!(
                f,
                "tombstones older than {retention} are kept until the clients that need them have been here, or until \
                 they are older than {max_retention}"
            ),
            Holding::MaxRetention => write!(
                f,
                "the oldest tombstones are older than {max_retention}, and go at the compactor's next round, though \
                 clients still need them"
            ),
            Holding::MaxTombstones => write!(
                f,
                "there are more than {} tombstones: the oldest go at the compactor's next round, whatever their age",
                max_tombstones.unwrap_or_default()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_within_others_reach_no_further_than_either_and_not_into_another_history() {
        let name = |name: &str| CollectionName::new(name).unwrap();
        let rev = |rev| Rev::new(rev).unwrap();
        let bounds = |epoch: &str, todos, lists| PurgeBounds {
            epoch: epoch.parse().unwrap(),
            upto: [(name("todos"), rev(todos)), (name("lists"), rev(lists))].into(),
        };
        assert_eq!(bounds("k3", 9, 2).within(&bounds("k3", 5, 7)), bounds("k3", 5, 2));
        assert!(bounds("k4", 9, 2).within(&bounds("k3", 5, 7)).upto.is_empty());
        let fewer = PurgeBounds { upto: [(name("todos"), rev(4))].into(), ..bounds("k3", 0, 0) };
        assert_eq!(bounds("k3", 9, 2).within(&fewer).of(&name("lists")), Rev::ZERO);
    }
}
