//! Where the keys are: a file, or a URL. They are read again without stopping, and the old ones stay while the source
//! is away.

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
use net::{fetch, tls::Trust};

use crate::{keys::KeySet, mint::SigningKey};

/// Bytes of a key set.
const MAX_BYTES: u64 = 256 * 1024;
/// How often the keys are read again, and how soon at the earliest when a token names one that is not known.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);
const REFRESH_PAUSE: Duration = Duration::from_secs(5);
/// How long the source may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// Where a JSON Web Key Set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In a file.
    File(PathBuf),
    /// At an `http://` or `https://` address.
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

/// The keys as they were last read.
pub(crate) struct KeyRing {
    source: KeySource,
    trust: Trust,
    service: Option<SigningKey>,
    present: RwLock<Arc<KeySet>>,
    /// When the source was last asked. Locked while it is: who comes meanwhile waits for the same answer.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

impl KeyRing {
    /// Reads the keys, and goes on doing so. A file must be there; a URL may be away for now.
    pub(crate) async fn open(
        source: KeySource,
        trust: Trust,
        service: Option<SigningKey>,
    ) -> anyhow::Result<Arc<Self>> {
        let present = RwLock::new(Arc::new(KeySet::unread(service.as_ref())));
        let ring = Arc::new(Self { source, trust, service, present, asked: tokio::sync::Mutex::default() });
        match (ring.read().await, &ring.source) {
            (Ok(keys), _) => ring.replace(keys),
            (Err(error), KeySource::File(_)) => anyhow::bail!("cannot read the keys in {}: {error}", ring.source),
            (Err(error), KeySource::Url(_)) => {
                tracing::warn!(error, source = %ring.source, "the keys of tokens cannot be read yet");
            }
        }
        task::spawn(keep_fresh(Arc::downgrade(&ring)));
        Ok(ring)
    }

    pub(crate) fn present(&self) -> Arc<KeySet> {
        self.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the keys again, unless that was just done.
    pub(crate) async fn refresh(&self) {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|asked| asked.elapsed() < REFRESH_PAUSE) {
            return;
        }
        match self.read().await {
            Ok(keys) => self.replace(keys),
            Err(error) => tracing::warn!(error, source = %self.source, "the keys of tokens stay as they are"),
        }
        *asked = Some(Instant::now());
    }

    fn replace(&self, keys: KeySet) {
        let mut present = self.present.write().unwrap_or_else(PoisonError::into_inner);
        // What is the same stays, with what it verified.
        if !present.is_same(&keys) {
            *present = Arc::new(keys);
            tracing::info!(source = %self.source, "the keys of tokens were read");
        }
    }

    async fn read(&self) -> Result<KeySet, String> {
        let read = async {
            match &self.source {
                KeySource::File(path) => read_file(path.clone()).await,
                KeySource::Url(url) => fetch::get(url, &self.trust, MAX_BYTES).await,
            }
        };
        let text = timeout(FETCH_TIMEOUT, read).await.map_err(|_| "no answer in time".to_owned())?;
        KeySet::read(text?, self.service.as_ref())
    }
}

async fn read_file(path: PathBuf) -> Result<String, String> {
    let read = move || {
        let mut text = String::new();
        let read = File::open(&path)?.take(MAX_BYTES + 1).read_to_string(&mut text)? as u64;
        if read > MAX_BYTES { Err(io::Error::other("it is too large")) } else { Ok(text) }
    };
    task::spawn_blocking(read).await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// Reads the keys every so often, for as long as somebody needs them.
async fn keep_fresh(ring: Weak<KeyRing>) {
    loop {
        sleep(REFRESH_INTERVAL).await;
        match ring.upgrade() {
            Some(ring) => ring.refresh().await,
            None => return,
        }
    }
}
