//! The layers of ARCHITECTURE.md, held by reading the imports.

use std::path::{Path, PathBuf};

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The lines of the files below `room` (less `except`) that are no comment and hold one of `words`.
fn mentions(room: &str, except: &[&str], words: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let place = root.join(room);
    let files = if place.is_dir() { sources(&place) } else { vec![place] };
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        if except.iter().any(|except| name.starts_with(except)) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                found.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn each_room_knows_only_the_rooms_below_it() {
    let above_domain = [
        "crate::store",
        "crate::feed",
        "crate::http",
        "crate::cli",
        "crate::copier",
        "crate::replica",
        "crate::compactor",
        "crate::server",
        "crate::config",
    ];
    let above_store =
        ["crate::replica", "crate::http", "crate::cli", "crate::compactor", "crate::server", "crate::config"];
    let rules: [(&str, &[&str], &[&str]); 8] = [
        ("domain", &[], &above_domain),
        // An app that links the replica links no server.
        ("replica", &[], &above_domain),
        ("store", &[], &above_store),
        ("copier.rs", &[], &["crate::http", "crate::cli", "crate::server", "crate::config", "crate::compactor"]),
        ("compactor.rs", &[], &["crate::http", "crate::cli", "crate::server", "crate::config"]),
        ("feed.rs", &[], &["crate::store", "crate::http", "crate::cli", "crate::server", "crate::compactor"]),
        ("http", &[], &["crate::cli", "crate::server", "crate::replica"]),
        // Only the function that opens a database URL names a backend; the replica has a file of its own.
        ("", &["store/", "replica/"], &["sqlite::", "SqliteStore", "diesel"]),
    ];
    for (room, except, forbidden) in rules {
        assert_eq!(mentions(room, except, forbidden), Vec::<String>::new(), "{room} must not know {forbidden:?}");
    }
}

#[test]
fn the_domain_never_awaits_and_does_no_input_or_output() {
    let impure = ["async ", ".await", "tokio", "actix", "diesel", "std::fs", "std::net", "std::env", "log::"];
    assert_eq!(mentions("domain", &[], &impure), Vec::<String>::new());
}

#[test]
fn the_store_never_names_an_http_status() {
    assert_eq!(mentions("store", &[], &["StatusCode", "actix", "HttpResponse"]), Vec::<String>::new());
}
