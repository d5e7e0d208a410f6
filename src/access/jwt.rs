//! JSON Web Tokens (RFC 7519) of other issuers, and what they let their subject do (PROTOCOL.md §10).

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::jwks::{Key, KeySet};
use super::keys::{KeySource, Keys};
use super::{AccessFault, Holder};
use crate::domain::access::{Grants, SpaceTemplate};
use crate::domain::{Object, Timestamp};

/// Clocks may differ by this many seconds.
const LEEWAY: f64 = 60.0;
/// Keys without a name that a token is tried with, at the most: each costs a signature.
const MOST_TRIES: usize = 8;

/// How JWTs are verified.
#[derive(Clone, Debug, Default)]
pub struct JwtOptions {
    /// Where public keys come from.
    pub keys: Option<KeySource>,
    /// A secret that is shared with the issuer, for HS256.
    pub secret: Option<Secret>,
    /// What `iss` must be.
    pub issuer: Option<String>,
    /// What `aud` must have one of.
    pub audience: Vec<String>,
    /// The space of each user.
    pub template: Option<SpaceTemplate>,
}

/// A secret that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Verifies JWTs.
pub struct Jwts {
    keys: Option<Keys>,
    secret: Option<Arc<KeySet>>,
    issuer: Option<String>,
    audience: Vec<String>,
    template: Option<SpaceTemplate>,
}

/// What is read of a token's claims.
#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    iss: Option<String>,
    exp: f64,
    nbf: Option<f64>,
    strandline: Option<Box<RawValue>>,
}

impl Jwts {
    /// `None` where no key is configured. Keys in a file must be readable now; those at an address are asked for again where
    /// they cannot be had.
    ///
    /// # Errors
    /// A sentence for the person who started the server.
    pub async fn new(options: JwtOptions) -> Result<Option<Self>, String> {
        let JwtOptions { keys: source, secret, issuer, audience, template } = options;
        let secret = secret.map(|secret| KeySet::of_secret(&secret.0)).transpose()?.map(Arc::new);
        if source.is_none() && secret.is_none() {
            let without = issuer.is_some() || !audience.is_empty() || template.is_some();
            return if without {
                Err("there is no key to verify JWTs with: say --jwks or --jwt-secret-file".into())
            } else {
                Ok(None)
            };
        }
        let keys = source.map(Keys::new);
        if let Some(keys) = &keys
            && let Err(why) = keys.load().await
        {
            if keys.is_file() {
                return Err(why);
            }
            log::warn!("{why}; JWTs are refused with 503 until they can");
        }
        Ok(Some(Self { keys, secret, issuer, audience, template }))
    }

    /// Keeps the keys fresh, for ever.
    pub(super) async fn keep_fresh(&self) {
        if let Some(keys) = &self.keys {
            keys.keep_fresh().await;
        }
    }

    /// Who holds this token.
    pub(crate) async fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Holder>, AccessFault> {
        let refused = |why: &str| AccessFault::refused(why);
        let header = decode_header(token).map_err(|_| refused("this is not a token that is known here"))?;
        if header.crit.is_some() {
            return Err(refused("the token has an extension that must be understood, and is not"));
        }
        let id = header.kid.as_deref();
        let claims = if header.alg == Algorithm::HS256 && self.secret.is_some() {
            self.check(token, header.alg, id, self.secret.as_deref())?
        } else {
            let Some(keys) = &self.keys else { return Err(refused("the token is signed by another algorithm")) };
            let mut present = keys.present();
            if let Some(id) = id
                && present.as_ref().is_none_or(|keys| !keys.knows(id))
            {
                present = keys.with(id).await;
            }
            let Some(present) = present else { return Err(AccessFault::NoKeys) };
            self.check(token, header.alg, id, Some(&present))?
        };
        self.holder(claims, now)
    }

    fn check(
        &self,
        token: &str,
        algorithm: Algorithm,
        id: Option<&str>,
        keys: Option<&KeySet>,
    ) -> Result<Claims, AccessFault> {
        let mut why =
            AccessFault::refused("the token is signed with a key, or by an algorithm, that is not known here");
        let candidates = keys.map(|keys| keys.candidates(id, algorithm)).unwrap_or_default();
        for key in candidates.into_iter().take(MOST_TRIES) {
            match self.check_with(token, key) {
                Ok(claims) => return Ok(claims),
                Err(fault) => why = fault,
            }
        }
        Err(why)
    }

    fn check_with(&self, token: &str, key: &Key) -> Result<Claims, AccessFault> {
        let mut validation = Validation::new(key.algorithm);
        // By the clock of this server, which a test turns.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        validation.validate_aud = !self.audience.is_empty();
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".into());
        }
        if !self.audience.is_empty() {
            validation.set_audience(&self.audience);
            validation.required_spec_claims.insert("aud".into());
        }
        let decoded = decode::<Object<Claims>>(token, &key.decoding, &validation).map_err(|error| {
            AccessFault::refused(match error.kind() {
                ErrorKind::InvalidSignature => "the signature of the token does not fit".to_owned(),
                ErrorKind::InvalidIssuer => "the token is of another issuer".to_owned(),
                ErrorKind::InvalidAudience => "the token is for another audience".to_owned(),
                ErrorKind::MissingRequiredClaim(claim) => format!("the token lacks the claim {claim}"),
                ErrorKind::Json(error) => format!("the claims of the token cannot be read: {error}"),
                _ => "the token cannot be read".to_owned(),
            })
        })?;
        Ok(decoded.claims.0)
    }

    fn holder(&self, claims: Claims, now: Timestamp) -> Result<Arc<Holder>, AccessFault> {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are exact in 53 bits for millions of years")]
        let seconds = now.micros() as f64 / 1e6;
        if claims.exp.is_nan() || claims.exp + LEEWAY <= seconds {
            return Err(AccessFault::refused("this token has expired"));
        }
        if claims.nbf.is_some_and(|start| start - LEEWAY > seconds) {
            return Err(AccessFault::refused("this token is not valid yet"));
        }
        let mut grants = match &claims.strandline {
            None => Grants::default(),
            Some(json) => Grants::parse_held(json.get())
                .map_err(|fault| AccessFault::Refused(format!("the claim strandline of the token: {fault}")))?,
        };
        if let Some(grant) = claims.sub.as_deref().zip(self.template.as_ref()).and_then(|(sub, own)| own.grant(sub)) {
            grants.add(grant);
        }
        let sub = claims.sub.unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, reason = "an end beyond the range is the end of the range")]
        let end = ((claims.exp + LEEWAY) * 1e6) as i64;
        Ok(Arc::new(Holder {
            id: format!("jwt {} {sub}", claims.iss.as_deref().unwrap_or("-")).into(),
            name: sub.into(),
            grants,
            expires_at: Some(Timestamp::from_micros(end)),
            token: None,
        }))
    }
}
