//! What a subcommand prints when it is done: aligned text for people, one JSON document for programs.

use std::io::{self, Write};

use serde::Serialize;

use super::CliError;
use crate::domain::Timestamp;

/// Prints `value` as JSON for programs, or else the text that `human` makes, on stdout.
pub fn print<T: Serialize>(json: bool, value: &T, human: impl FnOnce() -> String) -> Result<(), CliError> {
    print_to(&mut io::stdout().lock(), json, value, human)
}

/// The same, to wherever the results of this command go.
pub fn print_to<T: Serialize>(
    out: &mut dyn Write,
    json: bool,
    value: &T,
    human: impl FnOnce() -> String,
) -> Result<(), CliError> {
    let mut text =
        if json { serde_json::to_string(value).map_err(|error| CliError::Failed(error.to_string()))? } else { human() };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| CliError::io("the output", &error))
}

/// Tells stderr something beside a progress bar. When stderr is gone, nobody is there to be told.
pub fn note(bar: &indicatif::ProgressBar, text: std::fmt::Arguments<'_>) {
    bar.suspend(|| {
        let _ = writeln!(io::stderr(), "{text}");
    });
}

/// Lines up `rows` under `header`; columns of numbers to the right.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let columns: Vec<(usize, bool)> = (header.iter().enumerate())
        .map(|(column, title)| {
            let width = cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0);
            let number = |cell: &String| cell.parse::<u64>().is_ok();
            (width.max(title.chars().count()), !rows.is_empty() && cells(column).all(number))
        })
        .collect();
    let titles = header.iter().map(|title| (*title).to_owned()).collect();
    let mut text = String::new();
    for row in std::iter::once(&titles).chain(rows) {
        let line: Vec<String> = (row.iter().zip(&columns))
            .map(|(cell, (width, number))| if *number { format!("{cell:>width$}") } else { format!("{cell:<width$}") })
            .collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A number of bytes for people.
pub fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}

/// How long before `now` something was, in the largest whole unit.
pub fn ago(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.seconds().saturating_sub(time.seconds()).max(0);
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
    match units.into_iter().find(|(unit, _)| seconds >= *unit) {
        Some((unit, letter)) => format!("{}{letter} ago", seconds / unit),
        None => format!("{seconds}s ago"),
    }
}

/// The same of a time as the protocol writes it.
pub fn ago_text(time: &str, now: Timestamp) -> String {
    time.parse().map_or_else(|_| time.to_owned(), |time| ago(time, now))
}

/// Some of `total` names, each cut short where it is long, and how many there are besides.
pub fn some_names(names: &[String], total: u64) -> String {
    /// Names that are shown.
    const SHOWN: usize = 3;
    /// Characters of one.
    const LONGEST: usize = 24;
    let short = |name: &String| match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or(name)),
        None => name.clone(),
    };
    let shown: Vec<String> = names.iter().take(SHOWN).map(short).collect();
    let more = total.saturating_sub(shown.len() as u64);
    let shown = shown.join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// `count` and the noun that goes with it.
pub fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up_words_to_the_left_and_numbers_to_the_right() {
        let rows = [vec!["a".into(), "5".into(), "x".into()], vec!["long".into(), "1000".into(), "7".into()]];
        assert_eq!(table(&["NAME", "HEAD", "X"], &rows), "NAME  HEAD  X\na        5  x\nlong  1000  7\n");
        assert_eq!(table(&["NAME"], &[]), "NAME\n");
    }

    #[test]
    fn a_time_is_told_in_its_largest_unit() {
        let now = Timestamp::from_micros(1_000_000 * 1_000_000);
        for (seconds, told) in
            [(-5, "0s ago"), (0, "0s ago"), (59, "59s ago"), (60, "1m ago"), (7_199, "1h ago"), (86_400 * 3, "3d ago")]
        {
            assert_eq!(ago(Timestamp::from_micros(now.micros() - seconds * 1_000_000), now), told);
        }
    }

    #[test]
    fn of_many_names_some_are_shown_and_of_a_long_one_its_beginning() {
        let names: Vec<String> = ["a", "b", "c", "d"].map(String::from).into();
        assert_eq!(some_names(&[], 0), "");
        assert_eq!(some_names(&names[..3], 3), "a, b, c");
        assert_eq!(some_names(&names, 250), "a, b, c and 247 more");
        assert_eq!(some_names(&["x".repeat(30)], 1), format!("{}…", "x".repeat(24)));
    }
}
