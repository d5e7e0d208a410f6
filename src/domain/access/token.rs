//! Tokens that the server issued, as they are kept (PROTOCOL.md §10): what they are called and allow, never what they are.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Grants;
use crate::domain::Timestamp;

/// What every issued token begins with; 43 characters of base64url follow, 256 random bits.
pub const TOKEN_START: &str = "sl_";

/// The SHA-256 of a token, which is all that is kept of it. The token is random, so that it cannot be guessed from this.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Of this token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// From a stored one.
    #[must_use]
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// To be stored.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// Why something is no token's id or name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Not an id.
    #[error("a token's id is 16 hex digits")]
    Id,
    /// Not a name.
    #[error("a token's name must be 1 to 128 characters, none of them a control character")]
    Name,
}

/// What a token is called in lists and logs: 16 hex digits, ascending with the time of its making. No secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(Arc<str>);

impl TokenId {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`TokenFault::Id`].
    pub fn new(text: &str) -> Result<Self, TokenFault> {
        let digits = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if text.len() == 16 && digits { Ok(Self(text.into())) } else { Err(TokenFault::Id) }
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TokenId {
    type Err = TokenFault;

    fn from_str(text: &str) -> Result<Self, TokenFault> {
        Self::new(text)
    }
}

/// What people call a token: 1 to 128 characters, none of them a control character. Several tokens may share a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenName(Arc<str>);

impl TokenName {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`TokenFault::Name`].
    pub fn new(text: &str) -> Result<Self, TokenFault> {
        let length = text.chars().count();
        let plain = !text.chars().any(char::is_control);
        if (1..=128).contains(&length) && plain { Ok(Self(text.into())) } else { Err(TokenFault::Name) }
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenName {
    type Err = TokenFault;

    fn from_str(text: &str) -> Result<Self, TokenFault> {
        Self::new(text)
    }
}

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// It was issued to somebody.
    Issued,
    /// It is the cookie of a login to the page, with another token: an issued one, which takes it along when it is revoked,
    /// or none that is kept here.
    Session(Option<TokenId>),
}

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is called in lists.
    pub id: TokenId,
    /// By which it is found.
    pub hash: TokenHash,
    /// What it is for.
    pub kind: TokenKind,
    /// What people call it.
    pub name: TokenName,
    /// What it allows.
    pub grants: Grants,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is worth nothing; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl Token {
    /// Whether it is worth anything at `now`.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_are_checked() {
        assert!(TokenId::new("0198f3a2b4c5d6e7").is_ok());
        for bad in ["", "0198f3a2b4c5d6e", "0198F3A2B4C5D6E7", "0198f3a2b4c5d6e78", "0198f3a2b4c5d6eg"] {
            assert_eq!(TokenId::new(bad), Err(TokenFault::Id), "{bad}");
        }
        assert!(TokenName::new("Annas Löffel 7").is_ok() && TokenName::new(&"ü".repeat(128)).is_ok());
        for bad in ["", "a\nb", &"x".repeat(129)] {
            assert_eq!(TokenName::new(bad), Err(TokenFault::Name), "{bad:?}");
        }
    }

    #[test]
    fn a_token_ends_when_it_expires_or_is_revoked() {
        let at = Timestamp::from_micros;
        let token = |expires_at, revoked_at| Token {
            id: TokenId::new("0198f3a2b4c5d6e7").unwrap(),
            hash: TokenHash::of("x"),
            kind: TokenKind::Issued,
            name: TokenName::new("x").unwrap(),
            grants: Grants::default(),
            created_at: at(0),
            expires_at,
            revoked_at,
        };
        assert!(token(None, None).holds(at(9)) && token(Some(at(10)), None).holds(at(9)));
        assert!(!token(Some(at(9)), None).holds(at(9)) && !token(None, Some(at(1))).holds(at(9)));
        assert_eq!(format!("{:?}", token(None, None).hash), "TokenHash(…)");
    }
}
