//! The rules of synchronisation, pure: no I/O, no async, no HTTP.
//!
//! Everything here can be read beside PROTOCOL.md, whose sections the comments cite. The store carries these rules
//! out in a transaction, the HTTP layer renders their results, the replica follows them from the other end.

pub mod access;
pub mod change;
pub mod checksum;
pub mod client;
pub mod clock;
pub mod cursor;
pub mod epoch;
pub mod forecast;
pub mod json;
pub mod names;
pub mod object;
pub mod pull;
pub mod purge;
pub mod push;
pub mod quota;
pub mod record;
pub mod repair;
pub mod retention;
pub mod revision;
pub mod runs;
pub mod since;
pub mod space;
pub mod timestamp;

pub use access::{Access, Grant, Grants, Reach};
pub use change::{Change, State};
pub use checksum::Checksum;
pub use clock::{Clock, ManualClock, SystemClock};
pub use cursor::{Cursor, Progress, Scope};
pub use epoch::{Epoch, Lineage};
pub use json::{Document, JsonFault, Patch};
pub use names::{ClientName, CollectionName, Collections, NameFault, RecordId, SpaceName};
pub use object::Object;
pub use quota::{Allowance, Quota, QuotaChange, QuotaRule};
pub use retention::{Retention, RetentionPolicy};
pub use revision::Rev;
pub use runs::Runs;
pub use since::Since;
pub use space::{CollectionState, SpaceState, Tally};
pub use timestamp::Timestamp;
