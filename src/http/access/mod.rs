//! Who may do what, checked in one place (PROTOCOL.md §10): every route is declared with a [`Rule`] for each of its methods
//! (`routes`), [`Guard`] stands before it and holds it to that, and leaves a [`Permit`] for what only the handler knows, the
//! collections.

mod credential;
mod guard;
mod lease;
mod permit;
mod rule;

pub use credential::{Credential, SESSION_COOKIE, cookie, csrf_token};
pub use guard::{Guard, space_of};
pub use lease::Lease;
pub use permit::Permit;
pub use rule::{Rule, forbidden};
