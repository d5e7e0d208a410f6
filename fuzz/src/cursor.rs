//! Cursors, and `since`, which may be one.

use strandline::domain::{Cursor, Progress, Rev, Since};

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let read = text.parse::<Cursor>();
    assert_eq!(read.is_ok(), is_cursor(text), "{text:?} is read as {read:?}");
    let since = Since::parse(text);
    let Ok(cursor) = read else {
        assert!(!matches!(since, Ok(Since::Cursor(_))), "{text:?} is no cursor, but since takes it for one");
        return;
    };
    assert_eq!(since, Ok(Since::Cursor(cursor)), "{text:?} is a cursor, but not to since");

    let printed = cursor.to_string();
    assert_eq!(printed.parse(), Ok(cursor), "{text:?} is printed as {printed:?}");
    assert_eq!(printed.parse::<Cursor>().unwrap().to_string(), printed);
    // An epoch, two revisions and a scope: however long a text is, no cursor takes more.
    assert!(printed.len() <= 16 + 2 * 17 + 17, "{text:?} becomes longer: {printed:?}");
    assert!(cursor.rev <= Rev::MAX);
    if let Progress::Initial { start } = cursor.progress {
        assert!(start <= Rev::MAX);
    }
}

/// The grammar of PROTOCOL.md §1, spelled out. A scope of another server's form is taken for one that nobody asks for.
fn is_cursor(text: &str) -> bool {
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let revision = |text: &str| {
        let digits = text.trim_start_matches('0');
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_digit())
            && (digits.len() < 16 || digits.len() == 16 && digits <= "9007199254740991")
    };
    let (place, scope) = text.split_once('~').map_or((text, None), |(place, scope)| (place, Some(scope)));
    let parts: Vec<&str> = place.split('.').collect();
    let well_formed = match parts[..] {
        [epoch, rev] => plain(epoch) && epoch.len() <= 16 && revision(rev),
        [epoch, rev, start] => plain(epoch) && epoch.len() <= 16 && revision(rev) && (start == "p" || revision(start)),
        _ => false,
    };
    well_formed && scope.is_none_or(|scope| plain(scope) && scope.len() <= 64)
}
