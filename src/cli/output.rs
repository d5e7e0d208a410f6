//! What a subcommand prints when it is done: aligned text for people, one JSON document for programs.

use std::io::{self, Write};

use serde::Serialize;

use super::CliError;

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
}
