//! Where the keys of JWTs come from: a file, or an address, read at the start and again when that is due.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use ureq::Agent;
use ureq::http::Uri;

use super::jwks::KeySet;

/// An unknown key is looked for at most this often (§10): whoever makes them up must not make the server ask all the time.
const LOOK: Duration = Duration::from_secs(60);
/// Keys are read again after this long, so that one that was withdrawn is not trusted for ever.
const AGE: Duration = Duration::from_secs(600);
/// Keys that could not be had at the start are asked for again after this long.
const RETRY: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(5);
/// A JWK set has a few kilobytes.
const LARGEST: u64 = 1 << 20;

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// An address: https, or http on this machine.
    Url(String),
}

/// Not a source of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("keys come from a file, an https address, or an http address on this machine (127.0.0.1, ::1 or localhost)")]
pub struct KeySourceFault;

impl FromStr for KeySource {
    type Err = KeySourceFault;

    fn from_str(text: &str) -> Result<Self, KeySourceFault> {
        if text.is_empty() {
            return Err(KeySourceFault);
        }
        if !text.contains("://") {
            return Ok(Self::File(text.into()));
        }
        let uri: Uri = text.parse().map_err(|_| KeySourceFault)?;
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        match uri.scheme_str() {
            Some("https") if !host.is_empty() => Ok(Self::Url(text.into())),
            Some("http") if here => Ok(Self::Url(text.into())),
            _ => Err(KeySourceFault),
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => f.write_str(url),
        }
    }
}

impl KeySource {
    /// Reads them. Blocks.
    fn read(&self) -> Result<KeySet, String> {
        match self {
            Self::File(path) => {
                let text = std::fs::read(path).map_err(|error| error.to_string())?;
                KeySet::parse(&text, true)
            }
            Self::Url(url) => KeySet::parse(&fetch(url)?, false),
        }
    }
}

/// No redirect is followed: it could lead to where nobody said that keys come from.
fn fetch(url: &str) -> Result<Vec<u8>, String> {
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .max_redirects(0)
        .user_agent(concat!("strandline/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut response = agent.get(url).header("Accept", "application/json").call().map_err(|error| error.to_string())?;
    if response.status() != 200 {
        return Err(format!("it answers {}", response.status()));
    }
    response.body_mut().with_config().limit(LARGEST).read_to_vec().map_err(|error| error.to_string())
}

/// Keys, and where they come from.
pub(super) struct Keys {
    source: KeySource,
    /// `None` until they were read.
    present: RwLock<Option<Arc<KeySet>>>,
    /// When an unknown key was looked for last. Held while one is: the others wait for what comes of it.
    looked: tokio::sync::Mutex<Option<Instant>>,
}

impl Keys {
    /// Keys from `source`, which are not read yet.
    pub fn new(source: KeySource) -> Self {
        Self { source, present: RwLock::default(), looked: tokio::sync::Mutex::default() }
    }

    /// Whether they lie on this machine.
    pub fn is_file(&self) -> bool {
        matches!(self.source, KeySource::File(_))
    }

    /// Reads them; those that are there stay where that fails.
    ///
    /// # Errors
    /// A sentence.
    pub async fn load(&self) -> Result<(), String> {
        let source = self.source.clone();
        let read =
            tokio::task::spawn_blocking(move || source.read()).await.unwrap_or_else(|error| Err(error.to_string()));
        let keys = read.map_err(|why| format!("keys cannot be read from {}: {why}", self.source))?;
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys));
        Ok(())
    }

    /// The keys as they are; `None` until they were read.
    pub fn present(&self) -> Option<Arc<KeySet>> {
        self.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keys, read again for one that is not among them, if that was not done a moment ago.
    pub async fn with(&self, id: &str) -> Option<Arc<KeySet>> {
        let knows = |keys: &Option<Arc<KeySet>>| keys.as_ref().is_some_and(|keys| keys.knows(id));
        let mut looked = self.looked.lock().await;
        let present = self.present();
        if knows(&present) || looked.is_some_and(|at| at.elapsed() < LOOK) {
            return present;
        }
        *looked = Some(Instant::now());
        if let Err(why) = self.load().await {
            log::warn!("{why}");
        }
        self.present()
    }

    /// Reads them again from time to time, for ever.
    pub async fn keep_fresh(&self) {
        loop {
            sleep(if self.present().is_some() { AGE } else { RETRY }).await;
            if let Err(why) = self.load().await {
                log::warn!("{why}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_a_file_or_from_where_nobody_can_change_them_on_the_way() {
        for good in [
            "keys.json",
            "/etc/keys.json",
            "https://login.example.org/keys",
            "http://127.0.0.1:9/k",
            "http://[::1]/k",
            "http://localhost/k",
        ] {
            assert_eq!(good.parse::<KeySource>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "http://login.example.org/keys",
            "ftp://127.0.0.1/k",
            "https://",
            "http://127.0.0.1.example.org/k",
            "file:///etc/keys.json",
        ] {
            assert_eq!(bad.parse::<KeySource>(), Err(KeySourceFault), "{bad}");
        }
    }
}
