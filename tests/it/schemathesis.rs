//! The description of the API against the program itself, by schemathesis: it makes requests that are as described, and others
//! that are not, and looks at whether every answer is as described too. `tests/schemathesis` has its settings.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Home, Program, outside, say};

/// The oldest minor version of Python 3 that schemathesis is for.
const OLDEST: u32 = 11;
/// pip may take this long, and so may schemathesis.
const LIMIT: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_one_that_the_description_has() {
    if !python_is_installed() {
        return;
    }
    let home = Home::quick();
    let token = token_for_everything(&home);
    let program = Program::start(home).await;
    let location = format!("http://{}/openapi.json", program.address());
    let testing = move || {
        let tester = installed().join("bin/schemathesis");
        let authorization = format!("Authorization: Bearer {token}");
        test(&tester, &[&location, "--header", &authorization]);
        // Whoever has no token is told so everywhere, whatever is sent.
        test(&tester, &[&location, "--max-examples", "10", "--phases", "coverage,fuzzing"]);
    };
    tokio::task::spawn_blocking(testing).await.unwrap();
}

/// A token for everything; a database that has one has access control.
fn token_for_everything(home: &Home) -> String {
    let mut create = Command::new(env!("CARGO_BIN_EXE_strandline"));
    create.args(["token", "create", "--name", "schemathesis", "--grant", "space=*:admin", "--database"]);
    let created = create.arg(home.argument()).stdin(Stdio::null()).output().unwrap();
    assert!(created.status.success(), "{created:?}");
    String::from_utf8(created.stdout).unwrap().trim().to_owned()
}

fn test(tester: &Path, arguments: &[&str]) {
    let mut command = Command::new(tester);
    command.args(["--config-file", "schemathesis.toml", "run", "--checks", "all", "--no-color"]).args(arguments);
    // What Python makes of the hooks is left nowhere.
    let said = outside::run(command.current_dir(folder()).env("PYTHONDONTWRITEBYTECODE", "1"), LIMIT);
    let told = said.lines().skip_while(|line| !line.contains("SUMMARY")).collect::<Vec<_>>().join("\n");
    say(&told);
    assert!(told.contains(" passed"), "it tested nothing:\n{said}");
}

/// Where its settings are.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis")
}

/// A virtual environment with what `requirements.txt` lists, all of it pinned: made where it is not there yet, or is of
/// another list. pip finds the packages where it is configured to.
fn installed() -> PathBuf {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
    let wanted = std::fs::read_to_string(folder().join("requirements.txt")).unwrap();
    let list = environment.join("requirements.txt");
    if std::fs::read_to_string(&list).is_ok_and(|installed| installed == wanted) {
        return environment;
    }
    outside::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment), LIMIT);
    let mut pip = Command::new(environment.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"]);
    outside::run(pip.arg(folder().join("requirements.txt")), LIMIT);
    // The last step: what was interrupted is begun anew.
    std::fs::write(list, wanted).unwrap();
    environment
}

/// Whether there is a Python to install it in. Without one the log says loudly what is left out.
///
/// # Panics
/// When there is none and `STRANDLINE_REQUIRE_PYTHON=1`.
fn python_is_installed() -> bool {
    let script = format!("import ensurepip, sys, venv; sys.exit(sys.version_info < (3, {OLDEST}))");
    let mut python = Command::new("python3");
    python.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let found = python.status().is_ok_and(|status| status.success());
    let required = std::env::var_os("STRANDLINE_REQUIRE_PYTHON").is_some_and(|value| value == "1");
    assert!(found || !required, "STRANDLINE_REQUIRE_PYTHON=1, and Python 3.{OLDEST} or newer with venv is not here");
    if !found {
        say(&format!("SKIPPED: schemathesis, since Python 3.{OLDEST} or newer with venv is not here"));
    }
    found
}
