//! What a store keeps of the tokens that were issued (PROTOCOL.md §10).

use async_trait::async_trait;
use diesel::{Insertable, Queryable};

use super::StoreError;
use super::schema::tokens;
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

/// A token as its row has it.
#[derive(Insertable, Queryable)]
#[diesel(table_name = tokens)]
pub(super) struct TokenRow {
    id: String,
    hash: Vec<u8>,
    session: bool,
    parent: Option<String>,
    name: String,
    grants: String,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl From<&Token> for TokenRow {
    fn from(token: &Token) -> Self {
        let (session, parent) = match &token.kind {
            TokenKind::Issued => (false, None),
            TokenKind::Session(parent) => (true, parent.as_ref().map(ToString::to_string)),
        };
        Self {
            id: token.id.to_string(),
            hash: token.hash.bytes().to_vec(),
            session,
            parent,
            name: token.name.as_str().to_owned(),
            grants: token.grants.to_json(),
            created_at: token.created_at.micros(),
            expires_at: token.expires_at.map(Timestamp::micros),
            revoked_at: token.revoked_at.map(Timestamp::micros),
        }
    }
}

impl TryFrom<TokenRow> for Token {
    type Error = StoreError;

    fn try_from(row: TokenRow) -> Result<Self, StoreError> {
        let id = row.id;
        let corrupt = |what: &str, why: &dyn std::fmt::Display| {
            StoreError::internal(format!("the token {id:?} has a {what} that is none: {why}"))
        };
        let parent = row.parent.as_deref().map(TokenId::new).transpose();
        let parent = parent.map_err(|fault| corrupt("parent", &fault))?;
        Ok(Self {
            id: TokenId::new(&id).map_err(|fault| corrupt("id", &fault))?,
            hash: TokenHash::from_stored(&row.hash).ok_or_else(|| corrupt("hash", &"its length"))?,
            kind: if row.session { TokenKind::Session(parent) } else { TokenKind::Issued },
            name: TokenName::new(&row.name).map_err(|fault| corrupt("name", &fault))?,
            grants: Grants::parse_held(&row.grants).map_err(|fault| corrupt("grant", &fault))?,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: row.expires_at.map(Timestamp::from_micros),
            revoked_at: row.revoked_at.map(Timestamp::from_micros),
        })
    }
}
