//! Making tokens and sessions. Their secrets are handed out once and kept nowhere.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::Holder;
use crate::domain::Clock;
use crate::domain::access::{Grants, TOKEN_START, Token, TokenHash, TokenId, TokenKind, TokenName};
use crate::store::{Store, StoreError};

/// What the secret of a session begins with. It is good in the page's cookie only, as a token is in the header only.
pub const SESSION_START: &str = "ss_";
/// A login to the page lasts for a working day.
pub const LONGEST_SESSION: Duration = Duration::from_secs(12 * 3600);

/// A token that is to be issued.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What people will call it.
    pub name: TokenName,
    /// What it allows.
    pub grants: Grants,
    /// How long it is worth something; `None` for ever.
    pub lifetime: Option<Duration>,
}

/// Issues a token: what is kept of it, and the token itself.
///
/// # Errors
/// [`StoreError`].
pub async fn issue(store: &dyn Store, clock: &dyn Clock, new: NewToken) -> Result<(Token, String), StoreError> {
    let now = clock.now();
    let secret = self::secret(TOKEN_START)?;
    let token = Token {
        id: id()?,
        hash: TokenHash::of(&secret),
        kind: TokenKind::Issued,
        name: new.name,
        grants: new.grants,
        created_at: now,
        expires_at: new.lifetime.map(|lifetime| now.plus(lifetime)),
        revoked_at: None,
    };
    add(store, token.clone()).await?;
    Ok((token, secret))
}

/// Begins a session: it may do what its holder may, and ends with it.
pub(super) async fn begin_session(store: &dyn Store, clock: &dyn Clock, holder: &Holder) -> Result<String, StoreError> {
    let now = clock.now();
    let (secret, end) = (self::secret(SESSION_START)?, now.plus(LONGEST_SESSION));
    let name = holder.name.chars().filter(|c| !c.is_control()).take(128).collect::<String>();
    let name = TokenName::new(&name).or_else(|_| TokenName::new("session")).map_err(StoreError::internal)?;
    let session = Token {
        id: id()?,
        hash: TokenHash::of(&secret),
        kind: TokenKind::Session(holder.token.clone()),
        name,
        grants: holder.grants.clone(),
        created_at: now,
        expires_at: Some(holder.expires_at.map_or(end, |own| own.min(end))),
        revoked_at: None,
    };
    add(store, session).await?;
    Ok(secret)
}

async fn add(store: &dyn Store, token: Token) -> Result<(), StoreError> {
    if store.add_token(token).await? {
        return Ok(());
    }
    Err(StoreError::internal("the id of a new token was in use already"))
}

/// 256 random bits of the system's, as text that begins with `start`.
///
/// # Errors
/// [`StoreError::Internal`] where the system has none.
pub fn secret(start: &str) -> Result<String, StoreError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(StoreError::internal)?;
    Ok(format!("{start}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// The milliseconds since 1970, and some random bits for those that are made in the same one.
fn id() -> Result<TokenId, StoreError> {
    let uuid = Uuid::now_v7().simple().to_string();
    let (time, random) = (uuid.get(..12).unwrap_or_default(), uuid.get(28..).unwrap_or_default());
    TokenId::new(&format!("{time}{random}")).map_err(StoreError::internal)
}
