//! What clients may take of the server.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;

use super::{interval, size};
use crate::http::{Allowance, Throttles};

/// A limit that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap<T>(Option<T>);

/// The arguments about limits. `0` and `off` both switch a limit off.
///
/// Those of an address have no default that clap would know: what is given counts for every address, and the defaults
/// leave out loopback.
#[derive(Args, Clone, Debug)]
pub struct LimitArgs {
    /// Connections at a time, of all clients together; `off` for no limit.
    #[arg(long, env = "STRANDLINE_MAX_CONNECTIONS", value_name = "COUNT", default_value = "10000", value_parser = count)]
    pub max_connections: Cap<NonZeroU32>,

    /// Connections at a time from one address. IPv6 addresses count by their /64 network. [default: 2000, and no limit on
    /// loopback]
    #[arg(long, env = "STRANDLINE_MAX_ADDRESS_CONNECTIONS", value_name = "COUNT", value_parser = count)]
    pub max_address_connections: Option<Cap<NonZeroU32>>,

    /// Requests a second from one address, ten seconds' worth of them at once. [default: 1000, and no limit on loopback]
    #[arg(long, env = "STRANDLINE_MAX_ADDRESS_REQUESTS", value_name = "COUNT", value_parser = count)]
    pub max_address_requests: Option<Cap<NonZeroU32>>,

    /// Bytes of bodies a second to and from one address, ten seconds' worth of them at once. [default: 128MiB, and no
    /// limit on loopback]
    #[arg(long, env = "STRANDLINE_MAX_ADDRESS_BYTES", value_name = "SIZE", value_parser = bytes)]
    pub max_address_bytes: Option<Cap<NonZeroU32>>,

    /// Requests a second with one token, ten seconds' worth of them at once.
    #[arg(long, env = "STRANDLINE_MAX_TOKEN_REQUESTS", value_name = "COUNT", default_value = "1000", value_parser = count)]
    pub max_token_requests: Cap<NonZeroU32>,

    /// Bytes of bodies a second with one token, ten seconds' worth of them at once.
    #[arg(long, env = "STRANDLINE_MAX_TOKEN_BYTES", value_name = "SIZE", default_value = "128MiB", value_parser = bytes)]
    pub max_token_bytes: Cap<NonZeroU32>,

    /// Event streams, long polls and streams of lines at a time with one token, or from one address where there is no
    /// token. [default: 1000, and no limit on loopback without a token]
    #[arg(long, env = "STRANDLINE_MAX_STREAMS", value_name = "COUNT", value_parser = count)]
    pub max_streams: Option<Cap<NonZeroU32>>,

    /// Size of a request's target, path and query.
    #[arg(long, env = "STRANDLINE_MAX_URL_BYTES", value_name = "SIZE", default_value = "16KiB", value_parser = length)]
    pub max_url_bytes: Cap<usize>,

    /// Size of a request's target and headers together. HTTP/1.1 takes 128 KiB and 96 headers, whatever is said here.
    #[arg(long, env = "STRANDLINE_MAX_HEAD_BYTES", value_name = "SIZE", default_value = "32KiB", value_parser = length)]
    pub max_head_bytes: Cap<usize>,

    /// How long a request may take to send its target and headers.
    #[arg(long, env = "STRANDLINE_HEAD_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = time)]
    pub head_timeout: Cap<Duration>,

    /// How long a request may take to send its body, or enough of it for --min-body-rate to hold.
    #[arg(long, env = "STRANDLINE_BODY_TIMEOUT", value_name = "DURATION", default_value = "20s", value_parser = time)]
    pub body_timeout: Cap<Duration>,

    /// Bytes a second that a body has to arrive with.
    #[arg(long, env = "STRANDLINE_MIN_BODY_RATE", value_name = "SIZE", default_value = "512", value_parser = rate)]
    pub min_body_rate: NonZeroU32,

    /// How long a client may take nothing of an answer that is ready for it.
    #[arg(long, env = "STRANDLINE_STALL_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = time)]
    pub stall_timeout: Cap<Duration>,

    /// How long a TLS handshake may take.
    #[arg(long, env = "STRANDLINE_HANDSHAKE_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = time)]
    pub handshake_timeout: Cap<Duration>,
}

impl LimitArgs {
    /// The limits of all clients.
    pub fn throttles(&self) -> Throttles {
        let given = |cap: Option<Cap<NonZeroU32>>, default: Option<NonZeroU32>| cap.map_or(default, |cap| cap.0);
        let of_address = |default: Allowance| Allowance {
            connections: given(self.max_address_connections, default.connections),
            requests: given(self.max_address_requests, default.requests),
            bytes: given(self.max_address_bytes, default.bytes),
            streams: given(self.max_streams, default.streams),
        };
        Throttles {
            token: Allowance {
                connections: None,
                requests: self.max_token_requests.0,
                bytes: self.max_token_bytes.0,
                streams: given(self.max_streams, Allowance::DEFAULT.streams),
            },
            address: of_address(Allowance::DEFAULT),
            loopback: of_address(Allowance::default()),
            connections: self.max_connections.0,
            url_bytes: self.max_url_bytes.0,
            head_bytes: self.max_head_bytes.0,
            head_time: self.head_timeout.0,
            body_time: self.body_timeout.0,
            body_rate: self.min_body_rate,
            stall_time: self.stall_timeout.0,
            handshake_time: self.handshake_timeout.0,
        }
    }
}

/// What `parse` makes of a text that does not switch the limit off.
fn cap<T>(text: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<Cap<T>, String> {
    if matches!(text, "off" | "0") {
        return Ok(Cap(None));
    }
    parse(text).map(|limit| Cap(Some(limit))).map_err(|fault| format!("{fault}, or off"))
}

fn count(text: &str) -> Result<Cap<NonZeroU32>, String> {
    cap(text, |text| text.parse().map_err(|_| "a limit is a whole number from 1".into()))
}

fn bytes(text: &str) -> Result<Cap<NonZeroU32>, String> {
    cap(text, rate)
}

fn rate(text: &str) -> Result<NonZeroU32, String> {
    let bytes = u32::try_from(size(text)?).ok().and_then(NonZeroU32::new);
    bytes.ok_or_else(|| "a number of bytes a second is below 4GiB".into())
}

fn length(text: &str) -> Result<Cap<usize>, String> {
    cap(text, size)
}

fn time(text: &str) -> Result<Cap<Duration>, String> {
    cap(text, interval)
}
