//! What a route asks of whoever comes.

use actix_web::http::Method;

use super::super::problem::{Code, Problem};
use crate::access::Holder;
use crate::domain::SpaceName;
use crate::domain::access::{Access, Reach};

/// What is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: what is here tells nothing of anybody's data.
    Nothing,
    /// Any good credential.
    Credential,
    /// A grant on the space that the path names; it may be narrowed to collections, which the handler then looks at.
    Space(Access),
    /// A grant on the space that the path names as a whole.
    WholeSpace(Access),
    /// Some grant to administer: what may be done with it the handler looks at.
    AnyAdmin,
    /// The grant to administer everything: what is here is of no single space.
    Everything,
}

/// What is needed for a method of a route, and under which name it is audited.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What is needed.
    pub need: Need,
    /// What the audit calls it; `None` for what is not written down when it is allowed.
    pub event: Option<&'static str>,
}

impl Rule {
    /// Open to everybody.
    pub const PUBLIC: Self = Self::of(Need::Nothing);
    /// For whoever holds a good credential.
    pub const SIGNED_IN: Self = Self::of(Need::Credential);
    /// For readers of the space.
    pub const READ: Self = Self::of(Need::Space(Access::Read));
    /// For writers of the space.
    pub const WRITE: Self = Self::of(Need::Space(Access::Write));
    /// For administrators of the whole space.
    pub const ADMIN: Self = Self::of(Need::WholeSpace(Access::Admin));
    /// For administrators of anything.
    pub const ANY_ADMIN: Self = Self::of(Need::AnyAdmin);
    /// For administrators of everything.
    pub const EVERYTHING: Self = Self::of(Need::Everything);

    const fn of(need: Need) -> Self {
        Self { need, event: None }
    }

    /// Audited under this name.
    #[must_use]
    pub const fn audited(self, event: &'static str) -> Self {
        Self { event: Some(event), ..self }
    }

    /// Whether `holder` fulfils it, in this space where it is about one.
    ///
    /// # Errors
    /// 404 where no grant reaches the space, as if it were not there; 403 where one does and is too small.
    pub fn check(self, holder: &Holder, space: Option<&SpaceName>) -> Result<(), Problem> {
        let grants = &holder.grants;
        let (access, whole) = match self.need {
            Need::Nothing | Need::Credential => return Ok(()),
            Need::AnyAdmin if grants.administer() => return Ok(()),
            Need::AnyAdmin => return Err(forbidden("this takes a grant to administer")),
            Need::Everything if grants.rule_everything() => return Ok(()),
            Need::Everything => return Err(forbidden("this takes the grant to administer every space: *:admin")),
            Need::Space(access) => (access, false),
            Need::WholeSpace(access) => (access, true),
        };
        let Some(space) = space else { return Err(Problem::internal(&"a rule for a space on a path without one")) };
        match grants.reach(space.as_str(), access) {
            Reach::Nowhere => Err(Problem::no_space(space)),
            Reach::TooLittle => Err(forbidden(format!("this takes {access} access to the space {space}"))),
            Reach::Part(choice) if whole => Err(forbidden(format!(
                "this takes {access} access to the whole space {space}, and the token is narrowed to {choice}"
            ))),
            Reach::Part(_) | Reach::Whole => Ok(()),
        }
    }
}

/// 403: a grant that is too small.
pub fn forbidden(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(Code::Forbidden, detail)
}

/// Whether a method changes something.
pub fn changes(method: &Method) -> bool {
    !method.is_safe()
}
