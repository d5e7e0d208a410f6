//! Connections: what a URL means, how they are opened, and what each is told at first.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_postgres::Config;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::GRACE;
use super::hosts;
use super::tls::{self, Check};
use crate::store::{DatabaseUrlFault, PostgresUrl, RemoteOptions, StoreError};

/// A connection whose other end says nothing is asked after this time whether it lives, and given up after thrice it.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// Opens connections to one database. Cloning is cheap.
#[derive(Clone)]
pub(super) struct Connector {
    /// One for each host that the URL names.
    hosts: Arc<[Config]>,
    /// The host that was good last. It is tried first: the others may be gone, or hang, or not have heard that they are the
    /// primary no more.
    good: Arc<AtomicUsize>,
    tls: MakeRustlsConnect,
    /// Where the connections live. A connection is driven by the runtime that opened it: opened on one of the HTTP
    /// server's workers, a busy worker would stall everyone's statements.
    runtime: Handle,
    /// What every connection is told.
    session: Arc<str>,
    connect_timeout: Duration,
}

/// To which server a connection may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// One that takes writes, where the URL does not say otherwise.
    Primary,
    /// Any.
    Standby,
}

impl Connector {
    /// Reads the URL. Nothing is opened yet.
    pub fn new(url: &PostgresUrl, role: Role, options: &RemoteOptions) -> Result<Self, StoreError> {
        let open =
            |why: &dyn std::fmt::Display| StoreError::Open(format!("the database {url} cannot be opened: {why}"));
        let Parts { mut config, check, roots } = Parts::of(url).map_err(|fault| open(&fault))?;
        let tls = tls::connector(check, roots.as_deref()).map_err(|why| open(&why))?;
        if config.get_password().is_none()
            && let Some(password) = env::var_os("PGPASSWORD").and_then(|value| value.into_string().ok())
        {
            config.password(password);
        }
        if config.get_application_name().is_none() {
            config.application_name("strandline");
        }
        if role == Role::Primary && config.get_target_session_attrs() == TargetSessionAttrs::Any {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        config
            .connect_timeout(options.connect_timeout)
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE)
            .keepalives_retries(2)
            // A server that is busy takes nothing off the wire, and is not dead for that.
            .tcp_user_timeout(options.statement_timeout.saturating_add(options.lock_timeout).saturating_add(GRACE));
        Ok(Self {
            hosts: hosts::alone(&config).into(),
            good: Arc::default(),
            tls,
            runtime: Handle::current(),
            session: session(options).into(),
            connect_timeout: options.connect_timeout,
        })
    }

    /// How long opening a connection may take.
    pub fn patience(&self) -> Duration {
        self.connect_timeout.saturating_mul(u32::try_from(self.hosts.len()).unwrap_or(u32::MAX))
    }

    /// Opens a connection to the first host that will do.
    pub async fn connect(&self) -> ConnectionResult<AsyncPgConnection> {
        let this = self.clone();
        let opened = self.runtime.spawn(async move {
            let (count, first) = (this.hosts.len(), this.good.load(Ordering::Relaxed));
            let mut refused = ConnectionError::BadConnection("there is no host to connect to".into());
            for (number, host) in this.hosts.iter().enumerate().cycle().skip(first).take(count) {
                // The limit is each host's own: one that takes connections and then says nothing must not use up the
                // time of those after it.
                match timeout(this.connect_timeout, this.establish(host)).await {
                    Ok(Ok(connection)) => {
                        this.good.store(number, Ordering::Relaxed);
                        return Ok(connection);
                    }
                    Ok(Err(error)) => refused = error,
                    Err(_) => refused = ConnectionError::BadConnection("the server did not answer in time".into()),
                }
            }
            Err(refused)
        });
        opened.await.map_err(|error| ConnectionError::BadConnection(error.to_string()))?
    }

    async fn establish(&self, host: &Config) -> ConnectionResult<AsyncPgConnection> {
        let bad = |error: tokio_postgres::Error| ConnectionError::BadConnection(reason(&error));
        let (client, connection) = host.connect(self.tls.clone()).await.map_err(bad)?;
        let mut connection = AsyncPgConnection::try_from_client_and_connection(client, connection).await?;
        connection.batch_execute(&self.session).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(connection)
    }
}

/// The whole sentence: the error and what lies behind it.
fn reason(error: &tokio_postgres::Error) -> String {
    use std::error::Error;
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let more = inner.to_string();
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        source = inner.source();
    }
    said
}

/// - The time limits: what hangs there must not hang here.
/// - A plan is made once: all statements are ranges and lookups of an index, whatever the values, and must be carried out
///   so while a table is small too. A plan made for an empty table, which reads all of it, stays until the table is
///   analyzed: on a table that filled meanwhile a push took thirteen times as long.
/// - A node that vanished without a word holds its locks no longer than a minute.
/// - What is acknowledged is on the disk, even where the server's default would be quicker; a stricter default (that of
///   a synchronous standby) stays.
fn session(options: &RemoteOptions) -> String {
    // What PostgreSQL takes at the most.
    let millis = |span: Duration| span.as_millis().min(i32::MAX as u128);
    let (statement, lock) = (millis(options.statement_timeout), millis(options.lock_timeout));
    format!(
        "SET statement_timeout = {statement}; SET lock_timeout = {lock}; \
         SET idle_in_transaction_session_timeout = {}; \
         SET plan_cache_mode = force_generic_plan; SET jit = off; \
         SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
         SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; \
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
        millis(options.statement_timeout + Duration::from_secs(60))
    )
}

/// What a URL says: tokio-postgres's part of it, and ours.
struct Parts {
    config: Config,
    check: Check,
    roots: Option<PathBuf>,
}

impl Parts {
    fn of(url: &PostgresUrl) -> Result<Self, DatabaseUrlFault> {
        let fault = || DatabaseUrlFault::Postgres;
        let (place, parameters) = url.secret().rsplit_once('?').unwrap_or((url.secret(), ""));
        let (mut mode, mut roots) = ("prefer".to_owned(), None);
        let mut rest = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(parameters.as_bytes()) {
            match &*name {
                "sslmode" => mode = value.into_owned(),
                // libpq's word for the system's own authorities is to name no file.
                "sslrootcert" if value == "system" => {}
                "sslrootcert" => roots = Some(PathBuf::from(value.into_owned())),
                _ => {
                    rest.append_pair(&name, &value);
                }
            }
        }
        // tokio-postgres does not take a plus for a space.
        let rest = rest.finish().replace('+', "%20");
        let text = if rest.is_empty() { place.to_owned() } else { format!("{place}?{rest}") };
        let mut config: Config = text.parse().map_err(|error| {
            // Not handed on: it may quote a part of the URL that is secret.
            if reason(&error).contains("`port`") { DatabaseUrlFault::Port } else { fault() }
        })?;
        if config.get_hosts().is_empty() {
            return Err(fault());
        }
        let (mode, check) = match (mode.as_str(), roots.is_some()) {
            ("disable", _) => (SslMode::Disable, Check::Nothing),
            ("prefer", _) => (SslMode::Prefer, Check::Nothing),
            ("require", false) => (SslMode::Require, Check::Nothing),
            // As libpq has it: who names an authority wants it looked at.
            ("require", true) | ("verify-ca", _) => (SslMode::Require, Check::Authority),
            ("verify-full", _) => (SslMode::Require, Check::Host),
            _ => return Err(DatabaseUrlFault::SslMode),
        };
        config.ssl_mode(mode);
        Ok(Self { config, check, roots })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Result<Parts, DatabaseUrlFault> {
        let crate::store::DatabaseUrl::Postgres(url) = text.parse()? else { panic!("{text} is no PostgreSQL URL") };
        Parts::of(&url)
    }

    #[test]
    fn a_mode_says_how_the_certificate_is_looked_at() {
        for (parameters, mode, check) in [
            ("", SslMode::Prefer, Check::Nothing),
            ("sslmode=disable", SslMode::Disable, Check::Nothing),
            ("sslmode=require", SslMode::Require, Check::Nothing),
            ("sslmode=require&sslrootcert=ca.pem", SslMode::Require, Check::Authority),
            ("sslmode=verify-ca&sslrootcert=ca.pem", SslMode::Require, Check::Authority),
            ("sslmode=verify-full&sslrootcert=system", SslMode::Require, Check::Host),
        ] {
            let parts = parts(&format!("postgres://u:p@db/app?{parameters}")).unwrap();
            assert_eq!((parts.config.get_ssl_mode(), parts.check), (mode, check), "{parameters}");
        }
    }

    #[test]
    fn what_is_not_ours_is_handed_on() {
        let parts = parts("postgres://u:p%40ss@a:1,b:2/app?options=-c%20geqo%3Doff&application_name=me").unwrap();
        assert_eq!(parts.config.get_options(), Some("-c geqo=off"));
        assert_eq!(parts.config.get_application_name(), Some("me"));
        assert_eq!(parts.config.get_hosts().len(), 2);
        assert_eq!(parts.config.get_password(), Some(&b"p@ss"[..]));
    }

    #[test]
    fn a_url_that_means_nothing_is_refused_without_its_text() {
        for (bad, says) in [
            ("postgres://u:s3cret@db:port/app", "a port"),
            ("postgres://u:s3cret@db:99999/app", "a port"),
            ("postgres://u:s3cret@db/app?sslmode=maybe", "sslmode in the URL"),
            ("postgres://u:s3cret@db/app?colour=red", "is named by"),
        ] {
            let fault = parts(bad).err().map(|fault| fault.to_string()).unwrap_or_default();
            assert!(fault.contains(says) && !fault.contains("s3cret"), "{bad}: {fault}");
        }
    }
}
