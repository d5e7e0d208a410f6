//! Statements on whole sets of rows, which travel as one array a column. Their text never changes, so that each is prepared
//! once a connection, however many rows it is about.

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Nullable, Text};

use crate::domain::{CollectionState, SpaceState};

/// Makes a statement of a text in which each `?` stands for the next value.
macro_rules! statement {
    (
        $(#[$doc:meta])*
        $name:ident $(<$life:lifetime>)? { $($field:ident: $sql:ty = $rust:ty,)* } -> $row:ty, $text:literal
    ) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(super) struct $name $(<$life>)? {
            $(pub $field: $rust,)*
        }

        impl $(<$life>)? QueryFragment<Pg> for $name $(<$life>)? {
            fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
                let mut text = $text.split('?');
                pass.push_sql(text.next().unwrap_or_default());
                $(
                    pass.push_bind_param::<$sql, $rust>(&self.$field)?;
                    pass.push_sql(text.next().unwrap_or_default());
                )*
                Ok(())
            }
        }

        // Prepared once for its text, which is always the same.
        impl $(<$life>)? QueryId for $name $(<$life>)? {
            type QueryId = ();
            const HAS_STATIC_QUERY_ID: bool = false;
        }

        impl $(<$life>)? Query for $name $(<$life>)? {
            type SqlType = $row;
        }
    };
}

statement! {
    /// What is there of records, by collection and id.
    Existing<'a> {
        collections: Array<BigInt> = Vec<i64>,
        ids: Array<Text> = Vec<&'a str>,
    } -> (BigInt, Text, BigInt, BigInt, Nullable<Text>),
    "SELECT r.collection_id, r.id, r.rev, r.modified_at, r.data
     FROM unnest(?, ?) AS k (collection_id, id)
     JOIN records r ON r.collection_id = k.collection_id AND r.id = k.id COLLATE \"C\""
}

statement! {
    /// Adds records of which there is no row. Whoever knows that spares PostgreSQL an index entry on probation.
    Insert<'a> {
        spaces: Array<BigInt> = Vec<i64>,
        revs: Array<BigInt> = Vec<i64>,
        collections: Array<BigInt> = Vec<i64>,
        ids: Array<Text> = Vec<&'a str>,
        times: Array<BigInt> = Vec<i64>,
        data: Array<Nullable<Text>> = Vec<Option<&'a str>>,
    } -> (),
    "INSERT INTO records (space_id, rev, collection_id, id, modified_at, deleted, data)
     SELECT space_id, rev, collection_id, id, modified_at, data IS NULL, data::json
     FROM unnest(?, ?, ?, ?, ?, ?) AS r (space_id, rev, collection_id, id, modified_at, data)"
}

statement! {
    /// Writes the new versions of records of which there is a row.
    Update<'a> {
        revs: Array<BigInt> = Vec<i64>,
        collections: Array<BigInt> = Vec<i64>,
        ids: Array<Text> = Vec<&'a str>,
        times: Array<BigInt> = Vec<i64>,
        data: Array<Nullable<Text>> = Vec<Option<&'a str>>,
    } -> (),
    "UPDATE records r SET rev = n.rev, deleted = n.data IS NULL, modified_at = n.modified_at, data = n.data::json
     FROM unnest(?, ?, ?, ?, ?) AS n (rev, collection_id, id, modified_at, data)
     WHERE r.collection_id = n.collection_id AND r.id = n.id COLLATE \"C\""
}

statement! {
    /// Writes records: a new row, or the new version of the row that is there.
    Write<'a> {
        spaces: Array<BigInt> = Vec<i64>,
        revs: Array<BigInt> = Vec<i64>,
        collections: Array<BigInt> = Vec<i64>,
        ids: Array<Text> = Vec<&'a str>,
        times: Array<BigInt> = Vec<i64>,
        data: Array<Nullable<Text>> = Vec<Option<&'a str>>,
    } -> (),
    "INSERT INTO records (space_id, rev, collection_id, id, modified_at, deleted, data)
     SELECT space_id, rev, collection_id, id, modified_at, data IS NULL, data::json
     FROM unnest(?, ?, ?, ?, ?, ?) AS r (space_id, rev, collection_id, id, modified_at, data)
     ON CONFLICT (collection_id, id) DO UPDATE SET
        rev = excluded.rev, deleted = excluded.deleted, modified_at = excluded.modified_at, data = excluded.data"
}

statement! {
    /// Makes collections, and answers their ids.
    MakeCollections<'a> {
        spaces: Array<BigInt> = Vec<i64>,
        names: Array<Text> = Vec<&'a str>,
    } -> (BigInt, BigInt, Text),
    "INSERT INTO collections (space_id, name) SELECT * FROM unnest(?, ?) RETURNING id, space_id, name"
}

statement! {
    /// Writes back what is true of collections as a whole.
    UpdateCollections {
        ids: Array<BigInt> = Vec<i64>,
        heads: Array<BigInt> = Vec<i64>,
        live: Array<BigInt> = Vec<i64>,
        tombstones: Array<BigInt> = Vec<i64>,
        checksums: Array<BigInt> = Vec<i64>,
        live_bytes: Array<BigInt> = Vec<i64>,
        tombstone_bytes: Array<BigInt> = Vec<i64>,
        horizons: Array<BigInt> = Vec<i64>,
        horizon_times: Array<BigInt> = Vec<i64>,
    } -> (),
    "UPDATE collections c SET
        head = n.head, live = n.live, tombstones = n.tombstones, checksum = n.checksum, live_bytes = n.live_bytes,
        tombstone_bytes = n.tombstone_bytes, horizon = n.horizon, horizon_at = n.horizon_at
     FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?) AS n
        (id, head, live, tombstones, checksum, live_bytes, tombstone_bytes, horizon, horizon_at)
     WHERE c.id = n.id"
}

statement! {
    /// Writes back spaces.
    UpdateSpaces {
        ids: Array<BigInt> = Vec<i64>,
        heads: Array<BigInt> = Vec<i64>,
        times: Array<BigInt> = Vec<i64>,
        versions: Array<BigInt> = Vec<i64>,
    } -> (),
    "UPDATE spaces s SET head = n.head, modified_at = n.modified_at, version = n.version
     FROM unnest(?, ?, ?, ?) AS n (id, head, modified_at, version)
     WHERE s.id = n.id"
}

statement! {
    /// The highest `seq` of clients.
    Seqs<'a> {
        spaces: Array<BigInt> = Vec<i64>,
        names: Array<Text> = Vec<&'a str>,
    } -> (BigInt, Text, BigInt),
    "SELECT c.space_id, c.name, c.seq
     FROM unnest(?, ?) AS k (space_id, name)
     JOIN clients c ON c.space_id = k.space_id AND c.name = k.name COLLATE \"C\""
}

statement! {
    /// Remembers the highest `seq` of clients. Its time is exact to a day, as `SEQ_KEPT` allows for: it has an index, and a
    /// row in which no indexed column changes needs no new entry in any.
    SetSeqs<'a> {
        spaces: Array<BigInt> = Vec<i64>,
        names: Array<Text> = Vec<&'a str>,
        seqs: Array<BigInt> = Vec<i64>,
        times: Array<BigInt> = Vec<i64>,
    } -> (),
    "INSERT INTO clients (space_id, name, seq, used_at) SELECT * FROM unnest(?, ?, ?, ?)
     ON CONFLICT (space_id, name) DO UPDATE SET seq = excluded.seq, used_at =
        CASE WHEN excluded.used_at - clients.used_at BETWEEN 0 AND 86400000000 THEN clients.used_at
        ELSE excluded.used_at END"
}

statement! {
    /// Forgets clients that were not heard of since a time, which is given twice: a row that was written while its lock
    /// was waited for is looked at again by the outer condition.
    ForgetClients {
        before: BigInt = i64,
        again: BigInt = i64,
        limit: BigInt = i64,
    } -> (),
    "DELETE FROM clients WHERE used_at < ? AND ctid = ANY (ARRAY (
        SELECT ctid FROM clients WHERE used_at < ? ORDER BY used_at LIMIT ?))"
}

statement! {
    /// Tells the other nodes.
    Tell<'a> {
        channel: Text = &'a str,
        payloads: Array<Text> = Vec<String>,
    } -> (),
    "SELECT pg_notify(?, payload) FROM unnest(?) AS said (payload)"
}

statement! {
    /// The live records that lie in runs of revisions, in order; `choice` is of collections, or NULL for all.
    Fetch {
        firsts: Array<BigInt> = Vec<i64>,
        lasts: Array<BigInt> = Vec<i64>,
        space: BigInt = i64,
        any: Nullable<Array<BigInt>> = Option<Vec<i64>>,
        choice: Nullable<Array<BigInt>> = Option<Vec<i64>>,
        most: BigInt = i64,
        limit: BigInt = i64,
    } -> (BigInt, BigInt, Text, BigInt, Nullable<Text>),
    "SELECT r.rev, r.collection_id, r.id, r.modified_at, r.data
     FROM unnest(?, ?) AS run (first, last)
     CROSS JOIN LATERAL (
        SELECT * FROM records
        WHERE space_id = ? AND rev BETWEEN run.first AND run.last AND NOT deleted
            AND (? IS NULL OR collection_id = ANY (?))
        ORDER BY rev LIMIT ?) r
     ORDER BY r.rev LIMIT ?"
}

statement! {
    /// Tombstones of a collection between two revisions: how many, bytes of their ids, and the newest revision.
    CountTombstones {
        collection: BigInt = i64,
        after: BigInt = i64,
        upto: BigInt = i64,
    } -> (BigInt, BigInt, BigInt),
    "SELECT count(*), coalesce(sum(octet_length(id)), 0)::bigint, coalesce(max(rev), 0)
     FROM records WHERE collection_id = ? AND deleted AND rev > ? AND rev <= ?"
}

statement! {
    /// Every live record of a space, in order: its revision and collection, and the bytes of its data and of its id, which
    /// as JSON has a backslash before each quote and each backslash.
    Sizes {
        space: BigInt = i64,
    } -> (BigInt, BigInt, BigInt),
    "SELECT rev, collection_id,
        (octet_length(data::text) + octet_length(id) + length(id) - length(translate(id, '\"\\', '')))::bigint
     FROM records WHERE space_id = ? AND NOT deleted ORDER BY rev"
}

statement! {
    /// Remembers where clients were seen, unless it is known from later.
    NoteClients<'a> {
        spaces: Array<Text> = Vec<&'a str>,
        names: Array<Text> = Vec<&'a str>,
        revs: Array<BigInt> = Vec<i64>,
        cursors: Array<Nullable<Text>> = Vec<Option<String>>,
        choices: Array<Nullable<Text>> = Vec<Option<String>>,
        agents: Array<Nullable<Text>> = Vec<Option<&'a str>>,
        times: Array<BigInt> = Vec<i64>,
    } -> (),
    "INSERT INTO known_clients AS k (space_id, name, rev, cursor, collections, agent, seen_at)
     SELECT s.id, n.name, n.rev, n.cursor, n.collections, n.agent, n.seen_at
     FROM unnest(?, ?, ?, ?, ?, ?, ?) AS n (space, name, rev, cursor, collections, agent, seen_at)
     JOIN spaces s ON s.name = n.space COLLATE \"C\"
     ORDER BY s.id, n.name COLLATE \"C\"
     ON CONFLICT (space_id, name) DO UPDATE SET
        rev = excluded.rev, cursor = excluded.cursor, collections = excluded.collections, agent = excluded.agent,
        seen_at = excluded.seen_at
     WHERE k.seen_at <= excluded.seen_at"
}

statement! {
    /// Adds to the counts of pulls by clients without a name.
    CountPulls<'a> {
        spaces: Array<Text> = Vec<&'a str>,
        days: Array<BigInt> = Vec<i64>,
        buckets: Array<BigInt> = Vec<i64>,
        pulls: Array<BigInt> = Vec<i64>,
        times: Array<BigInt> = Vec<i64>,
    } -> (),
    "INSERT INTO anonymous_pulls AS a (space_id, day, bucket, pulls, seen_at)
     SELECT s.id, n.day, n.bucket, n.pulls, n.seen_at
     FROM unnest(?, ?, ?, ?, ?) AS n (space, day, bucket, pulls, seen_at)
     JOIN spaces s ON s.name = n.space COLLATE \"C\"
     ORDER BY s.id, n.day, n.bucket
     ON CONFLICT (space_id, day, bucket) DO UPDATE SET
        pulls = a.pulls + excluded.pulls, seen_at = greatest(a.seen_at, excluded.seen_at)"
}

statement! {
    /// The counts of pulls by clients without a name, of the days after a time.
    AnonymousSince {
        space: BigInt = i64,
        after: BigInt = i64,
    } -> (BigInt, BigInt, BigInt),
    "SELECT bucket, sum(pulls)::bigint, max(seen_at) FROM anonymous_pulls
     WHERE space_id = ? AND day > ? GROUP BY bucket ORDER BY bucket"
}

statement! {
    /// Forgets where clients were seen before a time, which is given twice: see [`ForgetClients`].
    ExpireClients {
        before: BigInt = i64,
        again: BigInt = i64,
        limit: BigInt = i64,
    } -> (),
    "DELETE FROM known_clients WHERE seen_at < ? AND ctid = ANY (ARRAY (
        SELECT ctid FROM known_clients WHERE seen_at < ? ORDER BY seen_at LIMIT ?))"
}

statement! {
    /// Keeps a sample of every space that is not as its last one says.
    TakeSamples {
        now: BigInt = i64,
    } -> (),
    "INSERT INTO samples (space_id, at, head, horizon, live, tombstones)
     SELECT p.id, ?, p.head, p.horizon, p.live, p.tombstones FROM (
        SELECT s.id, s.head, coalesce(max(c.horizon), 0) AS horizon, coalesce(sum(c.live), 0)::bigint AS live,
            coalesce(sum(c.tombstones), 0)::bigint AS tombstones
        FROM spaces s LEFT JOIN collections c ON c.space_id = s.id WHERE s.name IS NOT NULL GROUP BY s.id
     ) AS p LEFT JOIN LATERAL (
        SELECT * FROM samples WHERE space_id = p.id ORDER BY at DESC LIMIT 1
     ) AS last ON true
     WHERE (last.head, last.horizon, last.live, last.tombstones)
        IS DISTINCT FROM (p.head, p.horizon, p.live, p.tombstones)
     ON CONFLICT DO NOTHING"
}

impl UpdateCollections {
    /// Adds a collection.
    pub fn push(&mut self, id: i64, state: &CollectionState) {
        self.ids.push(id);
        self.heads.push(state.head.to_stored());
        self.live.push(state.live.cast_signed());
        self.tombstones.push(state.tombstones.cast_signed());
        self.checksums.push(state.checksum.to_stored());
        self.live_bytes.push(state.live_bytes.cast_signed());
        self.tombstone_bytes.push(state.tombstone_bytes.cast_signed());
        self.horizons.push(state.horizon.to_stored());
        self.horizon_times.push(state.horizon_at.micros());
    }
}

impl UpdateSpaces {
    /// Adds a space.
    pub fn push(&mut self, id: i64, state: &SpaceState, version: i64) {
        self.ids.push(id);
        self.heads.push(state.head.to_stored());
        self.times.push(state.modified_at.micros());
        self.versions.push(version);
    }
}
