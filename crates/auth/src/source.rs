//! Loads the key set from a file or a URL, and reloads it periodically. While the source is unavailable, the previous
//! keys stay in use.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use jumun_core::{
    task,
    time::{Instant, sleep, timeout},
    url::without_password,
};
use net::{fetch, tls::ClientTls};

use crate::{keys::KeySet, mint::SigningKey};

/// Maximum size of a key set, in bytes.
const MAX_KEY_SET_BYTES: u64 = 256 * 1024;
/// How often the keys are reloaded, and the minimum time between reloads for tokens with unknown keys.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);
const REFRESH_PAUSE: Duration = Duration::from_secs(5);
/// Timeout of a read of the source.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// The location of a JSON Web Key Set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// An `http://` or `https://` address.
    Url(http::Uri),
}

impl std::str::FromStr for KeySource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("must name a file or a URL".to_owned());
        }
        if !text.contains("://") {
            return Ok(Self::File(text.into()));
        }
        let url: http::Uri = text.parse().map_err(|error| format!("{text:?} is not a URL: {error}"))?;
        match url.scheme_str() {
            Some("http" | "https") if url.host().is_some() => Ok(Self::Url(url)),
            _ => Err(format!("{text:?} is not a file, nor an http:// or https:// address")),
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => f.write_str(&without_password(&url.to_string())),
        }
    }
}

/// The current key set of a source.
pub(crate) struct KeyRing {
    source: KeySource,
    tls: ClientTls,
    service: Option<SigningKey>,
    current: RwLock<Arc<KeySet>>,
    /// When the source was last read. Locked during a read, so that concurrent callers wait for the same result.
    last_read: tokio::sync::Mutex<Option<Instant>>,
}

impl KeyRing {
    /// Loads the keys, and starts the periodic reload. A file must be readable; a URL may be unavailable at first.
    pub(crate) async fn open(
        source: KeySource,
        tls: ClientTls,
        service: Option<SigningKey>,
    ) -> anyhow::Result<Arc<Self>> {
        let current = RwLock::new(Arc::new(KeySet::unread(service.as_ref())));
        let ring = Arc::new(Self { source, tls, service, current, last_read: tokio::sync::Mutex::default() });
        match (ring.read().await, &ring.source) {
            (Ok(keys), _) => ring.replace(keys),
            (Err(error), KeySource::File(_)) => anyhow::bail!("cannot read the keys in {}: {error}", ring.source),
            (Err(error), KeySource::Url(_)) => {
                tracing::warn!(error, source = %ring.source, "cannot load the token keys yet");
            }
        }
        task::spawn(keep_fresh(Arc::downgrade(&ring)));
        Ok(ring)
    }

    pub(crate) fn current(&self) -> Arc<KeySet> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reloads the keys, unless that was done within the last REFRESH_PAUSE.
    pub(crate) async fn refresh(&self) {
        let mut last_read = self.last_read.lock().await;
        if last_read.is_some_and(|last_read| last_read.elapsed() < REFRESH_PAUSE) {
            return;
        }
        match self.read().await {
            Ok(keys) => self.replace(keys),
            Err(error) => {
                tracing::warn!(error, source = %self.source, "cannot reload the token keys; the previous ones stay in use");
            }
        }
        *last_read = Some(Instant::now());
    }

    fn replace(&self, keys: KeySet) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // An unchanged set stays, with its cache.
        if !current.is_same(&keys) {
            *current = Arc::new(keys);
            tracing::info!(source = %self.source, "token keys loaded");
        }
    }

    async fn read(&self) -> Result<KeySet, String> {
        let read = async {
            match &self.source {
                KeySource::File(path) => read_file(path.clone()).await,
                KeySource::Url(url) => fetch::get(url, &self.tls, MAX_KEY_SET_BYTES).await,
            }
        };
        let text = timeout(FETCH_TIMEOUT, read).await.map_err(|_| "the source did not answer in time".to_owned())?;
        KeySet::read(text?, self.service.as_ref())
    }
}

async fn read_file(path: PathBuf) -> Result<String, String> {
    let read = move || {
        let mut text = String::new();
        let read = File::open(&path)?.take(MAX_KEY_SET_BYTES + 1).read_to_string(&mut text)? as u64;
        if read > MAX_KEY_SET_BYTES { Err(io::Error::other("it is too large")) } else { Ok(text) }
    };
    task::spawn_blocking(read).await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// Reloads the keys periodically, until the key ring is dropped.
async fn keep_fresh(ring: Weak<KeyRing>) {
    loop {
        sleep(REFRESH_INTERVAL).await;
        match ring.upgrade() {
            Some(ring) => ring.refresh().await,
            None => return,
        }
    }
}
