//! Tokens on PostgreSQL.

use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt;

use super::PostgresStore;
use super::fault::Fault;
use crate::domain::Timestamp;
use crate::domain::access::{Token, TokenHash, TokenId};
use crate::store::schema::tokens;
use crate::store::tokens::TokenRow;
use crate::store::{StoreError, TokenStore};

#[async_trait]
impl TokenStore for PostgresStore {
    async fn add_token(&self, token: Token) -> Result<bool, StoreError> {
        let token = Arc::new(token);
        self.transact(None, move |connection| {
            let token = Arc::clone(&token);
            async move { add(connection, &token).await }.boxed()
        })
        .await
    }

    async fn token(&self, hash: TokenHash) -> Result<Option<Token>, StoreError> {
        // From the primary: a standby may not have heard yet that it was revoked.
        let found = self.read(move |mut connection: &AsyncPgConnection| {
            async move {
                let row = tokens::table.filter(tokens::hash.eq(hash.bytes().to_vec()));
                Ok(row.first::<TokenRow>(&mut connection).await.optional()?)
            }
            .boxed()
        });
        found.await?.map(Token::try_from).transpose()
    }

    async fn issued_token(&self, id: TokenId) -> Result<Option<Token>, StoreError> {
        let found = self.read(move |mut connection: &AsyncPgConnection| {
            let id = id.to_string();
            async move {
                let row = tokens::table.filter(tokens::session.eq(false).and(tokens::id.eq(id)));
                Ok(row.first::<TokenRow>(&mut connection).await.optional()?)
            }
            .boxed()
        });
        found.await?.map(Token::try_from).transpose()
    }

    async fn tokens(&self, after: Option<TokenId>, limit: usize) -> Result<Vec<Token>, StoreError> {
        let rows = self.read(move |mut connection: &AsyncPgConnection| {
            let after = after.as_ref().map_or(String::new(), ToString::to_string);
            async move {
                let rows = tokens::table
                    .filter(tokens::session.eq(false).and(tokens::id.gt(after)))
                    .order(tokens::id)
                    .limit(i64::try_from(limit).unwrap_or(i64::MAX));
                Ok(rows.load::<TokenRow>(&mut connection).await?)
            }
            .boxed()
        });
        rows.await?.into_iter().map(Token::try_from).collect()
    }

    async fn revoke_token(&self, id: TokenId, now: Timestamp) -> Result<Option<Token>, StoreError> {
        self.transact(None, move |connection| {
            let id = id.clone();
            async move { revoke(connection, &id, now).await }.boxed()
        })
        .await
    }

    async fn end_session(&self, hash: TokenHash) -> Result<(), StoreError> {
        self.transact(None, move |mut connection: &AsyncPgConnection| {
            async move {
                let session =
                    tokens::table.filter(tokens::session.eq(true).and(tokens::hash.eq(hash.bytes().to_vec())));
                diesel::delete(session).execute(&mut connection).await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    async fn expire_sessions(&self, before: Timestamp, max_rows: usize) -> Result<usize, StoreError> {
        self.transact(None, move |mut connection: &AsyncPgConnection| {
            async move {
                let gone = tokens::table
                    .filter(tokens::session.eq(true).and(tokens::expires_at.lt(before.micros())))
                    .limit(i64::try_from(max_rows).unwrap_or(i64::MAX))
                    .select(tokens::id)
                    .load::<String>(&mut connection)
                    .await?;
                Ok(diesel::delete(tokens::table.filter(tokens::id.eq_any(gone))).execute(&mut connection).await?)
            }
            .boxed()
        })
        .await
    }

    async fn has_tokens(&self) -> Result<bool, StoreError> {
        let any = self.read(|mut connection: &AsyncPgConnection| {
            async move {
                let one = tokens::table.filter(tokens::session.eq(false)).select(tokens::id);
                Ok(one.first::<String>(&mut connection).await.optional()?)
            }
            .boxed()
        });
        Ok(any.await?.is_some())
    }
}

async fn add(mut connection: &AsyncPgConnection, token: &Token) -> Result<bool, Fault> {
    let added = diesel::insert_into(tokens::table)
        .values(TokenRow::from(token))
        .on_conflict_do_nothing()
        .execute(&mut connection);
    Ok(added.await? > 0)
}

async fn revoke(mut connection: &AsyncPgConnection, id: &TokenId, now: Timestamp) -> Result<Option<Token>, Fault> {
    let issued = tokens::table.filter(tokens::session.eq(false).and(tokens::id.eq(id.as_str())));
    diesel::update(issued.filter(tokens::revoked_at.is_null()))
        .set(tokens::revoked_at.eq(now.micros()))
        .execute(&mut connection)
        .await?;
    diesel::delete(tokens::table.filter(tokens::parent.eq(id.as_str()))).execute(&mut connection).await?;
    let row = issued.first::<TokenRow>(&mut connection).await.optional()?;
    Ok(row.map(Token::try_from).transpose()?)
}
