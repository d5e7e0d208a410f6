//! `strandline token`: issuing, listing and revoking tokens (PROTOCOL.md §10).

use std::io::Write;

use clap::Subcommand;
use serde_json::json;

use super::CliError;
use super::output::{ago_text, print, table};
use super::target::{MayCreate, TargetArgs};
use crate::access::NewToken;
use crate::domain::access::{Grant, Grants, TokenId, TokenName};
use crate::domain::{Clock, Collections, Retention, SystemClock, Timestamp};
use crate::http::wire::tokens::ListedToken;

/// Issue, list and revoke tokens: who may come in
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Issue a token, and print it: this once, as the server keeps nothing but its hash
    ///
    /// With the first token there is access control: a server that runs without notices within a second, and every request
    /// needs a token from then on.
    Create {
        /// What people will call it
        #[arg(long)]
        name: TokenName,
        /// What it allows, such as space=demo:read, space=team-*:write or space=*:admin; may be given several times
        #[arg(long = "grant", value_name = "space=SPACE:ACCESS", value_parser = grant, required = true)]
        grants: Vec<Grant>,
        /// Narrows all these grants to some collections, with commas
        #[arg(long, value_parser = Collections::parse)]
        collections: Option<Collections>,
        /// How long it is worth something, such as 90d; for ever if this is not given
        #[arg(long, value_name = "DURATION")]
        expires: Option<Retention>,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// List the tokens that were issued
    List {
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Revoke a token
    ///
    /// Servers refuse it within seconds, and end the streams that it opened within half a minute.
    Revoke {
        /// The token's id, as `list` shows it
        id: TokenId,
        #[command(flatten)]
        target: TargetArgs,
    },
}

fn grant(text: &str) -> Result<Grant, String> {
    let grant = text.strip_prefix("space=").map(str::parse).and_then(Result::ok);
    grant.ok_or_else(|| {
        "a grant is a space or the beginning of names with a *, and read, write or admin, such as space=team-*:write".into()
    })
}

/// Runs the command.
pub async fn run(command: TokenCommand, json: bool) -> Result<(), CliError> {
    match command {
        TokenCommand::Create { name, grants, collections, expires, target } => {
            let narrowed = |grant: Grant| Grant { collections: collections.clone(), ..grant };
            let grants = Grants::new(grants.into_iter().map(narrowed).collect());
            let grants = grants.map_err(|fault| CliError::Usage(fault.to_string()))?;
            create(NewToken { name, grants, lifetime: expires.and_then(Retention::window) }, target, json).await
        }
        TokenCommand::List { target } => list(target, json).await,
        TokenCommand::Revoke { id, target } => revoke(&id, target, json).await,
    }
}

async fn create(new: NewToken, target: TargetArgs, json: bool) -> Result<(), CliError> {
    let target = target.open(MayCreate::Yes).await?;
    let issued = target.issue_token(new).await;
    target.close().await;
    let issued = issued?;
    print(json, &issued, || issued.token.clone())?;
    if !json {
        // Beside the output, so that this can be the value of a variable. When stderr is gone, nobody is there to be told.
        let until = issued.listed.expires_at.as_deref().map_or("does not expire".into(), |at| format!("expires {at}"));
        let (id, name) = (&issued.listed.id, &issued.listed.name);
        let _ = writeln!(std::io::stderr(), "token {id} ({name}) {until}; it is shown this once");
    }
    Ok(())
}

async fn list(target: TargetArgs, json: bool) -> Result<(), CliError> {
    let target = target.open(MayCreate::No).await?;
    let tokens = target.tokens().await;
    target.close().await;
    let tokens = tokens?;
    print(json, &json!({ "tokens": tokens }), || {
        let now = SystemClock.now();
        let rows: Vec<Vec<String>> = tokens.iter().map(|token| row(token, now)).collect();
        table(&["ID", "NAME", "GRANTS", "CREATED", "STATE"], &rows)
    })
}

fn row(token: &ListedToken, now: Timestamp) -> Vec<String> {
    let grants: Vec<String> = token.grants.iter().map(ToString::to_string).collect();
    let state = match (&token.revoked_at, &token.expires_at) {
        (Some(at), _) => format!("revoked {}", ago_text(at, now)),
        (None, Some(at)) if at.parse().is_ok_and(|at: Timestamp| at <= now) => format!("expired {}", ago_text(at, now)),
        (None, Some(at)) => format!("expires {at}"),
        (None, None) => "good".into(),
    };
    vec![token.id.clone(), token.name.clone(), grants.join(" "), ago_text(&token.created_at, now), state]
}

async fn revoke(id: &TokenId, target: TargetArgs, json: bool) -> Result<(), CliError> {
    let target = target.open(MayCreate::No).await?;
    let revoked = target.revoke_token(id).await;
    target.close().await;
    if !revoked? {
        return Err(CliError::Failed(format!(
            "there is no token {id}: `strandline token list` shows those that there are"
        )));
    }
    print(json, &json!({ "id": id.as_str(), "revoked": true }), || format!("revoked {id}"))
}
