//! JSON Web Tokens, signed with a shared secret here, and sets of the keys that others sign with.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use strandline::access::{AccessFault, Holder, JwtOptions, Jwts, KeySet};
use strandline::domain::Timestamp;
use strandline::domain::access::{Grants, SpaceTemplate};
use strandline::fuzzing;

use super::tree::{NoTree, Tree, member};

const SECRET: [u8; 32] = [7; 32];
const ISSUER: &str = "https://i";
const AUDIENCE: [&str; 2] = ["a", "b"];
/// In the year 2027.
const NOW: i64 = 1_800_000_000;

static TEMPLATE: LazyLock<SpaceTemplate> = LazyLock::new(|| "user-{sub}:write".parse().unwrap());
static STRICT: LazyLock<Jwts> = LazyLock::new(|| verifier(true));
static LENIENT: LazyLock<Jwts> = LazyLock::new(|| verifier(false));

/// A header and claims with a line feed between them are signed here. Other inputs are tried as tokens as they are, which must
/// not open anything, and as sets of keys.
pub fn check(input: &[u8]) {
    let keys = [false, true].map(|shared| KeySet::parse(input, shared).is_ok());
    assert!(keys[1] || !keys[0], "with secrets there are more keys, not fewer");
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some((header, claims)) = text.split_once('\n') else {
        assert!(verify(&STRICT, text).is_err() && verify(&LENIENT, text).is_err());
        if keys[0] {
            assert!(Tree::read(text).map_or_else(|why| why != NoTree::Malformed, |tree| tree.get("keys").is_some()));
        }
        return;
    };
    let token = sign(header, claims, &SECRET);
    for (jwts, strict) in [(&*STRICT, true), (&*LENIENT, false)] {
        let verified = verify(jwts, &token);
        if let Some(opens) = opens(header, claims, strict) {
            assert_eq!(verified.is_ok(), opens, "{header}\n{claims}\n{verified:?}");
        }
        if let Ok(holder) = verified {
            holds(&holder, header, claims);
            let forged = sign(header, claims, &[8; 32]);
            assert!(verify(jwts, &forged).is_err(), "signed by somebody else");
            let unsigned = token.rsplit_once('.').unwrap().0;
            assert!(verify(jwts, unsigned).is_err() && verify(jwts, &format!("{unsigned}.")).is_err());
        }
    }
}

fn verifier(strict: bool) -> Jwts {
    let options = JwtOptions {
        keys: None,
        secret: Some(SECRET.to_vec().into()),
        issuer: strict.then(|| ISSUER.to_owned()),
        audience: if strict { AUDIENCE.map(str::to_owned).to_vec() } else { Vec::new() },
        template: Some(TEMPLATE.clone()),
    };
    Jwts::new(options).now_or_never().expect("there is nothing to wait for").unwrap().unwrap()
}

fn verify(jwts: &Jwts, token: &str) -> Result<Arc<Holder>, AccessFault> {
    let now = Timestamp::from_micros(NOW * 1_000_000);
    fuzzing::verify_jwt(jwts, token, now).now_or_never().expect("there is nothing to wait for")
}

fn sign(header: &str, claims: &str, secret: &[u8]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// Whether a token with a good signature opens the door; `None` where a naive reader cannot say.
fn opens(header: &str, claims: &str, strict: bool) -> Option<bool> {
    let (header, tree) = match (Tree::read(header), Tree::read(claims)) {
        (Err(NoTree::Malformed), _) | (_, Err(NoTree::Malformed)) => return Some(false),
        (header, claims) => (header.ok()?, claims.ok()?),
    };
    let text = |text: &str| Some(Tree::Text(text.to_owned()));
    let (Tree::Object(parts), Tree::Object(_)) = (&header, &tree) else {
        return if matches!(tree, Tree::Object(_)) { None } else { Some(false) };
    };
    let absent = |value: Option<&Tree>| matches!(value, None | Some(Tree::Null));
    if header.get("alg") != text("HS256").as_ref() || !absent(header.get("crit")) {
        return Some(false);
    }
    let second = |name: &str| match tree.get(name) {
        Some(Tree::Number(number)) => Some(number.approximate()),
        _ => None,
    };
    #[allow(clippy::cast_precision_loss, reason = "it is exact")]
    let now = NOW as f64;
    let in_time = second("exp").is_some_and(|end| end.is_finite() && end + 60.0 > now)
        && (absent(tree.get("nbf")) || second("nbf").is_some_and(|start| start.is_finite() && start - 60.0 <= now));
    let named = ["sub", "iss"].iter().all(|name| matches!(tree.get(name), None | Some(Tree::Null | Tree::Text(_))));
    let grants = absent(tree.get("strandline")) || Grants::parse(member(claims, "strandline")?).is_ok();
    let ours = |name: &Tree| AUDIENCE.iter().any(|audience| *name == Tree::Text((*audience).to_owned()));
    let meant = match tree.get("aud") {
        Some(Tree::List(names)) => names.iter().any(ours),
        Some(name) => ours(name),
        None => false,
    };
    if !(in_time && named && grants) || strict && !(meant && tree.get("iss") == text(ISSUER).as_ref()) {
        return Some(false);
    }
    // Other parts of a header, and lists of other things than names, are for the library to judge.
    let plain = parts
        .iter()
        .all(|(name, value)| ["alg", "typ", "kid"].contains(&name.as_str()) && matches!(value, Tree::Text(_)));
    let listed = match tree.get("aud") {
        Some(Tree::List(names)) => names.iter().all(|name| matches!(name, Tree::Text(_))),
        Some(name) => matches!(name, Tree::Text(_)),
        None => true,
    };
    (plain && listed).then_some(true)
}

/// Its holder is who the claims say, and may do what they say.
fn holds(holder: &Holder, header: &str, claims: &str) {
    let end = holder.expires_at.expect("a JWT expires");
    assert!(end > Timestamp::from_micros(NOW * 1_000_000));
    // However far away that is, it can be told.
    assert!(!end.to_string().is_empty());
    let (Ok(header), Ok(tree)) = (Tree::read(header), Tree::read(claims)) else { return };
    if let Tree::Object(_) = header {
        assert_eq!(header.get("alg"), Some(&Tree::Text("HS256".to_owned())));
    }
    let sub = if let Some(Tree::Text(sub)) = tree.get("sub") { sub.as_str() } else { "" };
    assert_eq!(&*holder.name, sub);
    let mut grants = match tree.get("strandline") {
        None | Some(Tree::Null) => Grants::default(),
        Some(_) => Grants::parse(member(claims, "strandline").unwrap()).unwrap(),
    };
    if let Some(grant) = TEMPLATE.grant(sub) {
        grants.add(grant);
    }
    assert_eq!(holder.grants, grants);
}
