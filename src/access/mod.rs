//! Who a request comes from (PROTOCOL.md §10): tokens that the server issued, JWTs that others did, and sessions of the page.
//!
//! What a credential stands for is remembered for a few seconds under its hash, so that a poll costs no look into the database
//! and no signature, and a token that was revoked anywhere is worth nothing soon after everywhere.

mod issue;
mod jwks;
mod jwt;
mod keys;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::time::{Instant, sleep};

use crate::domain::access::{Grants, TOKEN_START, Token, TokenHash, TokenId, TokenKind};
use crate::domain::{Clock, Timestamp};
use crate::feed::Feed;
use crate::store::{Store, StoreError};

pub use issue::{LONGEST_SESSION, NewToken, SESSION_START, issue, secret};
pub use jwks::KeySet;
pub use jwt::{JwtOptions, Jwts, Secret};
pub use keys::{KeySource, KeySourceFault};

/// What is known of a credential is taken for true for this long, and looked up again then: a token that is revoked on another
/// node, or on the database itself, is refused this much later.
const FRESH: Duration = Duration::from_secs(5);
/// Credentials remembered, at the most.
const REMEMBERED: usize = 100_000;
/// How often a server without keys looks whether it has got one.
const LOOK: Duration = Duration::from_secs(1);
/// How often a stream asks whether its credential still holds. The protocol promises its end within 30 s (§10).
const RECHECK: Duration = Duration::from_secs(10);
/// A longer credential is none. JWTs with many grants have a few kilobytes.
const LONGEST: usize = 16 << 10;

/// Why a credential opens nothing.
#[derive(Debug, thiserror::Error)]
pub enum AccessFault {
    /// It is none, or not worth anything any more. The sentence is for its holder and tells no secret.
    #[error("{0}")]
    Refused(String),
    /// The keys to verify it with could not be had so far.
    #[error("the keys that tokens are verified with cannot be had at present")]
    NoKeys,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AccessFault {
    fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }
}

/// Where a credential was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// In `Authorization: Bearer`.
    Bearer,
    /// In the cookie of a login to the page.
    Cookie,
}

/// Whoever holds a credential.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Who it is, for logs and limits: `token <id>`, or `jwt <issuer> <subject>`. Two credentials of one user of an app are one holder.
    pub id: Arc<str>,
    /// What people call it: the token's name, or the subject.
    pub name: Arc<str>,
    /// What it may do.
    pub grants: Grants,
    /// From when on its credential is worth nothing.
    pub expires_at: Option<Timestamp>,
    /// The issued token, if it is one: sessions end with it.
    token: Option<TokenId>,
}

impl Holder {
    fn of(token: Token) -> Self {
        // A session is its token in another form.
        let (id, known) = match token.kind {
            TokenKind::Issued => (format!("token {}", token.id), Some(token.id)),
            TokenKind::Session(Some(parent)) => (format!("token {parent}"), Some(parent)),
            TokenKind::Session(None) => (format!("session {}", token.id), None),
        };
        Self {
            id: id.into(),
            name: token.name.as_str().into(),
            grants: token.grants,
            expires_at: token.expires_at,
            token: known,
        }
    }
}

/// What is remembered of a credential.
#[derive(Clone)]
struct Known {
    holder: Result<Arc<Holder>, String>,
    until: Instant,
}

/// The credentials that open this server.
pub struct Keyring {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    jwts: Option<Jwts>,
    /// Whether there is any access control. Once there is, there always will be.
    locked: AtomicBool,
    known: Cache<(TokenHash, Via), Known>,
}

impl Keyring {
    /// The keyring of a store, and of JWTs if there are any.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, jwts: Option<Jwts>) -> Result<Self, StoreError> {
        let locked = jwts.is_some() || store.has_tokens().await?;
        Ok(Self { store, clock, jwts, locked: AtomicBool::new(locked), known: Cache::new(REMEMBERED) })
    }

    /// Whether there is no access control: no key was ever configured.
    pub fn is_open(&self) -> bool {
        !self.locked.load(Ordering::Relaxed)
    }

    /// Who holds a credential, if that is remembered: without looking anything up.
    pub fn remembered(&self, credential: &str, via: Via) -> Option<Result<Arc<Holder>, AccessFault>> {
        let known = self.known.get(&(TokenHash::of(credential), via))?;
        if Instant::now() >= known.until {
            return None;
        }
        Some(known.holder.map_err(AccessFault::Refused).and_then(|holder| self.in_time(holder)))
    }

    /// Who holds a credential.
    ///
    /// # Errors
    /// [`AccessFault`].
    pub async fn holder(&self, credential: &str, via: Via) -> Result<Arc<Holder>, AccessFault> {
        match self.remembered(credential, via) {
            Some(known) => known,
            None => self.look_up(credential, via).await,
        }
    }

    async fn look_up(&self, credential: &str, via: Via) -> Result<Arc<Holder>, AccessFault> {
        if credential.len() > LONGEST {
            return Err(AccessFault::refused("this is no token: it is too long"));
        }
        let hash = TokenHash::of(credential);
        let found = match via {
            Via::Cookie if credential.starts_with(SESSION_START) => self.kept(hash, true).await,
            Via::Cookie => Err(AccessFault::refused("the cookie is not one of a login")),
            Via::Bearer if credential.starts_with(TOKEN_START) => self.kept(hash, false).await,
            Via::Bearer => match &self.jwts {
                Some(jwts) => jwts.verify(credential, self.clock.now()).await,
                None => Err(AccessFault::refused("this is not a token that was issued here")),
            },
        };
        let holder = match &found {
            Ok(holder) => Ok(Arc::clone(holder)),
            Err(AccessFault::Refused(why)) => Err(why.clone()),
            // Nothing is known: the next one asks again.
            Err(AccessFault::NoKeys | AccessFault::Store(_)) => return found,
        };
        self.known.insert((hash, via), Known { holder, until: Instant::now() + FRESH });
        found
    }

    /// The holder of a credential that is kept in the store.
    async fn kept(&self, hash: TokenHash, session: bool) -> Result<Arc<Holder>, AccessFault> {
        let token = self.store.token(hash).await?;
        let Some(token) = token.filter(|token| matches!(token.kind, TokenKind::Session(_)) == session) else {
            return Err(AccessFault::refused("this token is not known here"));
        };
        if token.revoked_at.is_some() {
            return Err(AccessFault::refused("this token was revoked"));
        }
        self.in_time(Arc::new(Holder::of(token)))
    }

    fn in_time(&self, holder: Arc<Holder>) -> Result<Arc<Holder>, AccessFault> {
        if holder.expires_at.is_some_and(|end| end <= self.clock.now()) {
            return Err(AccessFault::refused("this token has expired"));
        }
        Ok(holder)
    }

    /// Resolves when a credential does not hold any more (§10), some 15 s later at the most.
    /// While it cannot be told, it holds.
    pub async fn ended(&self, credential: &str, via: Via) {
        loop {
            sleep(RECHECK).await;
            if matches!(self.holder(credential, via).await, Err(AccessFault::Refused(_))) {
                return;
            }
        }
    }

    /// Resolves when there is access control where there was none, some 10 s later at the most.
    pub async fn locked(&self) {
        loop {
            sleep(RECHECK).await;
            if !self.is_open() {
                return;
            }
        }
    }

    /// Issues a token. There is access control from now on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn issue(&self, new: NewToken) -> Result<(Token, String), StoreError> {
        let issued = issue(&*self.store, &*self.clock, new).await?;
        self.locked.store(true, Ordering::Relaxed);
        Ok(issued)
    }

    /// Revokes a token, here at once. `None` when there is no such token.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke(&self, id: &TokenId) -> Result<Option<Token>, StoreError> {
        let revoked = self.store.revoke_token(id.clone(), self.clock.now()).await?;
        if revoked.is_some() {
            // Its sessions too, whose hashes nobody knows.
            self.known.clear();
        }
        Ok(revoked)
    }

    /// Begins a session of `holder`; its secret, which goes into the cookie.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_session(&self, holder: &Holder) -> Result<String, StoreError> {
        issue::begin_session(&*self.store, &*self.clock, holder).await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_session(&self, secret: &str) -> Result<(), StoreError> {
        let hash = TokenHash::of(secret);
        self.store.end_session(hash).await?;
        self.known.remove(&(hash, Via::Cookie));
        Ok(())
    }
}

/// Notices the first token of a server without access control, and keeps the keys of JWTs fresh, until the feed is closed.
pub async fn run(keyring: Arc<Keyring>, feed: Feed) {
    let watch = async {
        while keyring.is_open() {
            sleep(LOOK).await;
            match keyring.store.has_tokens().await {
                Ok(true) => {
                    keyring.locked.store(true, Ordering::Relaxed);
                    log::info!("a token was issued: from now on every request needs one");
                }
                Ok(false) => {}
                Err(error) => log::debug!("whether there are tokens is not known: {error}"),
            }
        }
    };
    let refresh = async {
        if let Some(jwts) = &keyring.jwts {
            jwts.keep_fresh().await;
        }
    };
    tokio::select! {
        ((), ()) = async { tokio::join!(watch, refresh) } => feed.closed().await,
        () = feed.closed() => {}
    }
}
