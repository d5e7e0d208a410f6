//! Inspecting an SQLite file: the file as a whole is here, a space is in `space`.
//!
//! Each look has a connection of its own, and a commit of a repair is like that of any other program on the file: the
//! server's memory of spaces is right for as long as the WAL index says that nothing was committed, and its writer's as
//! long as `PRAGMA data_version` does.

mod space;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::connection::{embedded_versions, failure, open_for_inspection, pattern, snapshot};
use super::heads::{Heads, Verdict};
use super::restore;
use crate::domain::{Clock, Retention, RetentionPolicy, SystemClock};
use crate::store::StoreError;
use crate::store::inspect::{Fault, Finding, Inspector, Remedy, SpaceKey, Watch, mended, orphans};
use crate::store::schema::spaces;

/// Messages of SQLite's own check, at the most.
const MESSAGES: usize = 20;

/// Who looks at an SQLite file.
pub struct SqliteInspector {
    path: PathBuf,
}

impl SqliteInspector {
    /// Looks whether there is a database of this program's schema.
    ///
    /// # Errors
    /// [`StoreError::Open`] where there is none.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let inspector = Self { path: path.to_owned() };
        inspector.look(check_version).await?;
        Ok(inspector)
    }

    /// Runs `work` on a connection that only reads, and on a thread that may block.
    async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteConnection, &Path) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(false, work).await
    }

    async fn run<T: Send + 'static>(
        &self,
        writes: bool,
        work: impl FnOnce(&mut SqliteConnection, &Path) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let path = self.path.clone();
        let done = tokio::task::spawn_blocking(move || work(&mut open_for_inspection(&path, writes)?, &path));
        done.await.map_err(StoreError::internal)?
    }

    /// Runs `work` in a transaction that has the write lock from its beginning.
    async fn transact<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let transaction = move |connection: &mut SqliteConnection, _: &Path| {
            connection.batch_execute("BEGIN IMMEDIATE").map_err(failure)?;
            let done = work(connection);
            let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
            connection.batch_execute(end).map_err(failure)?;
            done
        };
        self.run(true, transaction).await
    }
}

#[async_trait]
impl Inspector for SqliteInspector {
    async fn database(&self, repair: bool) -> Result<Vec<Finding>, StoreError> {
        let mut findings = self.look(|connection, _| snapshot(connection, check_file)).await?;
        let lost = self.look(|connection, _| snapshot(connection, find_orphans)).await?;
        // Into a damaged file nothing is written.
        if repair && !lost.is_empty() && findings.iter().all(|finding| finding.fault != Fault::Damaged) {
            findings.extend(self.transact(adopt_orphans).await?);
        } else {
            findings.extend(lost.into_iter().map(|(_, finding)| finding));
        }
        Ok(findings)
    }

    async fn spaces(&self) -> Result<Vec<SpaceKey>, StoreError> {
        let read = |connection: &mut SqliteConnection, _: &Path| {
            let found = spaces::table
                .filter(spaces::name.is_not_null())
                .order(spaces::id)
                .select((spaces::id, spaces::name.assume_not_null()))
                .load::<(i64, String)>(connection)
                .map_err(failure)?;
            Ok(found.into_iter().map(|(id, name)| SpaceKey { id, name }).collect())
        };
        self.look(read).await
    }

    async fn space(
        &self,
        key: &SpaceKey,
        repair: bool,
        watch: Watch,
    ) -> Result<Option<(Vec<Finding>, u64)>, StoreError> {
        let (id, now) = (key.id, SystemClock.now());
        let look = move |connection: &mut SqliteConnection, _: &Path| {
            snapshot(connection, |connection| space::examine(connection, id, now, Some(&watch)))
        };
        let Some((seen, rows)) = self.look(look).await? else { return Ok(None) };
        if !repair || seen.mend.is_empty() {
            return Ok(Some((seen.findings, rows)));
        }
        let again = self.transact(move |connection| space::mend(connection, id, now)).await?;
        Ok(again.map(|again| (mended(seen.findings, again.findings), rows)))
    }

    async fn history(&self, space: Option<&SpaceKey>, repair: bool) -> Result<Vec<Finding>, StoreError> {
        let name = space.map(|space| space.name.clone());
        let look = move |connection: &mut SqliteConnection, path: &Path| check_heads(connection, path, name.as_deref());
        let findings = self.look(look).await?;
        let mendable = findings.iter().any(|finding| finding.remedy == Remedy::Repair);
        if !repair || !mendable {
            return Ok(findings);
        }
        // As whoever opens the file would do: new epochs where they are due, and the heads as they then are.
        let mend = |connection: &mut SqliteConnection, path: &Path| {
            restore::check(connection, path)?.store(path).map_err(StoreError::internal)
        };
        match self.run(true, mend).await {
            Ok(()) => Ok(findings.into_iter().map(Finding::mended).collect()),
            // A space that cannot be read keeps it from all of them.
            Err(StoreError::Internal(why)) => {
                let advice = format!("mend the spaces first, then run this again ({why})");
                Ok(findings.into_iter().map(|finding| finding.advice(&*advice)).collect())
            }
            Err(error) => Err(error),
        }
    }
}

#[derive(QueryableByName)]
struct Said {
    #[diesel(sql_type = Text)]
    said: String,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// A table or index: its kind, its name, and the statement that made it.
#[derive(QueryableByName)]
struct Part {
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Nullable<Text>)]
    made: Option<String>,
}

fn check_version(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let there = diesel::sql_query("SELECT version AS said FROM __diesel_schema_migrations").load::<Said>(connection);
    let there: Vec<String> = match there {
        Ok(there) => there.into_iter().map(|version| version.said).collect(),
        Err(error) if error.to_string().contains("no such table") => Vec::new(),
        Err(error) => {
            let why = failure(error);
            return Err(StoreError::Open(format!("the database {} cannot be read: {why}", path.display())));
        }
    };
    // diesel keeps them without the hyphens that the folders have.
    if embedded_versions()?.iter().all(|version| there.contains(version)) {
        return Ok(());
    }
    let path = path.display();
    Err(StoreError::Open(format!(
        "the schema of {path} is not that of this program: if it is older, starting the server brings it up to date"
    )))
}

fn check_file(connection: &mut SqliteConnection) -> Result<Vec<Finding>, StoreError> {
    let check = diesel::dsl::sql::<Text>(&format!("PRAGMA integrity_check({MESSAGES})"));
    let said = check.load::<String>(connection).unwrap_or_else(|error| vec![error.to_string()]);
    let damage = said.into_iter().filter(|line| line != "ok");
    let mut findings: Vec<Finding> = damage.map(|line| Finding::of(Fault::Damaged).stored(line)).collect();
    let there = parts(connection)?;
    for (name, (kind, made)) in parts(&mut pattern()?)? {
        if there.get(&name).is_some_and(|(_, as_it_is)| *as_it_is == made) {
            continue;
        }
        let finding = match (kind.as_str(), made) {
            ("index", Some(made)) => Finding::of(Fault::Index)
                .advice(format!("make it anew while no server runs: DROP INDEX IF EXISTS {name}; {made}")),
            _ => Finding::of(Fault::Schema),
        };
        findings.push(finding.stored(name));
    }
    Ok(findings)
}

/// The tables and indexes by name.
fn parts(connection: &mut SqliteConnection) -> Result<BTreeMap<String, (String, Option<String>)>, StoreError> {
    let all = "SELECT type AS kind, name, sql AS made FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'";
    let found = diesel::sql_query(all).load::<Part>(connection).map_err(failure)?;
    Ok(found.into_iter().map(|part| (part.name, (part.kind, part.made))).collect())
}

fn numbers(connection: &mut SqliteConnection, sql: String) -> Result<Vec<i64>, StoreError> {
    let found = diesel::sql_query(sql).load::<Number>(connection).map_err(failure)?;
    Ok(found.into_iter().map(|row| row.number).collect())
}

/// Rows of spaces that there are none of, with the id.
fn find_orphans(connection: &mut SqliteConnection) -> Result<Vec<(i64, Finding)>, StoreError> {
    let mut found = Vec::new();
    for table in orphans::TABLES {
        for space in numbers(connection, orphans::ids(table))? {
            let count = numbers(connection, orphans::count(table, space))?.into_iter().sum();
            found.push((space, orphans::finding(table, space, count)));
        }
    }
    Ok(found)
}

/// Gives orphans a space without a name, so that they are swept away.
fn adopt_orphans(connection: &mut SqliteConnection) -> Result<Vec<Finding>, StoreError> {
    let found = find_orphans(connection)?;
    let policy = RetentionPolicy::of(Retention::DEFAULT);
    for (space, _) in &found {
        diesel::insert_or_ignore_into(spaces::table)
            .values((
                spaces::id.eq(space),
                spaces::retention.eq(policy.retention.to_string()),
                spaces::max_retention.eq(policy.max_retention.to_string()),
                spaces::created_at.eq(0),
                spaces::modified_at.eq(0),
            ))
            .execute(connection)
            .map_err(failure)?;
    }
    Ok(found.into_iter().map(|(_, finding)| finding.mended()).collect())
}

/// Compares the spaces, or the one of this name, with what was seen of them.
fn check_heads(connection: &mut SqliteConnection, path: &Path, only: Option<&str>) -> Result<Vec<Finding>, StoreError> {
    // Read first: it may lag behind the database, never lead it.
    let heads = match Heads::read(path) {
        Ok(heads) => heads,
        Err(fault) => return Ok(vec![Finding::of(Fault::HeadsFile).stored(fault)]),
    };
    let now = snapshot(connection, restore::seen)?;
    let behind = now.iter().filter(|(name, now)| {
        let seen = heads.spaces.get(*name);
        only.is_none_or(|only| only == *name) && seen.is_some_and(|seen| seen.judge(now) != Verdict::InOrder)
    });
    let finding = |(name, now): (&String, &super::heads::Seen)| {
        let seen = heads.spaces.get(name).map_or(0, |seen| seen.head);
        let told = |head, epochs: usize| format!("head {head} in {epochs} epochs");
        let seen_epochs = heads.spaces.get(name).map_or(0, |seen| seen.epochs.len());
        Finding::of(Fault::PutBack).space(name).stored(told(now.head, now.epochs.len())).rows(told(seen, seen_epochs))
    };
    Ok(behind.map(finding).collect())
}
