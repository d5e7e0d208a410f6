//! What can be wrong with a database: each fault with its word, its sentence, and what is to be done about it.
//!
//! A fault is mended only where the rows themselves say what is right, or where what is written instead can at the worst
//! cost a client a repair that it did not need. What is in doubt is left as it is, and said.

/// What a fault comes to: a word for programs, a sentence for people, and what to do where `--repair` does not mend it.
pub(super) type Description = (&'static str, &'static str, Option<&'static str>);

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "`Fault::description` has a sentence for each")]
pub enum Fault {
    Damaged,
    Schema,
    Index,
    ReplicaIdentity,
    NotDurable,
    Home,
    HeadsFile,
    PutBack,
    Orphans,
    Unreadable,
    SpaceName,
    Policy,
    EpochsMissing,
    EpochsBroken,
    EpochAhead,
    SpaceHeadLow,
    SpaceHeadHigh,
    ModifiedAt,
    CollectionName,
    LiveCount,
    TombstoneCount,
    Checksum,
    LiveBytes,
    TombstoneBytes,
    CollectionHeadLow,
    CollectionHeadHigh,
    HorizonLow,
    HorizonHigh,
    HorizonTime,
    StaleTombstones,
    UnknownCollection,
    RevisionRange,
    RevisionTwice,
    TimeOrder,
    LiveWithoutData,
    DeletedWithData,
    Data,
    RecordId,
    ClientName,
    ClientSeq,
    KnownClient,
}

impl Fault {
    /// The stable word for programs.
    pub fn word(self) -> &'static str {
        self.description().0
    }

    /// The sentence for people, without space and collection.
    pub fn sentence(self) -> &'static str {
        self.description().1
    }

    #[expect(clippy::too_many_lines, reason = "a table")]
    /// All of it.
    pub(super) fn description(self) -> Description {
        const RESTORE: &str = "restore a backup; until then reads may fail, and nothing here can be relied on";
        const REWRITE: &str = "write the record again, or delete it, through the server; then run this again";
        match self {
            Self::Damaged => ("damaged", "the database's own check finds damage", Some(RESTORE)),
            Self::Schema => (
                "schema",
                "a table or column of the schema is missing or not as it was made",
                Some("restore a backup, or put it back as the migrations make it"),
            ),
            Self::Index => (
                "index",
                "an index is missing, invalid, or not as it was made",
                Some("make it anew, as shown; where it is a unique one and that fails, rows are there twice"),
            ),
            Self::ReplicaIdentity => (
                "replica_identity",
                "the records have no replica identity: with a publication, every push would fail",
                Some("ALTER TABLE records REPLICA IDENTITY USING INDEX records_by_id"),
            ),
            Self::NotDurable => (
                "not_durable",
                "the server does not flush what it commits: what is acknowledged may be lost in a crash",
                Some("set fsync = on and restart PostgreSQL"),
            ),
            Self::Home => (
                "home",
                "where the spaces live was not noted: a restored backup would not be noticed",
                Some(
                    "start a server: it notes the place; if the database was restored since one ran, say \
                     `strandline epoch new --all` too",
                ),
            ),
            Self::HeadsFile => (
                "heads_file",
                "the heads beside the database cannot be read: a restored backup would not be noticed",
                None,
            ),
            Self::PutBack => (
                "put_back",
                "the space is behind what was seen of it: the database was put back, and clients not told",
                None,
            ),
            Self::Orphans => ("orphans", "rows belong to a space that has no row", None),
            Self::Unreadable => ("unreadable", "the space cannot be read", Some(RESTORE)),
            Self::SpaceName => (
                "space_name",
                "the space's name is none, so that it cannot be reached",
                Some("UPDATE spaces SET name: 1 to 63 of a-z, 0-9, _ and -"),
            ),
            Self::Policy => (
                "policy",
                "the space's retention cannot be read, so that it cannot be served",
                Some("UPDATE spaces SET retention, max_retention: a number and s, m, h, d or w, or forever"),
            ),
            Self::EpochsMissing => ("epochs_missing", "the space has no epoch, so that it cannot be served", None),
            Self::EpochsBroken => (
                "epochs_broken",
                "the space's epochs are not what a history leaves: numbered from 0 without a gap, each a token of its own, \
                 the first at revision 0",
                Some(
                    "put the rows of `epochs` right by a backup; clients of an epoch that is not there begin anew, so that \
                     an unreadable one may be replaced by any other token",
                ),
            ),
            Self::EpochAhead => ("epoch_ahead", "the present epoch was opened above the space's head", None),
            Self::SpaceHeadLow => (
                "space_head_low",
                "the space's head is below a revision that was given out, which could be given out twice",
                None,
            ),
            Self::SpaceHeadHigh => (
                "space_head_high",
                "the space's head is above all of its collections': what was written there is gone",
                Some(
                    "if rows were lost, restore a backup; else leave it: no head is ever lowered, and the next change puts it \
                     right",
                ),
            ),
            Self::ModifiedAt => ("modified_at", "the space's time is before one of its rows'", None),
            Self::CollectionName => (
                "collection_name",
                "the collection's name is none, so that its space cannot be served",
                Some("UPDATE collections SET name: 1 to 63 of a-z, 0-9, _ and -"),
            ),
            Self::LiveCount => ("live_count", "the number of live records", None),
            Self::TombstoneCount => ("tombstone_count", "the number of tombstones", None),
            Self::Checksum => ("checksum", "the checksum", None),
            Self::LiveBytes => ("live_bytes", "the bytes of live records", None),
            Self::TombstoneBytes => ("tombstone_bytes", "the bytes of tombstones", None),
            Self::CollectionHeadLow => {
                ("collection_head_low", "the collection's head is below its newest change", None)
            }
            Self::CollectionHeadHigh => (
                "collection_head_high",
                "the collection's head is above its rows, its horizon and its space's head",
                Some("leave it: no head is ever lowered, and the next change in the collection puts it right"),
            ),
            Self::HorizonLow => (
                "horizon_low",
                "nothing is at the collection's head, nor was it purged: whoever has not heard of it must repair itself",
                None,
            ),
            Self::HorizonHigh => {
                ("horizon_high", "the horizon is above every revision: no client could ever get past it", None)
            }
            Self::HorizonTime => {
                ("horizon_time", "the horizon's time does not lie between those of the rows around it", None)
            }
            Self::StaleTombstones => {
                ("stale_tombstones", "tombstones lie at or below the horizon, where all of them are purged", None)
            }
            Self::UnknownCollection => (
                "unknown_collection",
                "records belong to a collection that their space does not have: it cannot be served",
                Some(
                    "INSERT INTO collections (id, space_id, name) what is shown, with the collection's name; then --repair \
                     counts it",
                ),
            ),
            Self::RevisionRange => (
                "revision_range",
                "records have revisions that there are none of",
                Some("restore a backup, or delete these rows; then run this again with --repair"),
            ),
            Self::RevisionTwice => (
                "revision_twice",
                "records share a revision",
                Some(
                    "stop the server, give one of each pair a revision above the head (UPDATE records SET rev), make the index \
                     records_by_rev anew, and run this again with --repair, which raises the head",
                ),
            ),
            Self::TimeOrder => (
                "time_order",
                "records were modified before others of lower revisions: revisions may have been given out twice",
                Some(
                    "if the database was ever put back by a way that Strandline does not see, say `strandline epoch new \
                     --space SPACE`; the times mend as the records are written again",
                ),
            ),
            Self::LiveWithoutData => ("live_without_data", "live records have no data", Some(REWRITE)),
            Self::DeletedWithData => ("deleted_with_data", "tombstones have data", Some(REWRITE)),
            Self::Data => ("data", "records' data is no JSON object as it was pushed", Some(REWRITE)),
            Self::RecordId => (
                "record_id",
                "records have ids that there are none of",
                Some("UPDATE records SET id, or delete them; then run this again with --repair"),
            ),
            Self::ClientName => (
                "client_name",
                "clients have names that there are none of",
                Some("delete their rows of `clients`: nobody can push by these names"),
            ),
            Self::ClientSeq => (
                "client_seq",
                "clients' last pushes have numbers that there are none of",
                Some("delete their rows of `clients`: their next push is taken whatever its number"),
            ),
            Self::KnownClient => (
                "known_client",
                "what is noted of where clients were seen cannot be read, so that none of the space can be listed",
                Some("delete their rows of `known_clients`: their next pulls are noted anew"),
            ),
        }
    }
}
