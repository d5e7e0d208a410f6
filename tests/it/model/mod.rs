//! The model test: random scenarios of users, clients, operators and networks, and what must hold whatever happens.
//!
//! - `wire` is the language, `reference` (with `cursor`) the small model of a server, `real` the server, `pair` both at once.
//! - `replica` and `answers` are a client as PROTOCOL.md wants it; `guard` names the rules that can be switched off.
//! - `scenario` makes the steps, `world` takes them, `ledger` knows the truth and the promises, `search` looks for a
//!   scenario that breaks one.
//!
//! A failure prints its seed. `STRANDLINE_MODEL_SEED=… STRANDLINE_MODEL_CASES=…` plays the same scenarios again, or more.
#![allow(clippy::cast_possible_truncation, reason = "a handful of revisions fits everywhere")]

mod answers;
mod cursor;
mod guard;
mod ledger;
mod pair;
mod real;
mod reference;
mod replica;
mod scenario;
mod search;
mod wire;
mod world;

use std::time::{Instant, SystemTime};

use crate::support::{over_postgres, say};
use guard::{Guard, Guards};
use ledger::{Broken, Kept};
use pair::Pair;
use real::Real;
use reference::Model;
use scenario::{Fate, Step};
use search::search;
use wire::{Data, Key, Op, Server};

/// The model of the server that the suites run over.
fn model_of_the_real_server() -> Model {
    if over_postgres() { Model::that_forgets_epochs(Guards::ALL) } else { Model::new(Guards::ALL) }
}

fn play_model(guards: Guards) -> impl Fn(&[Step]) -> Kept + Send + Sync {
    move |steps| world::play(&mut Model::new(guards), steps, guards)
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

/// Plays `cases` scenarios on two threads, other ones every time, unless the environment says which.
fn no_case_fails(cases: u64, play: impl Fn(&[Step]) -> Kept + Send + Sync) {
    const THREADS: u64 = 2;
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = from_environment("STRANDLINE_MODEL_SEED").unwrap_or(time.as_secs() * THREADS);
    let cases = from_environment("STRANDLINE_MODEL_CASES").unwrap_or(cases);
    let begun = Instant::now();
    // A log has the seeds in any case.
    say(&format!("seeds {seed} to {}", seed + THREADS - 1));
    std::thread::scope(|scope| {
        for seed in seed..seed + THREADS {
            let play = &play;
            scope.spawn(move || {
                if let Some(found) = search(seed, u32::try_from(cases.div_ceil(THREADS)).unwrap(), play) {
                    panic!("STRANDLINE_MODEL_SEED={seed}: a promise is broken:\n{found}");
                }
            });
        }
    });
    say(&format!("{cases} cases in {:?}", begun.elapsed()));
}

#[test]
fn the_real_server_keeps_its_promises() {
    // On a server every opening and every backup costs a hundred times as much.
    let cases = if over_postgres() { 200 } else { 2_000 };
    no_case_fails(cases, |steps| world::play(&mut Real::new(), steps, Guards::ALL));
}

#[test]
fn the_model_keeps_its_promises() {
    no_case_fails(4_000, play_model(Guards::ALL));
}

#[test]
fn the_model_keeps_its_promises_when_a_restore_forgets_epochs() {
    no_case_fails(4_000, |steps| world::play(&mut Model::that_forgets_epochs(Guards::ALL), steps, Guards::ALL));
}

#[test]
fn real_and_model_agree() {
    let cases = if over_postgres() { 100 } else { 500 };
    no_case_fails(cases, |steps| {
        world::play(&mut Pair::new(model_of_the_real_server(), Real::new()), steps, Guards::ALL)
    });
}

fn all_keep_their_promises(steps: &[Step]) {
    let play = |server: &mut dyn Server| world::play(server, steps, Guards::ALL).unwrap();
    play(&mut Model::new(Guards::ALL));
    play(&mut Model::that_forgets_epochs(Guards::ALL));
    play(&mut Real::new());
}

/// A deletion is lost by a restore, a replica goes on without it, and then another restore has it again.
#[test]
fn a_deletion_told_of_in_a_history_that_was_left_is_not_known() {
    let key = Key { collection: "todos", id: 0 };
    let steps = [
        Step::Write { key, op: Op::Put(Data { title: 0, done: false }) },
        Step::BackUp,
        Step::Write { key, op: Op::Delete },
        Step::Pull { who: 1, limit: 1 },
        Step::BackUp,
        Step::Restore { backup: 0, plainly: false },
        Step::Sync { who: 1 },
        Step::Ask { who: 1, limit: 1 },
        Step::Restore { backup: 1, plainly: false },
    ];
    all_keep_their_promises(&steps);
}

/// A repair is under way when a client chooses other collections, and once more the first ones before it is over.
#[test]
fn a_repair_fetches_from_the_collections_of_its_manifest() {
    let (foreign, own) = (Key { collection: "notes", id: 0 }, Key { collection: "lists", id: 0 });
    let op = Op::Put(Data { title: 0, done: false });
    let steps = [
        Step::Write { key: foreign, op },
        Step::Edit { who: 3, key: own, op },
        Step::Choose { who: 3, scope: 0 },
        Step::Push { who: 3, atomic: false, fate: Fate::Answered },
        Step::Pull { who: 3, limit: 1 },
        Step::Choose { who: 3, scope: 1 },
        Step::Pull { who: 3, limit: 1 },
        Step::Choose { who: 3, scope: 0 },
    ];
    all_keep_their_promises(&steps);
}

/// A fetch does not say of which history its records are. Between the manifest and the pull history breaks twice, and a
/// server that has no memory but its database knows of the second break only.
fn a_break_in_mid_repair(guards: Guards) -> Kept {
    let key = Key { collection: "lists", id: 0 };
    let steps = [
        Step::BackUp,
        Step::Edit { who: 0, key, op: Op::Put(Data { title: 0, done: false }) },
        Step::Push { who: 0, atomic: false, fate: Fate::Answered },
        Step::Pull { who: 0, limit: 1 },
        Step::BackUp,
        Step::Restore { backup: 0, plainly: false },
        Step::Write { key, op: Op::Put(Data { title: 1, done: false }) },
        Step::Pull { who: 0, limit: 1 },
        Step::Restore { backup: 1, plainly: false },
    ];
    world::play(&mut Model::that_forgets_epochs(guards), &steps, guards)
}

#[test]
fn what_was_fetched_before_a_break_is_forgotten() {
    a_break_in_mid_repair(Guards::ALL).unwrap();
}

#[test]
fn without_forgetting_what_was_fetched_before_a_break_a_case_fails() {
    let Broken(how) = a_break_in_mid_repair(Guards::without(Guard::FetchedBeforeBreak)).unwrap_err();
    assert!(how.starts_with("at the end: replica 0 at m3.1 holds"), "{how}");
}

/// Looks for a scenario that breaks a promise when `guard` is off, and holds it against the same with the guard on.
fn is_needed(guard: Guard, seed: u64) {
    let found = search(seed, 20_000, play_model(Guards::without(guard)));
    let found = found.unwrap_or_else(|| panic!("no scenario needs {guard:?}"));
    println!("without {guard:?}:\n{found}");
    if let Err(broken) = play_model(Guards::ALL)(&found.steps) {
        panic!("{guard:?} does not help: {broken:?}\n{found}");
    }
}

/// One test a guard. The seed is one with which a case is found soon.
macro_rules! each_guard_is_needed {
    ($($name:ident: $guard:ident, $seed:literal;)*) => {
        $(#[test]
        fn $name() {
            is_needed(Guard::$guard, $seed);
        })*
    };
}

each_guard_is_needed! {
    without_the_mark_of_a_cursor_under_way_a_case_fails: UnderWayMark, 3;
    without_the_cursor_of_a_push_a_case_fails: PushCursor, 2;
    without_the_seq_of_a_push_a_case_fails: PushSeq, 1;
    without_the_horizon_check_a_case_fails: HorizonCheck, 2;
    without_the_start_of_an_initial_sync_a_case_fails: InitialStart, 1;
    without_knowledge_of_tombstones_a_case_fails: TombstoneKnown, 2;
    without_refusing_edits_of_purged_records_a_case_fails: PurgedBase, 2;
    without_looking_for_foreign_changes_a_case_fails: ForeignBetween, 2;
    without_the_mark_of_own_changes_ahead_a_case_fails: OwnAhead, 2;
    without_forgetting_above_shared_rev_a_case_fails: ForgetAboveShared, 2;
    without_the_epoch_of_the_manifest_a_case_fails: ManifestEpoch, 5;
    without_dropping_stale_edits_a_case_fails: DropStaleEdits, 2;
    without_refusing_lower_revisions_a_case_fails: LowerRevision, 4;
    without_ignoring_the_cursor_of_an_older_page_a_case_fails: OlderPage, 3;
    without_remembering_own_deletions_a_case_fails: OwnDeletions, 2;
    without_throwing_away_a_page_of_another_epoch_a_case_fails: OtherEpochPage, 5;
    without_the_present_cursor_in_a_push_sent_again_a_case_fails: PresentCursor, 1;
    without_the_same_seq_after_a_repair_a_case_fails: SameSeq, 5;
    without_leaving_the_records_of_a_refusal_a_case_fails: RefusedNotTaken, 2;
    without_distrust_of_unchanged_patches_a_case_fails: UnchangedPatch, 1;
}
