//! The servers that tests over PostgreSQL rely on do what is asked of them.

use crate::support::postgres::{Cluster, Database, Settings, Stop};

#[tokio::test]
async fn a_database_is_a_tests_own_and_goes_with_it() {
    let (Some(one), Some(other)) = (Database::empty(), Database::empty()) else { return };
    one.admin().run("CREATE TABLE here (n integer)");
    let there: bool = other.admin().ask("SELECT to_regclass('here') IS NOT NULL");
    assert!(!there);
    let (client, connection) = tokio_postgres::connect(one.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(client.query_one("SELECT count(*) FROM here", &[]).await.unwrap().get::<_, i64>(0), 0);
    let (cluster, name) =
        (Cluster::shared().unwrap().admin(), one.admin().ask::<String>("SELECT current_database()::text"));
    drop(one);
    assert!(!cluster.ask::<bool>(&format!("SELECT EXISTS (SELECT FROM pg_database WHERE datname = '{name}')")));
}

#[test]
fn a_server_of_ones_own_is_configured_and_stopped_and_started() {
    let Some(mut cluster) = Cluster::start(&Settings::default().set("max_connections", "17")) else { return };
    assert_eq!(cluster.admin().ask::<String>("SHOW max_connections"), "17");
    cluster.admin().run("CREATE TABLE t (n integer)");
    for how in [Stop::Smart, Stop::Fast, Stop::Immediate] {
        cluster.stop(how);
        assert!(cluster.admin().try_run("SELECT 1").is_err());
        cluster.start_again();
        assert_eq!(cluster.admin().ask::<i64>("SELECT count(*) FROM t"), 0);
    }
    cluster.restart();
    let data = cluster.data();
    drop(cluster);
    assert!(!data.exists());
}
