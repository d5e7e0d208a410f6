//! Who is at the other end: the client's address, and whether its way here is encrypted.
//!
//! What stands in `X-Forwarded-For`, `X-Forwarded-Proto` and `Forwarded` (RFC 7239) anybody can write. It counts where the
//! connection comes from a proxy that the server was told to trust, and only as far as such proxies lead: of a list of
//! addresses the right-most one that is no trusted proxy is the client. Where the two kinds of header name different
//! clients, one of them came through the proxy as the client wrote it, and neither counts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_http::RequestHead;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::{HttpRequest, web};
use ipnet::IpNet;

use super::Api;

static FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The other end of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The client's address. An IPv4 address is one, however the socket has it.
    pub address: IpAddr,
    /// Whether the client came by TLS, here or to a trusted proxy: a cookie may then be `Secure`.
    pub secure: bool,
}

impl Peer {
    /// Who sent `req`.
    pub fn of(req: &HttpRequest) -> Self {
        let api = req.app_data::<web::Data<Api>>();
        // Every application has its `Api`.
        api.map_or_else(|| Proxies::default().peer(req.head()), |api| api.proxies.peer(req.head()))
    }
}

/// How the server is reached.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Proxies whose word on the client is taken.
    pub trusted: Vec<IpNet>,
    /// Whether the server itself speaks TLS.
    pub tls: bool,
}

impl Proxies {
    /// Whether `address` is that of a trusted proxy.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// Who sent the request with this head.
    pub fn peer(&self, head: &RequestHead) -> Peer {
        // A connection has an address unless it is gone already.
        let address = head.peer_addr.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
        if self.trusted.is_empty() || !self.trusts(address) {
            return Peer { address, secure: self.tls };
        }
        let plain = self.client(address, list(&head.headers, &FOR).map(Some));
        let standard = self.client(address, elements(&head.headers).map(|element| parameter(element, "for")));
        let client = match (plain, standard) {
            (Some(plain), Some(standard)) if plain != standard => None,
            (plain, standard) => plain.or(standard),
        };
        Peer { address: client.unwrap_or(address), secure: self.tls || secure(&head.headers) }
    }

    /// The client behind the proxy at `address`, from what stands in a header from left to right; `None` without one.
    fn client<'a>(&self, address: IpAddr, hops: impl DoubleEndedIterator<Item = Option<&'a str>>) -> Option<IpAddr> {
        let mut hops = hops.rev().peekable();
        hops.peek()?;
        let mut nearest = address;
        for hop in hops {
            // What is no address ends the way: who is behind it cannot be known.
            let Some(hop) = hop.and_then(address_in) else { break };
            nearest = hop;
            if !self.trusts(hop) {
                break;
            }
        }
        Some(nearest)
    }
}

/// Whether the nearest proxy says that the client came by TLS.
fn secure(headers: &HeaderMap) -> bool {
    let plain = list(headers, &PROTO).next_back();
    let standard = elements(headers).next_back().and_then(|element| parameter(element, "proto"));
    plain.or(standard).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

/// The items of a header that may stand several times. What is not ASCII is left out.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl DoubleEndedIterator<Item = &'a str> + use<'a> {
    let lines: Vec<&str> = headers.get_all(name).map(|line| line.to_str().unwrap_or_default()).collect();
    lines.into_iter().flat_map(|line| line.split(',')).map(str::trim)
}

/// The elements of `Forwarded`. No quoted string in an address or a scheme has a comma.
fn elements(headers: &HeaderMap) -> impl DoubleEndedIterator<Item = &str> {
    list(headers, &header::FORWARDED)
}

/// The value of a parameter of an element.
fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// An address, which may have brackets and a port.
fn address_in(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn peer(trusted: &str, from: &str, headers: &[(&str, &str)]) -> (String, bool) {
        let trusted = trusted.split_whitespace().map(|network| network.parse().unwrap()).collect();
        let mut request = TestRequest::get().peer_addr(from.parse().unwrap());
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        let request = request.to_srv_request();
        let Peer { address, secure } = Proxies { trusted, tls: false }.peer(request.request().head());
        (address.to_string(), secure)
    }

    #[test]
    fn only_a_trusted_proxy_says_who_the_client_is() {
        let (proxies, proxy) = ("10.0.0.0/8 fd00::/8", "10.0.0.1:5000");
        for (from, headers, client, secure) in [
            (proxy, &[][..], "10.0.0.1", false),
            (proxy, &[("x-forwarded-for", "192.0.2.7")], "192.0.2.7", false),
            ("192.0.2.9:5000", &[("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "https")], "192.0.2.9", false),
            // The right-most address that is no proxy: what stands before it the client may have made up.
            (proxy, &[("x-forwarded-for", "203.0.113.9, 192.0.2.7, 10.0.0.2")], "192.0.2.7", false),
            (
                proxy,
                &[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "192.0.2.7, 10.0.0.2")],
                "192.0.2.7",
                false,
            ),
            (proxy, &[("x-forwarded-for", "10.0.0.3, 10.0.0.2")], "10.0.0.3", false),
            // Nonsense ends the way.
            (proxy, &[("x-forwarded-for", "192.0.2.7, unknown, 10.0.0.2")], "10.0.0.2", false),
            (proxy, &[("x-forwarded-for", "unknown")], "10.0.0.1", false),
            (proxy, &[("x-forwarded-for", "")], "10.0.0.1", false),
            // Forms of an address.
            (proxy, &[("x-forwarded-for", "192.0.2.7:1234")], "192.0.2.7", false),
            (proxy, &[("x-forwarded-for", "::ffff:192.0.2.7")], "192.0.2.7", false),
            (proxy, &[("x-forwarded-for", "[2001:db8::7]:1234")], "2001:db8::7", false),
            ("[::ffff:10.0.0.1]:5000", &[("x-forwarded-for", "192.0.2.7")], "192.0.2.7", false),
            ("[fd00::1]:5000", &[("x-forwarded-for", "192.0.2.7")], "192.0.2.7", false),
            (proxy, &[("forwarded", "for=192.0.2.7;proto=https;by=10.0.0.1")], "192.0.2.7", true),
            (proxy, &[("forwarded", "For=\"[2001:db8::7]:4711\"")], "2001:db8::7", false),
            (proxy, &[("forwarded", "for=203.0.113.9, for=192.0.2.7, proto=http")], "10.0.0.1", false),
            (proxy, &[("forwarded", "for=_hidden")], "10.0.0.1", false),
            // Both: they agree, or one of them is the client's own invention.
            (proxy, &[("forwarded", "for=192.0.2.7"), ("x-forwarded-for", "192.0.2.7")], "192.0.2.7", false),
            (proxy, &[("forwarded", "for=192.0.2.7"), ("x-forwarded-for", "203.0.113.9")], "10.0.0.1", false),
            (proxy, &[("x-forwarded-proto", "https")], "10.0.0.1", true),
            (proxy, &[("x-forwarded-proto", "http")], "10.0.0.1", false),
        ] {
            assert_eq!(peer(proxies, from, headers), (client.to_owned(), secure), "{from} {headers:?}");
        }
    }
}
