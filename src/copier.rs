//! The copier: moves a space from one store to another as it lies, in bounded steps, so that its clients notice nothing.
//!
//! Nothing is kept between steps: killed at any point, the next run goes on where the last step ended. Records only ever
//! move to higher revisions, and so whatever is written in the source meanwhile lies ahead of the copy and is met later.
//! What cannot be met is a deletion that is purged before the copy came to it; then the counts at the end differ, and
//! the space is copied anew.

use std::sync::Arc;

use crate::domain::{ClientName, CollectionState, Rev, SpaceName, SpaceState};
use crate::store::{Batch, CollectionDifference, CopyUnderWay, RowsRequest, Sightings, Store, StoreError};

/// Rows in a step, at the most: a server on the target waits for none of them long.
const STEP_ROWS: usize = 2_000;
/// Bytes in a step, about.
const STEP_BYTES: usize = 4 << 20;
/// Clients in a step.
const STEP_SEQS: usize = 2_000;
/// How often the copier comes to the end of the rows and finds that more were written meanwhile, before it says so.
const ROUNDS: usize = 100;

/// How far a copy has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Everything up to this revision is copied.
    pub copied: Rev,
    /// The source's newest revision.
    pub head: Rev,
    /// Rows copied in this run.
    pub rows: u64,
}

/// What came of a space.
#[derive(Clone, Debug)]
pub struct Copied {
    /// The space as the target has it.
    pub state: Arc<SpaceState>,
    /// Rows copied in this run.
    pub rows: u64,
    /// Whether it was there already, and equal.
    pub already: bool,
}

/// Why a space was not copied. What was copied of it stays, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source failed.
    #[error("the source failed: {0}")]
    Source(#[source] StoreError),
    /// The target failed.
    #[error("the target failed: {0}")]
    Target(#[source] StoreError),
    /// The target has another space of that name.
    #[error("the target has a space named {0} already: another one, or one that was written since it was copied")]
    Occupied(SpaceName),
    /// The source is written without a pause.
    #[error("{0} is written all the time: stop the server on the source, and copy again")]
    Restless(SpaceName),
    /// The copy was finished or given up by somebody else.
    #[error("another program finished or gave up the copy of {0}: copy again")]
    Lost(SpaceName),
    /// The copy is not what the source has, after a second try as well.
    #[error("{}", unequal(space, differences))]
    Unequal {
        /// The space.
        space: SpaceName,
        /// Where they differ.
        differences: Vec<CollectionDifference>,
    },
}

fn unequal(space: &SpaceName, differences: &[CollectionDifference]) -> String {
    let tell = |one: &CollectionState| {
        let bytes = one.live_bytes + one.tombstone_bytes;
        format!("{} records, {} tombstones, {bytes} bytes, checksum {}", one.live, one.tombstones, one.checksum)
    };
    let differences: Vec<String> = (differences.iter())
        .map(|one| {
            format!("{} has {} in the source and {} in the copy", one.collection, tell(&one.source), tell(&one.copy))
        })
        .collect();
    format!(
        "the copy of {space} is not equal to the source ({}): stop the server on the source, and copy again",
        differences.join("; ")
    )
}

/// Copies a space, and tells `progress` after each step. A space that the target has already is left alone if it is
/// equal; only where clients were seen is brought up to date.
///
/// # Errors
/// [`CopyError`]; with [`StoreError::NoSpace`] from the source when that has no such space.
pub async fn copy(
    source: &dyn Store,
    target: &dyn Store,
    space: &SpaceName,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Copied, CopyError> {
    let copied = copy_space(source, target, space, progress).await?;
    // At the end, since there must be a space to have them, and in any case: a copy that was stopped here lacks some.
    copy_clients(source, target, space).await?;
    Ok(copied)
}

async fn copy_space(
    source: &dyn Store,
    target: &dyn Store,
    space: &SpaceName,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Copied, CopyError> {
    let mut rows = 0;
    match transfer(source, target, space, &mut rows, progress).await? {
        Transferred::Finished(state) => return Ok(Copied { state, rows, already: false }),
        Transferred::Already(state) => return Ok(Copied { state, rows, already: true }),
        Transferred::Unequal(_) => {
            log::warn!("the copy of {space} is not what the source has by now: it is copied anew");
        }
    }
    target.discard_copy(space.clone()).await.map_err(CopyError::Target)?;
    match transfer(source, target, space, &mut rows, progress).await? {
        Transferred::Finished(state) => Ok(Copied { state, rows, already: false }),
        Transferred::Already(state) => Ok(Copied { state, rows, already: true }),
        Transferred::Unequal(differences) => Err(CopyError::Unequal { space: space.clone(), differences }),
    }
}

enum Transferred {
    Finished(Arc<SpaceState>),
    Already(Arc<SpaceState>),
    Unequal(Vec<CollectionDifference>),
}

/// Copies until the source stands still, and finishes the copy.
async fn transfer(
    source: &dyn Store,
    target: &dyn Store,
    space: &SpaceName,
    rows: &mut u64,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Transferred, CopyError> {
    let mut state = source.space(space).await.map_err(CopyError::Source)?;
    for _ in 0..ROUNDS {
        let copy = match target.begin_copy(Arc::clone(&state)).await {
            Err(StoreError::SpaceExists(_)) => return occupied(target, state).await,
            begun => begun.map_err(CopyError::Target)?,
        };
        let read = copy_rows(source, target, &copy, rows, progress).await?;
        // After the rows, so that no push is remembered whose changes are not there; and before the source is asked
        // whether it stood still, which says that there was none in between.
        copy_seqs(source, target, &copy).await?;
        let now = source.space(space).await.map_err(CopyError::Source)?;
        if now == read && now.lineage == state.lineage {
            return match target.finish_copy(&copy, Arc::clone(&now)).await {
                Ok(differences) if differences.is_empty() => Ok(Transferred::Finished(now)),
                Ok(differences) => Ok(Transferred::Unequal(differences)),
                Err(StoreError::SpaceExists(_)) => occupied(target, now).await,
                Err(error) => Err(at_target(&copy, error)),
            };
        }
        state = now;
    }
    Err(CopyError::Restless(space.clone()))
}

/// The target has the name already. A copy that was finished before is as good as one that is finished now.
async fn occupied(target: &dyn Store, source: Arc<SpaceState>) -> Result<Transferred, CopyError> {
    let there = target.space(&source.name).await.map_err(CopyError::Target)?;
    if is_copy_of(&there, &source) {
        Ok(Transferred::Already(there))
    } else {
        Err(CopyError::Occupied(there.name.clone()))
    }
}

/// Whether the two are one space at one revision, and one may stand for the other. Its policy, and which of its
/// tombstones were purged since, is the affair of each.
#[must_use]
pub fn is_copy_of(one: &SpaceState, other: &SpaceState) -> bool {
    let live = |state: &SpaceState| -> Vec<_> {
        let each = state.collections.iter();
        each.map(|(name, one)| (name.clone(), one.head, one.live, one.checksum, one.live_bytes)).collect()
    };
    one.lineage == other.lineage && one.head == other.head && live(one) == live(other)
}

/// Copies the rows that the copy lacks; answers the source as it was when there were no more. The next rows are read
/// while the last are written.
async fn copy_rows(
    source: &dyn Store,
    target: &dyn Store,
    copy: &CopyUnderWay,
    rows: &mut u64,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Arc<SpaceState>, CopyError> {
    let read = async |after: Rev| {
        let request = RowsRequest { space: copy.space.clone(), after, limit: STEP_ROWS, max_bytes: STEP_BYTES };
        source.rows(request).await.map_err(CopyError::Source)
    };
    let mut batch = read(copy.newest).await?;
    loop {
        let Batch { rows: step, more, state } = batch;
        let Some(last) = step.last().map(|row| row.rev) else { return Ok(state) };
        let count = step.len() as u64;
        let written = target.copy_rows(copy, step);
        let next = async { if more { read(last).await.map(Some) } else { Ok(None) } };
        let (written, next) = tokio::join!(written, next);
        written.map_err(|error| at_target(copy, error))?;
        *rows += count;
        progress(Progress { copied: last, head: state.head, rows: *rows });
        match next? {
            Some(next) => batch = next,
            None => return Ok(state),
        }
    }
}

async fn copy_seqs(source: &dyn Store, target: &dyn Store, copy: &CopyUnderWay) -> Result<(), CopyError> {
    let mut after: Option<ClientName> = None;
    loop {
        let seqs = source.seqs(copy.space.clone(), after, STEP_SEQS).await.map_err(CopyError::Source)?;
        let Some(last) = seqs.last() else { return Ok(()) };
        after = Some(last.client.clone());
        target.copy_seqs(copy, seqs).await.map_err(|error| at_target(copy, error))?;
    }
}

/// Copies where clients were last seen, so that what is held for them stays held. What the target knows from later stays.
async fn copy_clients(source: &dyn Store, target: &dyn Store, space: &SpaceName) -> Result<(), CopyError> {
    let mut after: Option<ClientName> = None;
    loop {
        let clients = source.clients(space.clone(), after, STEP_SEQS).await.map_err(CopyError::Source)?;
        let Some(last) = clients.last() else { return Ok(()) };
        after = Some(last.name.clone());
        let clients = clients.into_iter().map(|client| (space.clone(), client)).collect();
        let sightings = Sightings { clients, anonymous: Vec::new() };
        target.note_clients(sightings).await.map_err(CopyError::Target)?;
    }
}

/// Copies the issued tokens, so that whoever could come in still can, and nobody else. Sessions of the page are not: they are
/// begun anew.
///
/// # Errors
/// [`CopyError::Source`], [`CopyError::Target`].
pub async fn copy_tokens(source: &dyn Store, target: &dyn Store) -> Result<u64, CopyError> {
    let (mut after, mut count) = (None, 0);
    loop {
        let tokens = source.tokens(after, STEP_SEQS).await.map_err(CopyError::Source)?;
        let Some(last) = tokens.last() else { return Ok(count) };
        after = Some(last.id.clone());
        for token in tokens {
            let (id, revoked_at) = (token.id.clone(), token.revoked_at);
            let new = target.add_token(token).await.map_err(CopyError::Target)?;
            // One that an earlier run copied may have been revoked since.
            if let Some(at) = revoked_at.filter(|_| !new) {
                target.revoke_token(id, at).await.map_err(CopyError::Target)?;
            }
            count += 1;
        }
    }
}

fn at_target(copy: &CopyUnderWay, error: StoreError) -> CopyError {
    match error {
        StoreError::NoSpace(_) => CopyError::Lost(copy.space.clone()),
        error => CopyError::Target(error),
    }
}
