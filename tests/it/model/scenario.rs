//! Scenarios: what users, clients, operators and networks do to each other, at random.

use proptest::prelude::*;

use super::wire::{Data, Key, Op, Patch, Scope, TOO_LARGE};

#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A user edits a record, online or not.
    Edit {
        who: usize,
        key: Key,
        op: Op,
    },
    /// A client sends its edits, or those that had no answer once more.
    Push {
        who: usize,
        atomic: bool,
        fate: Fate,
    },
    /// A client takes the next step towards the head: a page, or a request of a repair.
    Pull {
        who: usize,
        limit: usize,
    },
    /// A client asks for a page …
    Ask {
        who: usize,
        limit: usize,
    },
    /// … that comes only now.
    Receive {
        who: usize,
    },
    /// A client pushes and pulls until nothing is left.
    Sync {
        who: usize,
    },
    /// A client chooses other collections.
    Choose {
        who: usize,
        scope: usize,
    },
    /// A script writes over REST, unconditionally.
    Write {
        key: Key,
        op: Op,
    },
    /// Tombstones of this age in seconds are purged.
    Purge {
        age: u64,
    },
    Restart,
    BackUp,
    /// Some backup is put back: `plainly`, by copying files.
    Restore {
        backup: usize,
        plainly: bool,
    },
    OpenEpoch,
}

/// What becomes of a push on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Answered,
    AnswerLost,
    RequestLost,
}

pub const REPLICAS: usize = 4;
pub const SCOPES: [Scope; 3] = [None, Some(&["lists"]), Some(&["lists", "todos"])];
const COLLECTIONS: [&str; 3] = ["lists", "notes", "todos"];
const IDS: u8 = 2;

pub fn scenario(longest: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..=longest)
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..REPLICAS;
    let edit = (who(), key(), op(prop_oneof![40 => 0..9_u32, 1 => Just(TOO_LARGE)]))
        .prop_map(|(who, key, op)| Step::Edit { who, key, op });
    let push = (who(), any::<bool>(), fate());
    let push = push.prop_map(|(who, atomic, fate)| Step::Push { who, atomic, fate });
    let choose = (2..REPLICAS, 0..SCOPES.len()).prop_map(|(who, scope)| Step::Choose { who, scope });
    let restore = (0..3_usize, any::<bool>()).prop_map(|(backup, plainly)| Step::Restore { backup, plainly });
    prop_oneof![
        12 => edit,
        8 => push,
        6 => (who(), 1..4_usize).prop_map(|(who, limit)| Step::Pull { who, limit }),
        2 => (who(), 1..6_usize).prop_map(|(who, limit)| Step::Ask { who, limit }),
        2 => who().prop_map(|who| Step::Receive { who }),
        4 => who().prop_map(|who| Step::Sync { who }),
        1 => choose,
        5 => (key(), op(0..9_u32)).prop_map(|(key, op)| Step::Write { key, op }),
        2 => prop_oneof![Just(0), 0..8_u64].prop_map(|age| Step::Purge { age }),
        1 => Just(Step::Restart),
        2 => Just(Step::BackUp),
        2 => restore,
        1 => Just(Step::OpenEpoch),
    ]
}

fn key() -> impl Strategy<Value = Key> {
    (0..COLLECTIONS.len(), 0..IDS).prop_map(|(name, id)| Key { collection: COLLECTIONS[name], id })
}

fn op(titles: impl Strategy<Value = u32>) -> impl Strategy<Value = Op> {
    let put = (titles, any::<bool>()).prop_map(|(title, done)| Op::Put(Data { title, done }));
    let patch = prop_oneof![
        (0..9_u32).prop_map(|title| Patch { title: Some(title), done: None }),
        any::<bool>().prop_map(|done| Patch { title: None, done: Some(done) }),
    ];
    prop_oneof![4 => put, 2 => patch.prop_map(Op::Patch), 3 => Just(Op::Delete)]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![5 => Just(Fate::Answered), 3 => Just(Fate::AnswerLost), 1 => Just(Fate::RequestLost)]
}
