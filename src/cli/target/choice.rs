//! The options that say what a subcommand works on.

use std::env;
use std::sync::Arc;

use clap::Args;

use super::local::Local;
use super::remote::Remote;
use super::{CliError, Target};
use crate::domain::SpaceName;
use crate::store::{self, DatabaseUrl, Store, StoreOptions};

const DATABASE: &str = "STRANDLINE_DATABASE";
const URL: &str = "STRANDLINE_URL";
const DEFAULT_DATABASE: &str = "sqlite:strandline.db";
const DATABASE_HELP: &str =
    "The database, to work on it directly [env: STRANDLINE_DATABASE] [default: sqlite:strandline.db]";
const URL_HELP: &str = "The server to work through, such as http://127.0.0.1:7878 [env: STRANDLINE_URL]";

/// A database or a server.
///
/// The environment is read here and not by clap, because an option typed must beat a variable that happens to be set:
/// clap would call `--url` beside `STRANDLINE_DATABASE` a contradiction.
#[derive(Debug, Args)]
pub struct TargetArgs {
    #[arg(long, value_name = "URL", conflicts_with = "url", help = DATABASE_HELP)]
    database: Option<DatabaseUrl>,
    #[arg(long, value_name = "URL", help = URL_HELP)]
    url: Option<String>,
    /// The token that the server asks for; safer in the environment than typed
    #[arg(long, env = "STRANDLINE_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// A database, for what no server does.
#[derive(Debug, Args)]
pub struct DatabaseArgs {
    /// The database
    #[arg(long, value_name = "URL", env = DATABASE, hide_env_values = true, default_value = DEFAULT_DATABASE)]
    pub database: DatabaseUrl,
}

/// One space or all of them; one of the two must be said.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct SpaceChoice {
    /// The space
    #[arg(value_name = "SPACE")]
    named: Option<SpaceName>,
    /// The same as an option, as `import` and `export` have it
    #[arg(long, value_name = "NAME")]
    space: Option<SpaceName>,
    /// All spaces
    #[arg(long)]
    pub all: bool,
}

/// Whether a database that is not there is made, or is a mistyped name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayCreate {
    /// The command is a way to begin.
    Yes,
    /// The command works on what is there.
    No,
}

impl TargetArgs {
    /// Opens the database, or prepares to talk to the server.
    pub async fn open(self, may_create: MayCreate) -> Result<Box<dyn Target>, CliError> {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let parse =
            |text: &str| text.parse::<DatabaseUrl>().map_err(|fault| CliError::Usage(format!("{DATABASE}: {fault}")));
        // A typed database stays the value it was read as: as a text it would have no password any more.
        let (url, database) = match (self.url, self.database) {
            (None, None) => (set(URL), set(DATABASE).map(|text| parse(&text)).transpose()?),
            typed => typed,
        };
        match (url, database) {
            (Some(_), Some(_)) => {
                Err(CliError::Usage(format!("both {URL} and {DATABASE} are set: choose with --url or --database")))
            }
            (Some(url), None) => Ok(Box::new(Remote::new(&url, self.token.as_deref())?)),
            (None, database) => {
                let database = database.map_or_else(|| parse(DEFAULT_DATABASE), Ok)?;
                must_exist(&database, may_create)?;
                Ok(Box::new(Local::open(&database).await?))
            }
        }
    }
}

impl DatabaseArgs {
    /// Opens the database, which must be there.
    pub async fn open(&self) -> Result<Arc<dyn Store>, CliError> {
        must_exist(&self.database, MayCreate::No)?;
        Ok(store::open(&self.database, StoreOptions::default()).await?)
    }
}

/// Opening makes a database that is not there: for most commands that would turn a typing error into an empty answer.
pub fn must_exist(database: &DatabaseUrl, may_create: MayCreate) -> Result<(), CliError> {
    // A database server is asked when it is opened: it never makes one.
    let DatabaseUrl::Sqlite(path) = database else { return Ok(()) };
    if may_create == MayCreate::Yes || path.exists() {
        return Ok(());
    }
    let path = path.display();
    Err(CliError::Failed(format!("there is no database at {path}: name one with --database, or a server with --url")))
}

impl SpaceChoice {
    /// The one space chosen; `None` for all.
    pub fn one(&self) -> Option<&SpaceName> {
        self.named.as_ref().or(self.space.as_ref())
    }

    /// The spaces chosen.
    pub async fn names(&self, target: &dyn Target) -> Result<Vec<SpaceName>, CliError> {
        match self.one() {
            Some(name) => Ok(vec![name.clone()]),
            None => target.spaces().await?.iter().map(super::SpaceInfo::name).collect(),
        }
    }
}
