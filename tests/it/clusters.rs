//! The servers that tests over PostgreSQL rely on do what is asked of them.

use std::path::Path;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_postgres::{Client, Error, NoTls, connect};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::support::postgres::{Cluster, Database, Settings, Stop};

async fn plainly(url: &str) -> Result<Client, Error> {
    let (client, connection) = connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Trusting nobody but `authority`.
async fn encrypted(url: &str, authority: &Path) -> Result<Client, Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let provider = rustls::crypto::ring::default_provider().into();
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let (client, connection) = connect(&format!("{url}?sslmode=require"), MakeRustlsConnect::new(config)).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn one(client: &Client) -> Result<i32, Error> {
    Ok(client.query_one("SELECT 1", &[]).await?.get(0))
}

#[tokio::test]
async fn a_database_is_a_tests_own_and_goes_with_it() {
    let (Some(database), Some(other)) = (Database::empty(), Database::empty()) else { return };
    let client = plainly(database.url()).await.unwrap();
    client.batch_execute("CREATE TABLE here (n integer)").await.unwrap();
    assert_eq!(database.admin().ask::<i64>("SELECT count(*) FROM here"), 0);
    assert!(!other.admin().ask::<bool>("SELECT to_regclass('here') IS NOT NULL"));
    let (cluster, name) = (Cluster::shared().unwrap().admin(), database.name().to_owned());
    drop(database);
    assert!(!cluster.ask::<bool>(&format!("SELECT EXISTS (SELECT FROM pg_database WHERE datname = '{name}')")));
}

#[tokio::test]
async fn a_database_gives_no_more_than_its_owner_needs() {
    let Some(database) = Database::empty() else { return };
    let client = plainly(database.url()).await.unwrap();
    let row = client.query_one("SELECT usesuper, 'a' < 'B' FROM pg_user WHERE usename = current_user", &[]).await;
    let (superuser, by_people): (bool, bool) = row.map(|row| (row.get(0), row.get(1))).unwrap();
    assert_eq!((superuser, by_people), (false, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_configured_and_stopped_and_killed_and_frozen() {
    let Some(mut cluster) = Cluster::start(&Settings::default().set("max_connections", "17")) else { return };
    assert_eq!(cluster.admin().ask::<String>("SHOW max_connections"), "17");
    cluster.admin().run("CREATE TABLE t (n integer)");
    for how in [Some(Stop::Smart), Some(Stop::Fast), Some(Stop::Immediate), None] {
        match how {
            Some(how) => cluster.stop(how),
            None => cluster.kill(),
        }
        assert!(cluster.admin().try_run("SELECT 1").is_err());
        cluster.start_again();
        cluster.admin().run("INSERT INTO t VALUES (1)");
    }
    cluster.restart();
    assert_eq!(cluster.admin().ask::<i64>("SELECT count(*) FROM t"), 4);

    let client = plainly(&cluster.url("blank")).await.unwrap();
    cluster.freeze();
    let answer = one(&client);
    tokio::pin!(answer);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut answer).await.is_err(), "it is frozen");
    cluster.thaw();
    assert_eq!(answer.await.unwrap(), 1);

    cluster.freeze();
    let data = cluster.data();
    drop(cluster);
    assert!(!data.exists());
    assert!(one(&client).await.is_err(), "every process is gone");
}

#[test]
fn what_was_killed_leaves_nothing_either() {
    let Some(mut cluster) = Cluster::start(&Settings::default()) else { return };
    cluster.kill();
    let data = cluster.data();
    drop(cluster);
    assert!(!data.exists());
}

#[test]
fn a_standby_follows_and_takes_over() {
    let Some(primary) = Cluster::start(&Settings::default()) else { return };
    primary.admin().run("CREATE TABLE t AS SELECT 1 AS n");
    let mut standby = primary.standby();
    primary.admin().run("INSERT INTO t VALUES (2)");
    standby.catch_up(&primary);
    assert_eq!(standby.admin().ask::<i64>("SELECT sum(n) FROM t"), 3);
    assert!(standby.admin().try_run("INSERT INTO t VALUES (3)").is_err(), "a standby only reads");
    drop(primary);
    standby.promote();
    standby.admin().run("INSERT INTO t VALUES (3)");
    assert_eq!(standby.admin().ask::<i64>("SELECT sum(n) FROM t"), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_asks_for_tls_and_a_password() {
    const PASSWORD: &str = "p@ss: 'wörd/?";
    let settings = Settings::default().tls(&["127.0.0.1", "localhost"]).password(PASSWORD);
    let Some(cluster) = Cluster::start(&settings) else { return };
    let url = cluster.url("blank");
    let client = encrypted(&url, &cluster.authority()).await.unwrap();
    assert_eq!(one(&client).await.unwrap(), 1);
    assert!(plainly(&format!("{url}?sslmode=disable")).await.is_err(), "not without TLS");
    assert!(encrypted(&url, &cluster.stranger()).await.is_err(), "not with somebody else's certificate");
    let (start, end) = (url.find("strandline:").unwrap() + "strandline:".len(), url.find('@').unwrap());
    let wrong = format!("{}wrong{}", &url[..start], &url[end..]);
    assert!(encrypted(&wrong, &cluster.authority()).await.is_err(), "not with a wrong password");
    let standby = cluster.standby();
    let client = encrypted(&standby.url("blank"), &standby.authority()).await.unwrap();
    assert_eq!(one(&client).await.unwrap(), 1);
}
