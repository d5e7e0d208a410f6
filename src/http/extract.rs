//! What requests say before their bodies: which space, who asks, and whether JSON will do as an answer.
//!
//! A handler that takes one of these never sees a bad value; the client has got its 400 or 406 by then.

use std::borrow::Cow;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use percent_encoding::percent_decode_str;

use super::accept;
use super::access::Permit;
use super::problem::Problem;
use crate::domain::{Access, ClientName, CollectionName, Collections, RecordId, SpaceName};

/// The header by which a client names itself (§7).
pub const CLIENT_HEADER: &str = "strandline-client";

/// Who asks. The name is optional, but must be one when it is there.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The client's own name for itself.
    pub client: Option<ClientName>,
}

impl Caller {
    fn of(req: &HttpRequest) -> Result<Self, Problem> {
        let Some(value) = req.headers().get(CLIENT_HEADER) else { return Ok(Self { client: None }) };
        let client = ClientName::new(value.to_str().unwrap_or_default());
        client
            .map(|client| Self { client: Some(client) })
            .map_err(|fault| Problem::name("the header Strandline-Client", fault))
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(req))
    }
}

/// A request on a space: which one, and who asks.
#[derive(Clone, Debug)]
pub struct InSpace {
    /// The space that the path names; it need not exist.
    pub space: SpaceName,
    /// Who asks.
    pub caller: Caller,
    /// What it may.
    pub permit: Permit,
}

impl InSpace {
    fn of(req: &HttpRequest) -> Result<Self, Problem> {
        Ok(Self { space: space(req)?, caller: Caller::of(req)?, permit: Permit::left_in(req)? })
    }

    /// The collections that a request covers which reads `asked`, `None` for all; see [`Permit::choice`].
    ///
    /// # Errors
    /// 403.
    pub fn reading(&self, asked: Option<Collections>) -> Result<Option<Collections>, Problem> {
        self.permit.choice(&self.space, Access::Read, asked)
    }
}

impl FromRequest for InSpace {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(req))
    }
}

/// The space that the path names.
///
/// # Errors
/// A 400.
pub fn space(req: &HttpRequest) -> Result<SpaceName, Problem> {
    SpaceName::new(&segment(req, 3)).map_err(|fault| Problem::name("the space's name", fault))
}

/// A request on a collection, which its sender may read, or write if it is to be changed.
#[derive(Clone, Debug)]
pub struct InCollection {
    /// The space.
    pub space: SpaceName,
    /// The collection; it need not exist.
    pub collection: CollectionName,
}

impl InCollection {
    fn of(req: &HttpRequest) -> Result<Self, Problem> {
        let InSpace { space, permit, .. } = InSpace::of(req)?;
        let collection = CollectionName::new(&segment(req, 5));
        let collection = collection.map_err(|fault| Problem::name("the collection's name", fault))?;
        let access = if req.method().is_safe() { Access::Read } else { Access::Write };
        permit.touch(&space, access, &collection)?;
        Ok(Self { space, collection })
    }
}

impl FromRequest for InCollection {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(req))
    }
}

/// A request on a record.
#[derive(Clone, Debug)]
pub struct OnRecord {
    /// The space.
    pub space: SpaceName,
    /// The collection.
    pub collection: CollectionName,
    /// The record's id; it need not exist.
    pub id: RecordId,
}

impl FromRequest for OnRecord {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(InCollection::of(req).and_then(|InCollection { space, collection }| {
            Ok(Self { space, collection, id: id_in(req.uri().path())? })
        }))
    }
}

/// A request on a known client of a space.
#[derive(Clone, Debug)]
pub struct OnClient {
    /// The space; it need not exist.
    pub space: SpaceName,
    /// The client; it need not be known.
    pub client: ClientName,
}

impl FromRequest for OnClient {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(InSpace::of(req).and_then(|InSpace { space, .. }| {
            let client = ClientName::new(&segment(req, 5));
            Ok(Self { space, client: client.map_err(|fault| Problem::name("the client's name", fault))? })
        }))
    }
}

/// A segment of the path as it came, decoded, by its place: a name in it. What is no UTF-8 then is no name either.
fn segment(req: &HttpRequest, place: usize) -> Cow<'_, str> {
    percent_decode_str(req.uri().path().split('/').nth(place).unwrap_or_default()).decode_utf8_lossy()
}

/// The id is taken from the path as it came, since the framework decodes some escapes and not others.
fn id_in(path: &str) -> Result<RecordId, Problem> {
    let raw = path.split('/').nth(6).unwrap_or_default();
    if !escapes_are_whole(raw) {
        return Err(Problem::invalid("the id in the path has a % that two hex digits do not follow"));
    }
    let id = percent_decode_str(raw).decode_utf8();
    let id = id.map_err(|_| Problem::invalid("the id in the path is not UTF-8 once its %-escapes are decoded"))?;
    if id == "." || id == ".." {
        return Err(Problem::invalid(
            "the ids . and .. are reached by push and fetch only: clients collapse such paths",
        ));
    }
    RecordId::new(id).map_err(|fault| Problem::name("the id", fault))
}

/// Whether every % is followed by two hex digits.
pub fn escapes_are_whole(raw: &str) -> bool {
    let hex = |digit: Option<u8>| digit.is_some_and(|digit| digit.is_ascii_hexdigit());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' && !(hex(bytes.next()) && hex(bytes.next())) {
            return false;
        }
    }
    true
}

/// The client takes JSON.
#[derive(Clone, Copy, Debug)]
pub struct TakesJson;

impl FromRequest for TakesJson {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(accept::choose(req.headers(), [accept::JSON]).map(|_| Self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_from_the_path_as_it_was_sent() {
        let id = |raw: &str| id_in(&format!("/v1/spaces/demo/records/todos/{raw}")).map(|id| id.to_string());
        for (raw, decoded) in [
            ("a", "a"),
            ("src%2Fmain.rs", "src/main.rs"),
            ("src%2fmain.rs", "src/main.rs"),
            ("100%25", "100%"),
            ("a+b", "a+b"),
            ("a%20b", "a b"),
            ("%E6%97%A5%E6%9C%AC", "日本"),
            ("...", "..."),
            ("%252F", "%2F"),
        ] {
            assert_eq!(id(raw).unwrap(), decoded, "{raw}");
        }
        for bad in ["", "%", "%2", "%zz", "%ff", "%00", "a%0Ab", ".", "..", "%2e", "%2E%2e"] {
            assert!(id(bad).is_err(), "{bad}");
        }
    }
}
