//! Keys that JWTs are verified with: a JWK set (RFC 7517), read once and each key bound to one algorithm.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// RSA keys have this many bytes at least: 2048 bits.
const RSA_BYTES: usize = 256;
/// Shared secrets have this many bytes at least, as their hash has (RFC 7518 §3.2).
const SECRET_BYTES: usize = 32;

/// One key.
#[derive(Clone)]
pub(super) struct Key {
    /// What tokens call it.
    pub id: Option<String>,
    /// The only algorithm that it is used with: what the token says of it is compared, never followed.
    pub algorithm: Algorithm,
    pub decoding: DecodingKey,
}

/// The keys of an issuer.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a JWK set. A key that is not for RS256, ES256, `EdDSA` or, if `shared` says so, HS256, is passed over.
    ///
    /// # Errors
    /// A sentence, where the text is no set, or has no key that is of use.
    pub fn parse(text: &[u8], shared: bool) -> Result<Self, String> {
        let set: Set = serde_json::from_slice(text).map_err(|error| format!("it is no JWK set: {error}"))?;
        let mut keys = Vec::new();
        for (place, value) in set.keys.into_iter().enumerate() {
            match key(value, shared) {
                Ok(key) => keys.push(key),
                Err(why) => log::warn!("key {place} of the JWK set is passed over: {why}"),
            }
        }
        if keys.is_empty() {
            return Err("it has no key for RS256, ES256 or EdDSA".into());
        }
        Ok(Self { keys })
    }

    /// The one key of a shared secret.
    ///
    /// # Errors
    /// A sentence, where it is too short.
    pub fn of_secret(secret: &[u8]) -> Result<Self, String> {
        if secret.len() < SECRET_BYTES {
            return Err(format!("a shared secret must have {SECRET_BYTES} bytes or more"));
        }
        let decoding = DecodingKey::from_secret(secret);
        Ok(Self { keys: vec![Key { id: None, algorithm: Algorithm::HS256, decoding }] })
    }

    /// The keys that a token may have been signed with: the one that it names, or all that have no name, or, where it names
    /// none, all of its algorithm.
    pub(super) fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<&Key> {
        let named = |key: &&Key| match (id, key.id.as_deref()) {
            (Some(id), Some(own)) => id == own,
            _ => true,
        };
        self.keys.iter().filter(named).filter(|key| key.algorithm == algorithm).collect()
    }

    /// Whether a key of this name is among them.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(id))
    }
}

fn key(value: Value, shared: bool) -> Result<Key, String> {
    let jwk: Jwk = serde_json::from_value(value).map_err(|error| error.to_string())?;
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return Err("it is not for signatures".into());
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        AlgorithmParameters::OctetKey(_) if shared => Algorithm::HS256,
        AlgorithmParameters::OctetKey(_) => return Err("a secret does not belong where others can read it".into()),
        _ => return Err("its type is not supported".into()),
    };
    let said = jwk.common.key_algorithm;
    if said.is_some_and(|said| said.to_string() != format!("{algorithm:?}")) {
        return Err(format!("it is not for {algorithm:?}"));
    }
    let decoding = DecodingKey::from_jwk(&jwk).map_err(|error| error.to_string())?;
    match decoding.kind() {
        jsonwebtoken::DecodingKeyKind::RsaModulusExponent { n, .. } if n.len() < RSA_BYTES => {
            return Err("RSA keys must have 2048 bits or more".into());
        }
        jsonwebtoken::DecodingKeyKind::SecretOrDer(secret)
            if algorithm == Algorithm::HS256 && secret.len() < SECRET_BYTES =>
        {
            return Err(format!("a shared secret must have {SECRET_BYTES} bytes or more"));
        }
        _ => {}
    }
    Ok(Key { id: jwk.common.key_id, algorithm, decoding })
}
