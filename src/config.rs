//! What `serve` is told, by arguments or environment, checked before anything starts.

mod access;
mod limits;
mod quota;
mod tls;

use std::time::Duration;

use clap::Args;

use crate::domain::Retention;
use crate::http::Limits;
use crate::store::{DatabaseUrl, RemoteOptions};
use quota::QuotaArgs;

pub use access::AccessArgs;
pub use limits::{Cap, LimitArgs};
pub use tls::TlsArgs;

/// The arguments of `serve`. Each can also be given in the environment.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address and port to listen on; several with commas. Port 0 takes a free one.
    #[arg(
        long,
        env = "STRANDLINE_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:7878",
        value_delimiter = ','
    )]
    pub listen: Vec<String>,

    /// The database: sqlite:PATH, or postgres://USER@HOST:PORT/NAME. A password is safer in the environment than typed:
    /// in this variable, or in PGPASSWORD.
    #[arg(
        long,
        env = "STRANDLINE_DATABASE",
        hide_env_values = true,
        value_name = "URL",
        default_value = "sqlite:strandline.db"
    )]
    pub database: DatabaseUrl,

    /// A streaming standby of the PostgreSQL database, which then serves the records of pulls.
    #[arg(long, env = "STRANDLINE_READ_DATABASE", hide_env_values = true, value_name = "URL")]
    pub read_database: Option<DatabaseUrl>,

    /// How long a new space remembers deletions: a whole number and one of s, m, h, d and w, or `forever`.
    #[arg(long, env = "STRANDLINE_DEFAULT_RETENTION", value_name = "DURATION", default_value = "30d")]
    pub default_retention: Retention,

    /// How often old tombstones are purged: a whole number and one of s, m, h, d and w.
    #[arg(long, env = "STRANDLINE_COMPACT_INTERVAL", value_name = "DURATION", default_value = "60s", value_parser = interval)]
    pub compact_interval: Duration,

    /// How often a sample of each space is kept, from which the page draws its history.
    #[arg(long, env = "STRANDLINE_SAMPLE_INTERVAL", value_name = "DURATION", default_value = "5m", value_parser = interval)]
    pub sample_interval: Duration,

    /// How long the server knows of a client that it does not see any more, or `forever`.
    #[arg(long, env = "STRANDLINE_CLIENT_EXPIRY", value_name = "DURATION", default_value = "180d")]
    pub client_expiry: Retention,

    /// An origin whose browser clients may use the API, such as `https://app.example.org`, or `*`; several with commas.
    #[arg(long, env = "STRANDLINE_CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',', value_parser = origin)]
    pub cors_origin: Vec<String>,

    /// Changes in a push, at the most.
    #[arg(long, env = "STRANDLINE_MAX_PUSH_CHANGES", value_name = "COUNT", default_value = "10000", value_parser = positive)]
    pub max_push_changes: usize,

    /// Size of a request's body once it is expanded, at the most: bytes, or a number with KiB, MiB or GiB.
    #[arg(long, env = "STRANDLINE_MAX_PUSH_BYTES", value_name = "SIZE", default_value = "16MiB", value_parser = size)]
    pub max_push_bytes: usize,

    /// Size of a record's data, at the most.
    #[arg(long, env = "STRANDLINE_MAX_RECORD_BYTES", value_name = "SIZE", default_value = "1MiB", value_parser = size)]
    pub max_record_bytes: usize,

    /// What spaces may hold that say nothing of it themselves.
    #[command(flatten)]
    pub quotas: QuotaArgs,

    /// Threads that serve requests [default: one a core].
    #[arg(long, env = "STRANDLINE_WORKERS", value_name = "COUNT", value_parser = workers)]
    pub workers: Option<usize>,

    /// Database connections for reading.
    #[arg(long, env = "STRANDLINE_READERS", value_name = "COUNT", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub readers: u32,

    /// PostgreSQL connections for writing.
    #[arg(long, env = "STRANDLINE_WRITERS", value_name = "COUNT", default_value = "8", value_parser = clap::value_parser!(u32).range(2..=64))]
    pub writers: u32,

    /// How long opening a PostgreSQL connection, or waiting for a free one, may take.
    #[arg(long, env = "STRANDLINE_CONNECT_TIMEOUT", value_name = "DURATION", default_value = "5s", value_parser = interval)]
    pub connect_timeout: Duration,

    /// How long one PostgreSQL statement may take.
    #[arg(long, env = "STRANDLINE_STATEMENT_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = interval)]
    pub statement_timeout: Duration,

    /// How long a PostgreSQL statement may wait for a lock.
    #[arg(long, env = "STRANDLINE_LOCK_TIMEOUT", value_name = "DURATION", default_value = "5s", value_parser = interval)]
    pub lock_timeout: Duration,

    /// Writes that may wait before more are turned away with 503.
    #[arg(long, env = "STRANDLINE_QUEUE", value_name = "COUNT", default_value = "4096", value_parser = positive)]
    pub queue: usize,

    /// Also serve an example page at /example/: a list in the browser that works offline.
    #[arg(long, env = "STRANDLINE_EXAMPLE", value_parser = clap::builder::BoolishValueParser::new())]
    pub example: bool,

    /// Access by JWT.
    #[command(flatten)]
    pub access: AccessArgs,
    /// TLS and proxies.
    #[command(flatten)]
    pub tls: TlsArgs,

    /// What clients may take.
    #[command(flatten)]
    pub throttle: LimitArgs,
}

impl ServeArgs {
    /// The limits of requests.
    pub fn limits(&self) -> Limits {
        Limits {
            push_changes: self.max_push_changes,
            push_bytes: self.max_push_bytes,
            record_bytes: self.max_record_bytes,
        }
    }

    /// What a database server has need of.
    pub fn remote(&self) -> RemoteOptions {
        RemoteOptions {
            read_database: self.read_database.clone(),
            writers: self.writers,
            connect_timeout: self.connect_timeout,
            statement_timeout: self.statement_timeout,
            lock_timeout: self.lock_timeout,
        }
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let window = text.parse::<Retention>().ok().and_then(Retention::window);
    window
        .filter(|window| !window.is_zero())
        .ok_or_else(|| "an interval is a whole number from 1 and one of s, m, h, d and w, such as 60s".into())
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "a count is a whole number from 1".into())
}

fn workers(text: &str) -> Result<usize, String> {
    // More than this actix refuses.
    positive(text).ok().filter(|count| *count <= 512).ok_or_else(|| "a whole number from 1 to 512".into())
}

/// A size in bytes.
///
/// # Errors
/// A sentence that says how sizes are written.
pub fn size(text: &str) -> Result<usize, String> {
    let fault = || "a size is a whole number of bytes from 1, or one with KiB, MiB or GiB, such as 16MiB".to_owned();
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1_usize)];
    let (digits, unit) =
        units.iter().find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit))).ok_or_else(fault)?;
    let count: usize = digits.trim_end().parse().map_err(|_| fault())?;
    count.checked_mul(unit).filter(|size| *size > 0).ok_or_else(fault)
}

/// An origin as browsers send it: scheme, host and port, without a path.
fn origin(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = host.is_some_and(|host| {
        !host.is_empty() && !host.contains(['/', '?', '#', '@', '*']) && host.bytes().all(|b| b.is_ascii_graphic())
    });
    if plain || text == "*" {
        return Ok(text.to_ascii_lowercase());
    }
    Err("an origin is a scheme and a host, without a path, such as https://app.example.org, or *".into())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::http::Throttles;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        serve: ServeArgs,
    }

    fn parse(args: &[&str]) -> Result<ServeArgs, clap::Error> {
        Cli::try_parse_from([&["strandline"], args].concat()).map(|cli| cli.serve)
    }

    #[test]
    fn without_arguments_the_defaults_of_the_protocol_hold() {
        let args = parse(&[]).unwrap();
        assert_eq!(args.listen, ["127.0.0.1:7878"]);
        assert_eq!(args.limits(), Limits::default());
        assert_eq!(args.throttle.throttles(), Throttles::default());
        assert_eq!(args.default_retention, Retention::DEFAULT);
        assert!(args.cors_origin.is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (flag, good, bad) in [
            ("--compact-interval", &["1s", "5m"][..], &["0s", "forever", "60", ""][..]),
            ("--max-push-bytes", &["1", "64KiB", "1 GiB"], &["0", "16MB", "-1", "99999999999999999999GiB", "KiB"]),
            ("--max-space-records", &["0", "1000000"], &["-1", "none", ""]),
            ("--max-space-bytes", &["1", "2 GiB"], &["0", "2GB"]),
            ("--max-push-changes", &["1"], &["0", "-1", "many"]),
            ("--workers", &["1", "512"], &["0", "513"]),
            ("--cors-origin", &["*", "https://a.example,http://localhost:5173"], &["a.example", "https://a/b", ""]),
            ("--default-retention", &["7d", "forever"], &["7", "1y"]),
            ("--database", &["sqlite:x.db"], &["x.db", "sqlite:"]),
            ("--trusted-proxy", &["10.0.0.1", "10.0.0.0/8,fd00::/8", "::1"], &["10.0.0.0/33", "proxy.example", ""]),
            ("--max-connections", &["1", "off", "0"], &["-1", "many", "99999999999"]),
            ("--max-address-bytes", &["64KiB", "off"], &["4GiB", "fast"]),
            ("--min-body-rate", &["1", "1KiB"], &["0", "off"]),
            ("--max-url-bytes", &["1KiB", "off"], &["long"]),
            ("--stall-timeout", &["1s", "off"], &["10", "forever"]),
            // One of the two says nothing.
            ("--tls-cert", &[], &["c.pem"]),
            ("--tls-key", &[], &["k.pem"]),
        ] {
            for text in good {
                assert!(parse(&[&format!("{flag}={text}")]).is_ok(), "{flag} {text}");
            }
            for text in bad {
                assert!(parse(&[&format!("{flag}={text}")]).is_err(), "{flag} {text}");
            }
        }
    }

    #[test]
    fn a_limit_of_addresses_that_is_given_holds_on_loopback_too() {
        let given = |args: &[&str]| {
            let throttles = parse(args).unwrap().throttle.throttles();
            [throttles.address, throttles.loopback].map(|allowance| allowance.requests.map(NonZeroU32::get))
        };
        assert_eq!(given(&[]), [Some(1_000), None]);
        assert_eq!(given(&["--max-address-requests", "5"]), [Some(5), Some(5)]);
        assert_eq!(given(&["--max-address-requests", "off"]), [None, None]);
    }
}
