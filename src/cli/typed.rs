//! The command line as it was typed. What is wrong with it is told without repeating a password.

use clap::Parser;
use clap::error::{ContextKind, ContextValue};

use super::Cli;
use crate::store::redacted;

/// Options whose value names a database.
const DATABASES: [&str; 4] = ["--database", "--read-database", "--from", "--to"];

/// Reads the arguments of this program.
///
/// # Errors
/// With what is to be printed, and how to exit. clap repeats what it does not understand, which may be a database URL,
/// typed wrongly or in the wrong place; here the passwords are taken out.
pub fn parse() -> Result<Cli, clap::Error> {
    Cli::try_parse().map_err(without_passwords)
}

fn without_passwords(mut error: clap::Error) -> clap::Error {
    let of_a_database = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => DATABASES.iter().any(|option| argument.starts_with(option)),
        _ => false,
    };
    let shown: Vec<(ContextKind, ContextValue)> = (error.context())
        .filter_map(|(kind, value)| {
            let of_a_database = of_a_database && kind == ContextKind::InvalidValue;
            let show = |text: &String| shown(text, of_a_database);
            match value {
                ContextValue::String(text) => Some((kind, ContextValue::String(show(text)))),
                ContextValue::Strings(texts) => Some((kind, ContextValue::Strings(texts.iter().map(show).collect()))),
                _ => None,
            }
        })
        .collect();
    for (kind, value) in shown {
        error.insert(kind, value);
    }
    error
}

/// What may be shown of a text. Without a scheme it is not known where in it a password would be; so one that may have
/// any is not shown at all.
fn shown(text: &str, of_a_database: bool) -> String {
    let bare = !text.contains("://");
    let suspicious = text.contains("password") || (of_a_database && text.contains(['@', '=']));
    if bare && suspicious { "(not shown)".into() } else { redacted(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_wrongly_is_told_without_a_password() {
        for (typed, shown) in [
            ("serve --database postgress://u:s3cret@h/db", "'postgress://u@h/db'"),
            ("serve --database=postgress://u:s3cret@h/db?password=s3cret", "'postgress://u@h/db'"),
            ("serve --read-database u:s3cret@h/db", "'(not shown)'"),
            ("copy --from user=u:s3cret --to sqlite:x.db", "'(not shown)'"),
            ("copy --from host=h password=s3cret --to sqlite:x.db", "'(not shown)'"),
            ("copy --from x.db --to sqlite:x.db", "'x.db'"),
            ("copy --to postgress://u:s3cret@h/db --from sqlite:x.db", "'postgress://u@h/db'"),
            ("spaces list --database mysql://u:s3cret@h/db", "'mysql://u@h/db'"),
            // In the wrong place.
            ("serve postgres://u:s3cret@h/db", "'postgres://u@h/db'"),
            ("postgres://u:s3cret@h/db", "'postgres://u@h/db'"),
            ("serve --databas=postgres://u:s3cret@h/db", "'--databas'"),
            ("copy --discard=postgres://u:s3cret@h/db", "'postgres://u@h/db'"),
            ("backup a.db postgres://u:s3cret@h/db", "'postgres://u@h/db'"),
            ("serve --workers postgres://u:s3cret@h/db", "'postgres://u@h/db'"),
        ] {
            let error = Cli::try_parse_from(std::iter::once("strandline").chain(typed.split(' '))).unwrap_err();
            let told = without_passwords(error).render().to_string();
            assert!(!told.contains("s3cret"), "{typed}: {told}");
            assert!(told.contains(shown), "{typed}: {told}");
        }
    }
}
