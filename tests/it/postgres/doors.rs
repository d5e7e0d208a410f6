//! TLS and passwords: a store comes in by the right ones, says in one sentence why it does not by others, and never says a
//! password.

use std::process::Command;

use super::node::{program, to_its_end};
use crate::support::postgres::{Cluster, Database, Settings};

const PASSWORD: &str = "s3cret-päss/word?";

/// Whether a store can be opened, or the sentence that says why not.
fn opened(command: &mut Command) -> Result<(), String> {
    // What rustls traces goes over many lines.
    let output = to_its_end(command.env("RUST_LOG", "trace,rustls=debug"));
    let (said, told) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let encoded = percent_encoding::utf8_percent_encode(PASSWORD, percent_encoding::NON_ALPHANUMERIC).to_string();
    for secret in [PASSWORD, &encoded, "s3cret", "wr0ng"] {
        assert!(!said.contains(secret) && !told.contains(secret), "{said}{told}");
    }
    if output.status.success() {
        return Ok(());
    }
    assert_eq!(output.status.code(), Some(1), "{told}");
    let sentences: Vec<&str> = told.lines().filter(|line| !line.starts_with('[')).collect();
    assert_eq!(sentences.len(), 1, "one sentence: {told}");
    Err(sentences[0].to_owned())
}

/// `strandline spaces`, which opens the store, does little, and ends.
fn spaces(url: &str) -> Command {
    let serve = program(&[]);
    let mut command = Command::new(serve.get_program());
    for (name, value) in serve.get_envs() {
        assert!(value.is_none());
        command.env_remove(name);
    }
    command.args(["spaces", "list", "--database", url]);
    command
}

#[test]
fn a_store_comes_in_by_tls_as_it_is_told_to() {
    let settings = Settings::default().tls(&["127.0.0.1"]);
    let Some(cluster) = Cluster::start(&settings) else { return };
    let database = Database::on(&cluster);
    let (url, authority, stranger) = (database.url(), cluster.authority(), cluster.stranger());
    let (authority, stranger) = (authority.display(), stranger.display());
    // A name for the same place that the certificate is not for.
    let other = url.replace("127.0.0.1", "localhost");
    for (url, parameters, why) in [
        (url, "sslmode=require".to_owned(), None),
        (url, "sslmode=prefer".to_owned(), None),
        (url, String::new(), None),
        (url, format!("sslmode=require&sslrootcert={authority}"), None),
        (url, format!("sslmode=verify-ca&sslrootcert={authority}"), None),
        (url, format!("sslmode=verify-full&sslrootcert={authority}"), None),
        (&other, format!("sslmode=verify-ca&sslrootcert={authority}"), None),
        (&other, format!("sslmode=verify-full&sslrootcert={authority}"), Some("certificate")),
        (url, format!("sslmode=require&sslrootcert={stranger}"), Some("certificate")),
        (url, format!("sslmode=verify-ca&sslrootcert={stranger}"), Some("certificate")),
        (url, format!("sslmode=verify-full&sslrootcert={stranger}"), Some("certificate")),
        (url, "sslmode=verify-full&sslrootcert=/nowhere.pem".to_owned(), Some("/nowhere.pem")),
        (url, "sslmode=disable".to_owned(), Some("no encryption")),
        (url, "sslmode=maybe".to_owned(), Some("sslmode")),
    ] {
        let outcome = opened(&mut spaces(&format!("{url}?{parameters}")));
        match why {
            None => assert_eq!(outcome, Ok(()), "{parameters}"),
            Some(why) => assert!(outcome.as_ref().is_err_and(|said| said.contains(why)), "{parameters}: {outcome:?}"),
        }
    }
}

#[test]
fn a_server_without_tls_is_not_taken_for_one_with_it() {
    let Some(database) = Database::empty() else { return };
    assert_eq!(opened(&mut spaces(&format!("{}?sslmode=prefer", database.url()))), Ok(()));
    let refused = opened(&mut spaces(&format!("{}?sslmode=require", database.url())));
    assert!(refused.as_ref().is_err_and(|said| said.contains("TLS")), "{refused:?}");
}

#[test]
fn a_password_comes_by_the_url_or_the_environment_and_is_never_said() {
    let Some(cluster) = Cluster::start(&Settings::default().password(PASSWORD)) else { return };
    let database = Database::on(&cluster);
    let url = database.url();
    let (start, end) = (url.find("strandline:").unwrap() + "strandline".len(), url.find('@').unwrap());
    let (none, wrong) =
        (format!("{}{}", &url[..start], &url[end..]), format!("{}:wr0ng{}", &url[..start], &url[end..]));
    assert_eq!(opened(&mut spaces(url)), Ok(()));
    assert_eq!(opened(spaces(&none).env("PGPASSWORD", PASSWORD)), Ok(()));
    // What the URL says comes first.
    assert_eq!(opened(spaces(url).env("PGPASSWORD", "wr0ng")), Ok(()));
    for refused in
        [opened(&mut spaces(&wrong)), opened(&mut spaces(&none)), opened(spaces(&none).env("PGPASSWORD", "wr0ng"))]
    {
        assert!(refused.as_ref().is_err_and(|said| said.contains("password")), "{refused:?}");
    }
    // The server itself, told by the environment.
    for bad in [wrong, format!("{url}?colour=red"), url.replace("127.0.0.1", "127.0.0.1:x")] {
        let refused = opened(program(&[]).env("STRANDLINE_DATABASE", &bad));
        assert!(refused.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_told_a_password_by_its_environment_serves_and_never_says_it() {
    let Some(cluster) = Cluster::start(&Settings::default().password(PASSWORD).tls(&["127.0.0.1"])) else { return };
    let database = Database::on(&cluster);
    let mut command = program(&[]);
    command.env("STRANDLINE_DATABASE", database.url()).env("RUST_LOG", "trace");
    let log = tempfile::NamedTempFile::new().unwrap();
    command.stderr(log.reopen().unwrap()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").map(str::to_owned);
    let ready = match &address {
        Some(address) => reqwest::get(format!("{address}/readyz")).await.map(|answer| answer.status().as_u16()).ok(),
        None => None,
    };
    // Connections are made anew, and say why they ended.
    super::cut_off::cut(&database.admin());
    let again = match &address {
        Some(address) => reqwest::get(format!("{address}/readyz")).await.map(|answer| answer.status().as_u16()).ok(),
        None => None,
    };
    child.kill().unwrap();
    child.wait().unwrap();
    let said = std::fs::read_to_string(log.path()).unwrap();
    assert_eq!((ready, again), (Some(200), Some(200)), "{said}");
    assert!(!said.contains("s3cret") && said.contains("DEBUG"), "the log has the password in it, or is none");
}
