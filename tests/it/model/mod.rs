//! The model test: random scenarios against the server, and what must hold whatever happens.

mod answers;
mod guard;
mod ledger;
mod real;
mod reference;
mod replica;
mod scenario;
mod search;
mod wire;
mod world;

use guard::{Guard, Guards};
use ledger::Kept;
use real::Real;
use reference::Model;
use scenario::Step;
use search::search;

fn play_model(guards: Guards) -> impl Fn(&[Step]) -> Kept {
    move |steps| world::play(&mut Model::new(guards), steps, guards)
}

#[test]
fn the_model_keeps_its_promises() {
    if let Some(found) = search(1, 5_000, play_model(Guards::ALL)) {
        panic!("a promise is broken:\n{found}");
    }
}

#[test]
fn the_real_server_keeps_its_promises() {
    let cases = std::env::var("STRANDLINE_MODEL_CASES").map_or(2_000, |cases| cases.parse().unwrap());
    let begun = std::time::Instant::now();
    let found = search(1, cases, |steps| world::play(&mut Real::new(), steps, Guards::ALL));
    println!("{cases} cases in {:?}", begun.elapsed());
    if let Some(found) = found {
        panic!("a promise is broken:\n{found}");
    }
}

/// Looks for a scenario that breaks a promise when `guard` is off, and holds it against the same with the guard on.
fn is_needed(guard: Guard) {
    let found = search(1, 20_000, play_model(Guards::without(guard)));
    let found = found.unwrap_or_else(|| panic!("no scenario needs {guard:?}"));
    println!("without {guard:?}:\n{found}");
    if let Err(broken) = play_model(Guards::ALL)(&found.steps) {
        panic!("{guard:?} does not help: {broken:?}\n{found}");
    }
}

macro_rules! each_guard_is_needed {
    ($($name:ident: $guard:ident,)*) => {
        $(#[test]
        fn $name() {
            is_needed(Guard::$guard);
        })*
    };
}

each_guard_is_needed! {
    without_the_mark_of_a_cursor_under_way_a_case_fails: UnderWayMark,
    without_the_cursor_of_a_push_a_case_fails: PushCursor,
    without_the_seq_of_a_push_a_case_fails: PushSeq,
    without_the_horizon_check_a_case_fails: HorizonCheck,
    without_the_start_of_an_initial_sync_a_case_fails: InitialStart,
    without_knowledge_of_tombstones_a_case_fails: TombstoneKnown,
    without_refusing_edits_of_purged_records_a_case_fails: PurgedBase,
    without_looking_for_foreign_changes_a_case_fails: ForeignBetween,
    without_the_mark_of_own_changes_ahead_a_case_fails: OwnAhead,
    without_forgetting_above_shared_rev_a_case_fails: ForgetAboveShared,
    without_the_epoch_of_the_manifest_a_case_fails: ManifestEpoch,
    without_dropping_stale_edits_a_case_fails: DropStaleEdits,
    without_refusing_lower_revisions_a_case_fails: LowerRevision,
    without_ignoring_the_cursor_of_an_older_page_a_case_fails: OlderPage,
    without_remembering_own_deletions_a_case_fails: OwnDeletions,
    without_throwing_away_a_page_of_another_epoch_a_case_fails: OtherEpochPage,
    without_the_present_cursor_in_a_push_sent_again_a_case_fails: PresentCursor,
    without_the_same_seq_after_a_repair_a_case_fails: SameSeq,
    without_leaving_the_records_of_a_refusal_a_case_fails: RefusedNotTaken,
    without_distrust_of_unchanged_patches_a_case_fails: UnchangedPatch,
}
