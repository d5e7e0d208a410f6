//! The layers of ARCHITECTURE.md, held by reading the imports, and by asking cargo what a replica brings along.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    let of_the_server = [
        "crate::store",
        "crate::feed",
        "crate::http",
        "crate::cli",
        "crate::copier",
        "crate::replica",
        "crate::compactor",
        "crate::server",
        "crate::config",
        "crate::registry",
        "crate::stats",
        "crate::access",
    ];
    let above_store = [
        "crate::http",
        "crate::cli",
        "crate::compactor",
        "crate::server",
        "crate::config",
        "crate::replica",
        "crate::registry",
        "crate::stats",
        "crate::access",
    ];
    let rules: [(&str, &[&str], &[&str]); 13] = [
        ("domain", &[], &of_the_server),
        ("domain", &[], &["crate::replica"]),
        ("replica", &[], &of_the_server),
        ("store", &[], &above_store),
        ("copier.rs", &[], &["crate::http", "crate::cli", "crate::server", "crate::config", "crate::compactor"]),
        ("compactor.rs", &[], &["crate::http", "crate::cli", "crate::server", "crate::config"]),
        ("registry.rs", &[], &["crate::http", "crate::cli", "crate::server", "crate::config", "crate::compactor"]),
        ("access", &[], &["crate::http", "crate::cli", "crate::server", "crate::config", "crate::compactor"]),
        ("audit.rs", &[], &["crate::"]),
        ("stats.rs", &[], &["crate::http", "crate::cli", "crate::server", "crate::config", "crate::compactor"]),
        ("feed.rs", &[], &["crate::store", "crate::http", "crate::cli", "crate::server", "crate::compactor"]),
        ("http", &[], &["crate::cli", "crate::server", "crate::replica"]),
        // Only the function that opens a database URL names a backend; a replica has a file of its own.
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

/// The packages of the library without the feature `server`, down to this depth, without the library itself.
fn packages_of_a_replica(depth: &str) -> BTreeSet<String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Offline, as what was just built is all that is asked about: this platform, and no other's packages.
    cargo.args(["tree", "--offline", "--locked", "--no-default-features", "--edges", "normal"]);
    cargo.args(["--prefix", "none", "--format", "{lib}", "--depth", depth]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let name = |line: &str| line.split(' ').next().unwrap().to_owned();
    text.lines().map(name).filter(|name| !name.is_empty() && name != "strandline").collect()
}

#[test]
fn an_app_that_links_a_replica_links_nothing_of_the_server() {
    let own = [
        "chrono",
        "diesel",
        "diesel_migrations",
        "fastrand",
        "form_urlencoded",
        "libsqlite3_sys",
        "log",
        "serde",
        "serde_json",
        "sha2",
        "thiserror",
        "ureq",
        "uuid",
    ];
    // Whatever is new has to be optional, and named by the feature, unless a replica has need of it.
    assert_eq!(packages_of_a_replica("1"), own.map(String::from).into());
    // They bring along no runtime, no server and no command line.
    let all = packages_of_a_replica("999");
    assert!(all.contains("rustls"), "https is built in");
    let servers = [
        "actix",
        "askama",
        "clap",
        "deadpool",
        "diesel_async",
        "env_logger",
        "futures",
        "hyper",
        "mio",
        "postgres",
        "pq",
        "prometheus",
        "tokio",
        "tower",
        "utoipa",
        "zstd",
    ];
    let found: Vec<_> = all.iter().filter(|name| servers.iter().any(|server| name.starts_with(server))).collect();
    assert_eq!(found, Vec::<&String>::new());
}
