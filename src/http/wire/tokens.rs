//! Tokens (PROTOCOL.md §10).

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::schema;
use crate::domain::Retention;
use crate::domain::access::{Grant, Token, TokenName};

/// A grant, for the description.
#[derive(Deserialize, ToSchema)]
#[schema(as = Grant)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes")]
pub struct GrantSchema {
    /// A space's name, or what names begin with and a `*`.
    #[schema(example = "team-*", pattern = r"^([a-z0-9][a-z0-9_-]{0,62}\*?|\*)$")]
    space: String,
    /// `read`, `write` (also push and records) or `admin` (also everything else).
    access: AccessSchema,
    /// Narrows it to these collections; absent for all.
    #[schema(min_items = 1)]
    collections: Option<Vec<schema::Name>>,
}

/// A level of access, for the description.
#[derive(Deserialize, ToSchema)]
#[schema(as = Access)]
#[serde(rename_all = "lowercase")]
pub enum AccessSchema {
    Read,
    Write,
    Admin,
}

/// A token that is to be issued.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What people will call it: 1 to 128 characters.
    #[schema(value_type = String, min_length = 1, max_length = 128, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$", example = "nightly export")]
    #[serde(deserialize_with = "name")]
    pub name: TokenName,
    /// What it allows.
    #[schema(value_type = Vec<GrantSchema>, min_items = 1, max_items = 100)]
    pub grants: Vec<Grant>,
    /// How long it is worth something: a whole number and one of s, m, h, d and w, or `forever`, as when it is absent.
    #[schema(schema_with = schema::duration)]
    #[serde(default, deserialize_with = "super::space::retention")]
    pub expires: Option<Retention>,
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TokenName, D::Error> {
    TokenName::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// A token as it is listed: everything but the token itself.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ListedToken {
    /// What lists and logs call it; no secret.
    #[schema(example = "019ac0ffee00b33f")]
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it allows.
    #[schema(value_type = Vec<GrantSchema>)]
    pub grants: Vec<Grant>,
    /// When it was issued.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// From when on it is worth nothing; null for never.
    #[schema(format = DateTime, required)]
    pub expires_at: Option<String>,
    /// When it was revoked; null while it is not.
    #[schema(format = DateTime, required)]
    pub revoked_at: Option<String>,
}

impl From<&Token> for ListedToken {
    fn from(token: &Token) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name.as_str().to_owned(),
            grants: token.grants.all().to_vec(),
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.map(|time| time.to_string()),
            revoked_at: token.revoked_at.map(|time| time.to_string()),
        }
    }
}

/// A token that was issued just now.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct IssuedToken {
    /// The token. It is told this once, and kept nowhere.
    #[schema(example = "sl_…", pattern = "^sl_[A-Za-z0-9_-]{43}$")]
    pub token: String,
    /// The same as in the list.
    #[serde(flatten)]
    pub listed: ListedToken,
}

/// A page of tokens.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenList {
    /// In order of id, which is that of their making.
    pub tokens: Vec<ListedToken>,
    /// What to send as `after` for the next page; null on the last one.
    #[schema(required)]
    pub after: Option<String>,
}
