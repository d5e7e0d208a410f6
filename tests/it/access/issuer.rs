//! An issuer of JWTs, with a key of each kind.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

/// What a server shares with it.
pub const SECRET: &[u8] = b"a secret of thirty-two bytes, or more";

pub struct Issuer {
    rsa: aws_lc_rs::rsa::KeyPair,
    elliptic: EcdsaKeyPair,
    edwards: Ed25519KeyPair,
    generation: u32,
}

impl Issuer {
    pub fn new() -> Self {
        Self::of_generation(1)
    }

    /// With other keys, which also have other names.
    pub fn of_generation(generation: u32) -> Self {
        Self {
            rsa: aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap(),
            elliptic: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            edwards: Ed25519KeyPair::generate().unwrap(),
            generation,
        }
    }

    fn id(&self, kind: &str) -> String {
        format!("{kind}-{}", self.generation)
    }

    /// Its keys, as everybody may know them.
    pub fn jwks(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let rsa = self.rsa.public_key();
        let point = self.elliptic.public_key().as_ref();
        json!({"keys": [
            {"kty": "RSA", "use": "sig", "kid": self.id("rsa"), "n": text(rsa.modulus().big_endian_without_leading_zero()),
             "e": text(rsa.exponent().big_endian_without_leading_zero())},
            {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": self.id("ec"), "x": text(&point[1..33]), "y": text(&point[33..])},
            {"kty": "OKP", "crv": "Ed25519", "kid": self.id("ed"), "x": text(self.edwards.public_key().as_ref())},
            {"kty": "RSA", "use": "enc", "kid": "for something else", "n": "AQAB", "e": "AQAB"},
            {"kty": "AKP", "alg": "ML-DSA-44", "kid": "of the future", "pub": "AQAB"},
        ]})
    }

    /// The bytes that a verifier holds of the RSA key: what a forger may try as a shared secret.
    pub fn rsa_public(&self) -> Vec<u8> {
        self.rsa.public_key().as_ref().to_vec()
    }

    /// A token that says `claims`, signed as `algorithm` says.
    pub fn sign(&self, algorithm: Algorithm, claims: &Value) -> String {
        let (kind, key) = match algorithm {
            Algorithm::ES256 => ("ec", EncodingKey::from_ec_der(self.elliptic.to_pkcs8v1().unwrap().as_ref())),
            Algorithm::EdDSA => ("ed", EncodingKey::from_ed_der(self.edwards.to_pkcs8().unwrap().as_ref())),
            Algorithm::HS256 => ("none", EncodingKey::from_secret(SECRET)),
            _ => ("rsa", EncodingKey::from_rsa_der(&self.rsa_private())),
        };
        let id = (kind != "none").then(|| self.id(kind));
        encode(&Header { kid: id, ..Header::new(algorithm) }, claims, &key).unwrap()
    }

    /// The key without the frame of PKCS #8 around it.
    fn rsa_private(&self) -> Vec<u8> {
        let framed = self.rsa.as_der().unwrap();
        // SEQUENCE { INTEGER 0, SEQUENCE { rsaEncryption, NULL }, OCTET STRING { key } }: 26 bytes before the key of 2048 bits.
        framed.as_ref()[26..].to_vec()
    }
}

/// A token of which each part is what is said.
pub fn raw(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode(signature))
}
