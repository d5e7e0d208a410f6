//! Database URLs: which store, and where.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a store is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite:PATH`: an SQLite file, made when it does not exist.
    Sqlite(PathBuf),
}

/// The text is not a database URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a database is named by sqlite:PATH, such as sqlite:strandline.db")]
pub struct DatabaseUrlFault;

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlFault;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlFault> {
        let path = text.strip_prefix("sqlite:").ok_or(DatabaseUrlFault)?;
        // `sqlite:///var/lib/x.db` is how other programs write the absolute path.
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path == ":memory:" {
            return Err(DatabaseUrlFault);
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

/// The same as `Display`: no part of it is secret.
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_names_a_file() {
        let path = |text: &str| text.parse::<DatabaseUrl>().map(|url| url.to_string());
        assert_eq!(path("sqlite:strandline.db"), Ok("sqlite:strandline.db".into()));
        assert_eq!(path("sqlite:///var/x.db"), Ok("sqlite:/var/x.db".into()));
        for bad in ["", "strandline.db", "sqlite:", "sqlite::memory:", "mysql://x"] {
            assert_eq!(path(bad), Err(DatabaseUrlFault), "{bad}");
        }
    }
}
