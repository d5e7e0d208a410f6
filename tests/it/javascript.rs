//! The JavaScript packages, `clients/js` and `dashboard`, under their own tests, which drive this very program. npm runs
//! them, in Node, and in a browser where there is one: they look for it themselves.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::support::{outside, say};

/// The oldest major version of Node that the packages are for.
const OLDEST: u32 = 20;
/// npm may take this long. It is killed then, with all that it started.
const LIMIT: Duration = Duration::from_secs(1_500);

/// All of it is one test: two npm in one folder would get in each other's way.
#[test]
fn the_package_passes_its_own_tests() {
    passes_its_own_tests("clients/js", &[("examples/strandline.js", include_str!("../../examples/strandline.js"))]);
}

#[test]
fn the_dashboard_passes_its_own_tests() {
    let script = ("dashboard/dist/app.js", include_str!("../../dashboard/dist/app.js"));
    let style = ("dashboard/dist/app.css", include_str!("../../dashboard/dist/app.css"));
    passes_its_own_tests("dashboard", &[script, style]);
}

/// Runs the tests of the package in `folder`, which build it as well; the program must have embedded what they build.
fn passes_its_own_tests(folder: &str, embedded: &[(&str, &str)]) {
    if !node_is_installed() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = root.join(folder);
    if !has_its_dependencies(&package) {
        npm(&package, &["ci", "--include=dev", "--no-audit", "--no-fund"]);
    }
    let output = npm(&package, &["test"]);
    // What they had to leave out must be heard of, though they passed.
    let left_out: BTreeSet<&str> = output.lines().map(str::trim).filter(|line| line.contains("SKIP")).collect();
    for line in left_out {
        say(&format!("{folder}: {line}"));
    }
    for (path, text) in embedded {
        let built = std::fs::read_to_string(root.join(path)).unwrap();
        assert!(built == *text, "the program embeds an older {path}; this one is there now: build it again");
    }
}

/// Whether there is a Node to test with. Without one the log says loudly what is left out.
///
/// # Panics
/// When there is none and `STRANDLINE_REQUIRE_NODE=1`.
fn node_is_installed() -> bool {
    let found = major_version("node").is_some_and(|it| it >= OLDEST) && major_version("npm").is_some();
    let required = std::env::var_os("STRANDLINE_REQUIRE_NODE").is_some_and(|value| value == "1");
    assert!(
        found || !required,
        "STRANDLINE_REQUIRE_NODE=1, and Node of version {OLDEST} or newer, or npm, is not here"
    );
    if !found {
        say(&format!("SKIPPED: the JavaScript packages, since Node of version {OLDEST} or newer, or npm, is not here"));
    }
    found
}

/// `v20.19.2`, or without the `v`.
fn major_version(program: &str) -> Option<u32> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.trim_start_matches('v').split('.').next()?.parse().ok()
}

/// Whether what the lock file lists was installed since it last changed: npm's own note of that is its last step.
fn has_its_dependencies(package: &Path) -> bool {
    let written = |name: &str| package.join(name).metadata().and_then(|file| file.modified());
    let locked: SystemTime = written("package-lock.json").unwrap();
    written("node_modules/.package-lock.json").is_ok_and(|installed| installed >= locked)
}

/// Runs npm on the package. What it and all that it started said.
fn npm(package: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("npm");
    command.args(arguments).current_dir(package);
    command.env("STRANDLINE_BINARY", env!("CARGO_BIN_EXE_strandline")).env("npm_config_update_notifier", "false");
    outside::run(&mut command, LIMIT)
}
