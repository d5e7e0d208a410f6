//! What may happen, and how often.

use proptest::prelude::*;

/// Two collections, of which one device copies only the first.
pub const COLLECTIONS: [&str; 2] = ["todos", "notes"];
pub const DEVICES: usize = 2;

/// (collection, id)
pub type Spot = (usize, u8);

#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// The user of a device writes something new, or deletes.
    Edit {
        who: usize,
        spot: Spot,
        delete: bool,
    },
    /// A sync, which may be cut, and what happens just before one of its requests arrives.
    Sync {
        who: usize,
        cut: Option<Cut>,
        meanwhile: Option<(u8, Event)>,
    },
    /// The program ends in order, and is started again.
    Restart {
        who: usize,
    },
    /// The user decides the oldest conflict.
    Decide {
        who: usize,
        restore: bool,
    },
    /// Count and checksum are compared.
    Verify {
        who: usize,
        repair: bool,
    },
    /// Somebody else writes or deletes at the server.
    Foreign {
        spot: Spot,
        delete: bool,
    },
    Purge,
    BackUp,
    /// The server is put back to a backup.
    Restore {
        backup: usize,
    },
}

/// What may happen in the middle of a sync.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// The user of the device edits.
    Edit {
        spot: Spot,
        delete: bool,
    },
    Foreign {
        spot: Spot,
        delete: bool,
    },
    Purge,
    Restore {
        backup: usize,
    },
}

/// Where a sync is cut.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// This request never arrives.
    Before(u8),
    /// The server carries this request out, and its answer is lost.
    After(u8),
    /// The server says 503 to this request.
    Busy(u8),
    /// The process is killed before this commit to its file.
    Commit(u8),
}

fn spot() -> impl Strategy<Value = Spot> {
    (prop_oneof![3 => Just(0_usize), 1 => Just(1_usize)], 0_u8..4)
}

fn who() -> impl Strategy<Value = usize> {
    0..DEVICES
}

fn cut() -> impl Strategy<Value = Option<Cut>> {
    let place = 0_u8..7;
    let cut = prop_oneof![
        place.clone().prop_map(Cut::Before),
        place.clone().prop_map(Cut::After),
        place.prop_map(Cut::Busy),
        (0_u8..14).prop_map(Cut::Commit),
    ];
    prop_oneof![1 => Just(None), 2 => cut.prop_map(Some)]
}

pub fn scenario(longest: usize) -> impl Strategy<Value = Vec<Step>> {
    let delete = prop_oneof![2 => Just(false), 1 => Just(true)].boxed();
    let event = prop_oneof![
        4 => (spot(), delete.clone()).prop_map(|(spot, delete)| Event::Edit { spot, delete }),
        2 => (spot(), delete.clone()).prop_map(|(spot, delete)| Event::Foreign { spot, delete }),
        1 => Just(Event::Purge),
        1 => (0_usize..4).prop_map(|backup| Event::Restore { backup }),
    ];
    let meanwhile = prop_oneof![2 => Just(None), 1 => (0_u8..6, event).prop_map(Some)];
    let step = prop_oneof![
        12 => (who(), spot(), delete.clone()).prop_map(|(who, spot, delete)| Step::Edit { who, spot, delete }),
        14 => (who(), cut(), meanwhile).prop_map(|(who, cut, meanwhile)| Step::Sync { who, cut, meanwhile }),
        2 => who().prop_map(|who| Step::Restart { who }),
        2 => (who(), any::<bool>()).prop_map(|(who, restore)| Step::Decide { who, restore }),
        1 => (who(), any::<bool>()).prop_map(|(who, repair)| Step::Verify { who, repair }),
        8 => (spot(), delete).prop_map(|(spot, delete)| Step::Foreign { spot, delete }),
        4 => Just(Step::Purge),
        2 => Just(Step::BackUp),
        1 => (0_usize..4).prop_map(|backup| Step::Restore { backup }),
    ];
    prop::collection::vec(step, 1..longest)
}
