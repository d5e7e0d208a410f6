//! Database URLs: which store, and where.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a store is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite:PATH`: an SQLite file, made when it does not exist.
    Sqlite(PathBuf),
    /// `postgres://…`: a PostgreSQL database, which must exist.
    Postgres(PostgresUrl),
}

/// A PostgreSQL URL as it was given. It may hold a password, which nothing but [`PostgresUrl::secret`] hands out.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

/// The text is not a database URL. Neither form repeats the text: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlFault {
    /// No store goes by that scheme.
    #[error(
        "a database is named by sqlite:PATH, such as sqlite:strandline.db, or by \
         postgres://USER@HOST:PORT/DATABASE"
    )]
    Scheme,
    /// PostgreSQL's client does not understand it.
    #[error(
        "a PostgreSQL database is named by postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=MODE&sslrootcert=FILE, \
         where all but the host may be left out and special characters are percent-encoded"
    )]
    Postgres,
    /// A port is none.
    #[error("a port in the URL of a PostgreSQL database must be a number from 1 to 65535")]
    Port,
    /// There is no such `sslmode`.
    #[error("sslmode in the URL of a PostgreSQL database must be disable, prefer, require, verify-ca or verify-full")]
    SslMode,
}

impl DatabaseUrl {
    /// Whether it is a file that opening it will make.
    #[must_use]
    pub fn is_new(&self) -> bool {
        matches!(self, Self::Sqlite(path) if !path.exists())
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlFault;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlFault> {
        if let Some(rest) = PostgresUrl::without_scheme(text) {
            return if rest.is_empty() {
                Err(DatabaseUrlFault::Postgres)
            } else {
                Ok(Self::Postgres(PostgresUrl(text.to_owned())))
            };
        }
        let path = text.strip_prefix("sqlite:").ok_or(DatabaseUrlFault::Scheme)?;
        // `sqlite:///var/lib/x.db` is how other programs write the absolute path.
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path == ":memory:" {
            return Err(DatabaseUrlFault::Scheme);
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

impl PostgresUrl {
    fn without_scheme(text: &str) -> Option<&str> {
        text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"))
    }

    /// The whole text, with the password. It goes to the client of the database and nowhere else.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }
}

/// Takes out of `text` whatever may be a password, where it looks like a URL with credentials or parameters: for what
/// is shown to people. It would rather take too much than too little.
#[must_use]
pub fn redacted(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (credentials, place) = rest.rsplit_once('@').map_or((None, rest), |(before, after)| (Some(before), after));
    // Parameters may hold a password too, and whoever reads this knows the others.
    let place = place.split('?').next().unwrap_or_default();
    match credentials.map(|credentials| credentials.split([':', '/', '?']).next().unwrap_or_default()) {
        Some(user) => format!("{scheme}://{user}@{place}"),
        None => format!("{scheme}://{place}"),
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => fmt::Display::fmt(url, f),
        }
    }
}

/// The same as `Display`: no part of it is secret.
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Without the password and the parameters.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(&self.0))
    }
}

/// The same as `Display`: no part of it is secret.
impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_names_a_file_or_a_server() {
        let parse = |text: &str| text.parse::<DatabaseUrl>().map(|url| url.to_string());
        assert_eq!(parse("sqlite:strandline.db"), Ok("sqlite:strandline.db".into()));
        assert_eq!(parse("sqlite:///var/x.db"), Ok("sqlite:/var/x.db".into()));
        assert_eq!(parse("postgres://db.example/app"), Ok("postgres://db.example/app".into()));
        assert_eq!(parse("postgresql://u@db/app?sslmode=require"), Ok("postgresql://u@db/app".into()));
        for bad in ["", "strandline.db", "sqlite:", "sqlite::memory:", "mysql://x"] {
            assert_eq!(parse(bad), Err(DatabaseUrlFault::Scheme), "{bad}");
        }
        assert_eq!(parse("postgres://"), Err(DatabaseUrlFault::Postgres));
    }

    #[test]
    fn a_password_is_never_shown() {
        for (text, shown) in [
            ("postgres://u:s3cret@db/app", "postgres://u@db/app"),
            ("postgres://u:s3cret@db:5432,db2:5432/app?target_session_attrs=any", "postgres://u@db:5432,db2:5432/app"),
            // Characters that should have been percent-encoded.
            ("postgres://u:s3cret@s3cret/s3cret?s3cret@db/app", "postgres://u@db/app"),
            ("postgres://db/app?user=u&password=s3cret", "postgres://db/app"),
            ("postgres://:s3cret@db/app", "postgres://@db/app"),
            ("postgress://u:s3cret@db/app", "postgress://u@db/app"),
            ("sqlite:x.db", "sqlite:x.db"),
        ] {
            assert_eq!(redacted(text), shown);
            if let Ok(url) = text.parse::<DatabaseUrl>() {
                assert_eq!(format!("{url} {url:?}"), format!("{shown} {shown}"));
            }
        }
    }
}
