//! The rules that keep the promises, each of which can be switched off to see a promise break.

/// A rule of PROTOCOL.md. The first part are the server's, the second the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// §3: a cursor under way does not outlive its epoch, even where its revision is shared.
    UnderWayMark,
    /// §4: a push says its cursor, and one of another history applies nothing.
    PushCursor,
    /// §4: a push that was applied is not applied again.
    PushSeq,
    /// §3: behind the horizon there is no delta.
    HorizonCheck,
    /// §3: an initial sync leaves out only the tombstones that are older than itself.
    InitialStart,
    /// §4: what is written on a tombstone must know of it.
    TombstoneKnown,
    /// §4: an edit of a record that is purged is a conflict.
    PurgedBase,
    /// §4: the answer's cursor stays in its place when something foreign came between.
    ForeignBetween,
    /// §4: …and then it is one under way, because own changes lie ahead of it.
    OwnAhead,

    /// §6, step 1: the client forgets the revisions above `shared_rev`.
    ForgetAboveShared,
    /// §6: the manifest is of the epoch that the 410 named; else that 410 says nothing about it.
    ManifestEpoch,
    /// A fetch does not name its epoch: what was fetched is of the manifest's only once an answer to the manifest's cursor
    /// says that this epoch still was. If a break comes first, it is forgotten, whatever its revision.
    FetchedBeforeBreak,
    /// §6, step 3: an edit whose record the manifest does not have is a conflict.
    DropStaleEdits,
    /// §4: a replica never replaces a record by a lower revision.
    LowerRevision,
    /// §4: a page older than an own push does not move the cursor.
    OlderPage,
    /// A deletion that was taken from a push answer is remembered until the pull that was out is in.
    OwnDeletions,
    /// A page of another epoch than a push answer that came before it is thrown away.
    OtherEpochPage,
    /// A push that is sent again carries the client's present cursor, not the one it had then.
    PresentCursor,
    /// A push without an answer keeps its `seq` through a repair.
    SameSeq,
    /// A record in a refused push's answer (409) is not taken over: no cursor comes with it.
    RefusedNotTaken,
    /// `unchanged` to a patch says nothing about the fields that the patch does not name.
    UnchangedPatch,
}

/// Which guard is off, if any.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guards {
    pub off: Option<Guard>,
}

impl Guards {
    pub const ALL: Self = Self { off: None };

    pub fn without(guard: Guard) -> Self {
        Self { off: Some(guard) }
    }

    pub fn on(self, guard: Guard) -> bool {
        self.off != Some(guard)
    }
}
