//! The database as a whole: whether what the store relies on is in PostgreSQL's catalogue, and as it was made.

use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::super::fault::Fault as Failure;
use crate::store::inspect::{Fault, Finding};
use crate::store::schema::{facts, spaces};

/// The indexes that the migrations make: name, whether it is unique, and the end of its definition.
const INDEXES: [(&str, bool, &str); 17] = [
    ("spaces_pkey", true, "ON spaces USING btree (id)"),
    ("spaces_name_key", true, "ON spaces USING btree (name)"),
    ("spaces_copying", true, "ON spaces USING btree (copying) WHERE (copying IS NOT NULL)"),
    ("epochs_pkey", true, "ON epochs USING btree (space_id, ordinal)"),
    ("collections_pkey", true, "ON collections USING btree (id)"),
    ("collections_space_id_name_key", true, "ON collections USING btree (space_id, name)"),
    ("clients_pkey", true, "ON clients USING btree (space_id, name)"),
    ("clients_by_use", false, "ON clients USING btree (used_at)"),
    ("records_by_rev", true, "ON records USING btree (space_id, rev)"),
    ("records_by_id", true, "ON records USING btree (collection_id, id)"),
    ("tombstones", false, "ON records USING btree (collection_id, rev, modified_at) WHERE deleted"),
    ("known_clients_pkey", true, "ON known_clients USING btree (space_id, name)"),
    ("known_clients_by_sight", false, "ON known_clients USING btree (seen_at)"),
    ("anonymous_pulls_pkey", true, "ON anonymous_pulls USING btree (space_id, day, bucket)"),
    ("samples_pkey", true, "ON samples USING btree (space_id, at)"),
    ("samples_by_time", false, "ON samples USING btree (at)"),
    ("facts_pkey", true, "ON facts USING btree (name)"),
];

#[derive(QueryableByName)]
struct Index {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    made: String,
    #[diesel(sql_type = Bool)]
    sound: bool,
}

#[derive(QueryableByName)]
struct Said {
    #[diesel(sql_type = Nullable<Text>)]
    said: Option<String>,
}

/// Definitions name the schema only where it is not the first of the search path, so that they are compared without.
const FOUND: &str = "
    SELECT i.relname::text AS name, replace(pg_get_indexdef(i.oid), n.nspname || '.', '') AS made,
        x.indisvalid AND x.indisready AND x.indislive AS sound
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_namespace n ON n.oid = i.relnamespace
    WHERE x.indrelid IN ('spaces'::regclass, 'epochs'::regclass, 'collections'::regclass, 'clients'::regclass,
        'known_clients'::regclass, 'anonymous_pulls'::regclass, 'samples'::regclass, 'records'::regclass, 'facts'::regclass)";

/// Looks at indexes, replica identity, and whether commits are durable.
pub(super) async fn check(mut connection: &AsyncPgConnection) -> Result<Vec<Finding>, Failure> {
    let there = diesel::sql_query(FOUND).load::<Index>(&mut connection).await?;
    let mut findings = Vec::new();
    for (name, unique, end) in INDEXES {
        let kind = if unique { "UNIQUE INDEX" } else { "INDEX" };
        let made = format!("CREATE {kind} {name} {end}");
        let found = there.iter().find(|index| index.name == name);
        if found.is_some_and(|index| index.sound && index.made == made) {
            continue;
        }
        let stored = match found {
            None => format!("{name} is missing"),
            Some(index) if !index.sound => format!("{name} is invalid"),
            Some(index) => format!("{name} is {}", index.made),
        };
        let anew = made.replace("INDEX ", "INDEX CONCURRENTLY ");
        let advice =
            format!("make it anew, which needs no pause: DROP INDEX CONCURRENTLY IF EXISTS {name}; then {anew}");
        findings.push(Finding::of(Fault::Index).stored(stored).advice(advice));
    }
    let identity = "SELECT relreplident::text AS said FROM pg_class WHERE oid = 'records'::regclass";
    if ask(connection, identity).await?.is_none_or(|identity| identity == "d" || identity == "n") {
        findings.push(Finding::of(Fault::ReplicaIdentity));
    }
    if ask(connection, "SELECT current_setting('fsync') AS said").await?.as_deref() == Some("off") {
        findings.push(Finding::of(Fault::NotDurable).stored("fsync = off"));
    }
    Ok(findings)
}

/// Looks whether the place of the spaces is noted, as it is by the first node that connects.
pub(super) async fn check_home(mut connection: &AsyncPgConnection) -> Result<Vec<Finding>, Failure> {
    let noted = facts::table.find("home").select(facts::value);
    let noted = noted.get_result::<String>(&mut connection).await.optional()?;
    let any = spaces::table.select(diesel::dsl::count_star()).get_result::<i64>(&mut connection).await? > 0;
    let finding = match noted {
        Some(noted) if noted.split('/').count() == 4 => return Ok(Vec::new()),
        Some(noted) => Finding::of(Fault::Home).stored(format!("{noted:?}")),
        None if any => Finding::of(Fault::Home).stored("nothing"),
        None => return Ok(Vec::new()),
    };
    Ok(vec![finding])
}

async fn ask(mut connection: &AsyncPgConnection, sql: &str) -> Result<Option<String>, Failure> {
    Ok(diesel::sql_query(sql).get_result::<Said>(&mut connection).await?.said)
}
