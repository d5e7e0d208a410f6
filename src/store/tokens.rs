//! What a store keeps of the tokens that were issued (PROTOCOL.md §10).

use async_trait::async_trait;

use super::StoreError;
use crate::domain::Timestamp;
use crate::domain::access::{Grants, Token, TokenHash, TokenId, TokenKind, TokenName};

/// The part of a store that keeps tokens. They are of the whole database, and of no space.
#[async_trait]
pub trait TokenStore {
    /// Keeps a token; whether it does, which is not so where one with its id or hash is kept already.
    async fn add_token(&self, token: Token) -> Result<bool, StoreError>;

    /// The token that has this hash, whether or not it is still worth anything.
    async fn token(&self, hash: TokenHash) -> Result<Option<Token>, StoreError>;

    /// The issued token that has this id.
    async fn issued_token(&self, id: TokenId) -> Result<Option<Token>, StoreError>;

    /// The issued tokens in order of id, those after `after`, at most `limit`; also those that are worth nothing any more.
    async fn tokens(&self, after: Option<TokenId>, limit: usize) -> Result<Vec<Token>, StoreError>;

    /// Revokes an issued token, and ends the sessions that it began. Answers the token as it is now; `None` for one that is
    /// not there. One that is revoked already stays as it is.
    async fn revoke_token(&self, id: TokenId, now: Timestamp) -> Result<Option<Token>, StoreError>;

    /// Removes a session, if it is there.
    async fn end_session(&self, hash: TokenHash) -> Result<(), StoreError>;

    /// Removes sessions that expired before `before`, at most `max_rows`. Answers how many.
    async fn expire_sessions(&self, before: Timestamp, max_rows: usize) -> Result<usize, StoreError>;

    /// Whether a token was ever issued, worth anything or not.
    async fn has_tokens(&self) -> Result<bool, StoreError>;
}

/// The columns of a token: its id, hash, whether it is a session and of which token, its name, its grants, and when it was
/// made, expires and was revoked.
pub(super) type TokenColumns = (String, Vec<u8>, bool, Option<String>, String, String, i64, Option<i64>, Option<i64>);

/// Makes a token of its row.
pub(super) fn token(row: TokenColumns) -> Result<Token, StoreError> {
    let (id, hash, session, parent, name, grants, created_at, expires_at, revoked_at) = row;
    let corrupt = |what: &str, why: &dyn std::fmt::Display| {
        StoreError::internal(format!("the token {id:?} has a {what} that is none: {why}"))
    };
    let parent = parent.as_deref().map(TokenId::new).transpose().map_err(|fault| corrupt("parent", &fault))?;
    Ok(Token {
        id: TokenId::new(&id).map_err(|fault| corrupt("id", &fault))?,
        hash: TokenHash::from_stored(&hash).ok_or_else(|| corrupt("hash", &"its length"))?,
        kind: if session { TokenKind::Session(parent) } else { TokenKind::Issued },
        name: TokenName::new(&name).map_err(|fault| corrupt("name", &fault))?,
        grants: Grants::parse(&grants).map_err(|fault| corrupt("grant", &fault))?,
        created_at: Timestamp::from_micros(created_at),
        expires_at: expires_at.map(Timestamp::from_micros),
        revoked_at: revoked_at.map(Timestamp::from_micros),
    })
}

/// The row of a token.
pub(super) fn columns(token: &Token) -> TokenColumns {
    let (session, parent) = match &token.kind {
        TokenKind::Issued => (false, None),
        TokenKind::Session(parent) => (true, parent.as_ref().map(ToString::to_string)),
    };
    (
        token.id.to_string(),
        token.hash.bytes().to_vec(),
        session,
        parent,
        token.name.as_str().to_owned(),
        token.grants.to_json(),
        token.created_at.micros(),
        token.expires_at.map(Timestamp::micros),
        token.revoked_at.map(Timestamp::micros),
    )
}
