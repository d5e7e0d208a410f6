//! The shapes on the wire: what is read from requests and written into answers, apart from the domain's own types.
//!
//! Answers that carry records are written by hand: `data` is text that was checked when it came in, and goes out as
//! it stands. The schemas of these shapes, for the OpenAPI document, are in [`schema`]; a test holds the two together.

pub mod change;
pub mod page;
pub mod push_answer;
pub mod push_body;
pub mod quota;
pub mod read;
pub mod repair;
pub mod retention;
pub mod schema;
pub mod space;
pub mod stats;
pub mod tokens;
pub mod write;
