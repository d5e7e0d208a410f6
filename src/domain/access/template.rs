//! A grant for each signed-in user of an app, without anything being issued (PROTOCOL.md §10).

use std::fmt::Write as _;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::{Access, Grant, GrantFault, SpacePattern};
use crate::domain::SpaceName;

/// How much of a hash goes into a name: 160 bits, as 40 hex digits.
const HASH_BYTES: usize = 20;

/// `user-{sub}:write`: a space whose name has the user's `sub` in it, or what a hash makes of that.
///
/// `{sub}` stands for the claim as it is, and gives no grant where that makes no name (§1: a-z, 0-9, `_` and `-`): to change it
/// until it does would give two users the same space. `{sub:sha256}` stands for the first 40 hex digits of its SHA-256, which
/// is good for every `sub`, and which the app can reckon too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceTemplate {
    before: String,
    hashed: bool,
    after: String,
    access: Access,
}

impl SpaceTemplate {
    const PLAIN: &str = "{sub}";
    const HASHED: &str = "{sub:sha256}";

    /// The grant of the user `sub`; `None` where that makes no name of a space.
    #[must_use]
    pub fn grant(&self, sub: &str) -> Option<Grant> {
        if sub.is_empty() {
            return None;
        }
        let mut name = self.before.clone();
        if self.hashed {
            for byte in Sha256::digest(sub).iter().take(HASH_BYTES) {
                write!(name, "{byte:02x}").ok()?;
            }
        } else {
            name.push_str(sub);
        }
        name.push_str(&self.after);
        // A name and no pattern: a `*` in the claim must not reach any further.
        let name = SpaceName::new(&name).ok()?;
        Some(Grant { space: SpacePattern::new(name.as_str()).ok()?, access: self.access, collections: None })
    }
}

impl FromStr for SpaceTemplate {
    type Err = GrantFault;

    fn from_str(text: &str) -> Result<Self, GrantFault> {
        let fault = GrantFault::Template;
        // The last colon: the one of {sub:sha256} comes before it.
        let (name, access) = text.rsplit_once(':').ok_or(fault)?;
        let access = access.parse().map_err(|_| fault)?;
        let hashed = name.contains(Self::HASHED);
        let (before, after) = name.split_once(if hashed { Self::HASHED } else { Self::PLAIN }).ok_or(fault)?;
        let template = Self { before: before.into(), hashed, after: after.into(), access };
        // With the shortest of users it has to be a name.
        let shortest = if hashed { template.grant("0") } else { Self { hashed: false, ..template.clone() }.grant("0") };
        shortest.map(|_| template).ok_or(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_a_space_of_its_own() {
        let space = |template: &str, sub: &str| {
            template.parse::<SpaceTemplate>().unwrap().grant(sub).map(|grant| grant.to_string())
        };
        assert_eq!(space("user-{sub}:write", "anna_7").as_deref(), Some("user-anna_7:write"));
        assert_eq!(space("{sub}-notes:read", "7").as_deref(), Some("7-notes:read"));
        for sub in ["", "*", "Anna", "auth0|5f7c", "a/b", "ü", "a*", &"x".repeat(60)] {
            assert_eq!(space("user-{sub}:write", sub), None, "{sub}");
        }
        // printf '%s' 'auth0|5f7c' | sha256sum | cut -c1-40
        let hashed = space("user-{sub:sha256}:admin", "auth0|5f7c").unwrap();
        assert_eq!(hashed, "user-662dd0a5965afa2fc4523919f762c1fc39f69a8e:admin");
        assert_ne!(space("user-{sub:sha256}:admin", "auth0|5F7c").unwrap(), hashed);
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for bad in [
            "",
            "user:write",
            "user-{sub}",
            "user-{sub}:root",
            "{sub}{sub}:read",
            "U{sub}:read",
            "a{id}:read",
            "a*{sub}:read",
        ] {
            assert_eq!(bad.parse::<SpaceTemplate>(), Err(GrantFault::Template), "{bad}");
        }
    }
}
