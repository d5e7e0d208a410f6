//! Who may come in besides those who hold an issued token: the JWTs of other issuers (PROTOCOL.md §10).

use std::path::PathBuf;

use clap::Args;

use crate::access::{JwtOptions, KeySource};
use crate::domain::access::SpaceTemplate;

/// The arguments about JWTs.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Access by JWT (tokens of this server's own: see `strandline token`)")]
pub struct AccessArgs {
    /// Where the public keys of JWTs are (a JWK set): a file, an https address, or an http address on this machine.
    #[arg(long, env = "STRANDLINE_JWKS", value_name = "FILE|URL")]
    pub jwks: Option<KeySource>,

    /// A file with the secret that is shared with the issuer of JWTs by HS256, 32 bytes or more.
    #[arg(long, env = "STRANDLINE_JWT_SECRET_FILE", value_name = "FILE")]
    pub jwt_secret_file: Option<PathBuf>,

    /// What the claim `iss` of a JWT must be.
    #[arg(long, env = "STRANDLINE_JWT_ISSUER", value_name = "ISSUER")]
    pub jwt_issuer: Option<String>,

    /// What the claim `aud` of a JWT must have one of; several with commas.
    #[arg(long, env = "STRANDLINE_JWT_AUDIENCE", value_name = "AUDIENCE", value_delimiter = ',')]
    pub jwt_audience: Vec<String>,

    /// The space of each user, and what it may do there, such as `user-{sub}:write`; `{sub:sha256}` for a `sub` that makes no
    /// name of a space.
    #[arg(long, env = "STRANDLINE_USER_SPACE", value_name = "TEMPLATE")]
    pub user_space: Option<SpaceTemplate>,
}

impl AccessArgs {
    /// How JWTs are verified.
    ///
    /// # Errors
    /// A sentence, where the secret cannot be read.
    pub fn jwt(&self) -> Result<JwtOptions, String> {
        let read = |path: &PathBuf| {
            std::fs::read(path)
                .map_err(|error| format!("the secret of JWTs cannot be read from {}: {error}", path.display()))
        };
        let mut secret = self.jwt_secret_file.as_ref().map(read).transpose()?;
        // An editor ends the file with a line break, which is no part of the secret.
        if let Some(secret) = &mut secret {
            while secret.last().is_some_and(u8::is_ascii_whitespace) {
                secret.pop();
            }
        }
        Ok(JwtOptions {
            keys: self.jwks.clone(),
            secret: secret.map(Into::into),
            issuer: self.jwt_issuer.clone(),
            audience: self.jwt_audience.clone(),
            template: self.user_space.clone(),
        })
    }
}
