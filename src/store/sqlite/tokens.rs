//! Tokens on SQLite.

use async_trait::async_trait;
use diesel::prelude::*;

use super::SqliteStore;
use super::connection::failure;
use super::transaction::Transaction;
use crate::domain::Timestamp;
use crate::domain::access::{Token, TokenHash, TokenId};
use crate::store::schema::tokens;
use crate::store::tokens::TokenRow;
use crate::store::{StoreError, TokenStore};

#[async_trait]
impl TokenStore for SqliteStore {
    async fn add_token(&self, token: Token) -> Result<bool, StoreError> {
        self.writer.write(move |tx| add(tx, &token)).await
    }

    async fn token(&self, hash: TokenHash) -> Result<Option<Token>, StoreError> {
        let found = self.readers.read(move |connection| {
            let row = tokens::table.filter(tokens::hash.eq(hash.bytes())).first::<TokenRow>(connection);
            row.optional().map_err(failure)
        });
        found.await?.map(Token::try_from).transpose()
    }

    async fn issued_token(&self, id: TokenId) -> Result<Option<Token>, StoreError> {
        let found = self.readers.read(move |connection| {
            let row = tokens::table.filter(tokens::session.eq(false).and(tokens::id.eq(id.as_str())));
            row.first::<TokenRow>(connection).optional().map_err(failure)
        });
        found.await?.map(Token::try_from).transpose()
    }

    async fn tokens(&self, after: Option<TokenId>, limit: usize) -> Result<Vec<Token>, StoreError> {
        let rows = self.readers.read(move |connection| {
            tokens::table
                .filter(tokens::session.eq(false).and(tokens::id.gt(after.as_ref().map_or("", TokenId::as_str))))
                .order(tokens::id)
                .limit(i64::try_from(limit).unwrap_or(i64::MAX))
                .load::<TokenRow>(connection)
                .map_err(failure)
        });
        rows.await?.into_iter().map(Token::try_from).collect()
    }

    async fn revoke_token(&self, id: TokenId, now: Timestamp) -> Result<Option<Token>, StoreError> {
        self.writer.write(move |tx| revoke(tx, &id, now)).await
    }

    async fn end_session(&self, hash: TokenHash) -> Result<(), StoreError> {
        let session = move |tx: &mut Transaction<'_>| {
            let session = tokens::table.filter(tokens::session.eq(true).and(tokens::hash.eq(hash.bytes())));
            diesel::delete(session).execute(tx.connection).map(|_| ()).map_err(failure)
        };
        self.writer.write(session).await
    }

    async fn expire_sessions(&self, before: Timestamp, max_rows: usize) -> Result<usize, StoreError> {
        let gone = self.readers.read(move |connection| {
            tokens::table
                .filter(tokens::session.eq(true).and(tokens::expires_at.lt(before.micros())))
                .limit(i64::try_from(max_rows).unwrap_or(i64::MAX))
                .select(tokens::id)
                .load::<String>(connection)
                .map_err(failure)
        });
        let gone = gone.await?;
        if gone.is_empty() {
            return Ok(0);
        }
        let work = move |tx: &mut Transaction<'_>| {
            diesel::delete(tokens::table.filter(tokens::id.eq_any(&gone))).execute(tx.connection).map_err(failure)
        };
        self.writer.write(work).await
    }

    async fn has_tokens(&self) -> Result<bool, StoreError> {
        let any = self.readers.read(|connection| {
            let one = tokens::table.filter(tokens::session.eq(false)).select(tokens::id).first::<String>(connection);
            one.optional().map_err(failure)
        });
        Ok(any.await?.is_some())
    }
}

fn add(transaction: &mut Transaction<'_>, token: &Token) -> Result<bool, StoreError> {
    let added =
        diesel::insert_or_ignore_into(tokens::table).values(TokenRow::from(token)).execute(transaction.connection);
    Ok(added.map_err(failure)? > 0)
}

fn revoke(transaction: &mut Transaction<'_>, id: &TokenId, now: Timestamp) -> Result<Option<Token>, StoreError> {
    let connection = &mut *transaction.connection;
    let issued = tokens::table.filter(tokens::session.eq(false).and(tokens::id.eq(id.as_str())));
    diesel::update(issued.filter(tokens::revoked_at.is_null()))
        .set(tokens::revoked_at.eq(now.micros()))
        .execute(connection)
        .map_err(failure)?;
    diesel::delete(tokens::table.filter(tokens::parent.eq(id.as_str()))).execute(connection).map_err(failure)?;
    issued.first::<TokenRow>(connection).optional().map_err(failure)?.map(Token::try_from).transpose()
}
