//! The bare heads by which actix's HTTP/1 dispatcher refuses what it cannot read, and what is written in their place.

use actix_web::http::StatusCode;

use super::super::problem::{Code, Problem};

/// What actix takes at most as the head of a request (`MAX_BUFFER_SIZE` and `MAX_HEADERS` of its decoder).
const HEAD_BYTES: usize = 131_072;
const HEAD_FIELDS: usize = 96;

/// The part of a bare head that is always as long as this.
const DATE: &str = "date: Sun, 06 Nov 1994 08:49:37 GMT";
/// What the request before left as the state of the connection.
const CONNECTIONS: [&[u8]; 3] = [b"connection: close\r\n", b"connection: keep-alive\r\n", b"connection: upgrade\r\n"];
const VERSIONS: [&[u8]; 2] = [b"HTTP/1.1 ", b"HTTP/1.0 "];

/// The refusals that the dispatcher writes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No request can be read.
    Malformed,
    /// The head is too long.
    Long,
}

impl Refusal {
    const ALL: [Self; 2] = [Self::Malformed, Self::Long];

    fn status_line(self) -> &'static str {
        match self {
            Self::Malformed => "400 Bad Request",
            Self::Long => "431 Request Header Fields Too Large",
        }
    }

    /// Whether a limit is broken.
    pub fn is_long(self) -> bool {
        self == Self::Long
    }

    /// What the client is told; `most` is the limit of a head where one is configured.
    pub fn problem(self, most: Option<usize>) -> Problem {
        match self {
            Self::Malformed => Problem::invalid(
                "this cannot be read as a request of HTTP/1.1: the request line, a header, or the way in which the body \
                 is sent is malformed, or the target is too long",
            ),
            Self::Long => Problem::new(
                Code::TooLarge,
                format!(
                    "the head of a request may have {} bytes and {HEAD_FIELDS} headers",
                    most.map_or(HEAD_BYTES, |most| most.min(HEAD_BYTES))
                ),
            )
            .with_status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        }
    }
}

/// A bare head at the end of what is to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bare<'a> {
    /// An answer to an earlier request may stand before it.
    pub before: &'a [u8],
    pub refusal: Refusal,
    pub date: &'a [u8],
}

impl<'a> Bare<'a> {
    /// Looks from the end, where nearly every other answer differs in the first four bytes.
    pub fn find(bytes: &'a [u8]) -> Option<Self> {
        let head = bytes.strip_suffix(b"\r\n\r\n")?;
        let (head, date) = head.split_at_checked(head.len().checked_sub(DATE.len())?)?;
        if !date.starts_with(b"date: ") {
            return None;
        }
        let head = CONNECTIONS.iter().find_map(|connection| head.strip_suffix(*connection)).unwrap_or(head);
        let head = head.strip_suffix(b"\r\ncontent-length: 0\r\n")?;
        let status = |refusal: Refusal| Some((refusal, head.strip_suffix(refusal.status_line().as_bytes())?));
        let (refusal, head) = Refusal::ALL.into_iter().find_map(status)?;
        let before = VERSIONS.iter().find_map(|version| head.strip_suffix(*version))?;
        Some(Self { before, refusal, date })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_head_is_found_at_the_end_alone() {
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            for connection in ["", "connection: close\r\n", "connection: keep-alive\r\n", "connection: upgrade\r\n"] {
                for refusal in Refusal::ALL {
                    let status = refusal.status_line();
                    let bare = format!("{version} {status}\r\ncontent-length: 0\r\n{connection}{DATE}\r\n\r\n");
                    for before in ["", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"] {
                        let all = format!("{before}{bare}");
                        let found = Bare { before: before.as_bytes(), refusal, date: DATE.as_bytes() };
                        assert_eq!(Bare::find(all.as_bytes()), Some(found), "{all}");
                    }
                    for cut in 1..=bare.len() {
                        assert_eq!(Bare::find(&bare.as_bytes()[cut..]), None, "{bare} from {cut}");
                        assert_eq!(Bare::find(&bare.as_bytes()[..bare.len() - cut]), None, "{bare} less {cut}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_has_a_body_or_another_field_or_status_is_no_bare_head() {
        for other in [
            "HTTP/1.1 204 No Content\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\na: b\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "\r\n\r\n",
            "",
        ] {
            assert_eq!(Bare::find(other.as_bytes()), None, "{other}");
        }
    }
}
