//! TLS for listeners and clients. Certificates are files; a listener reloads them when they change.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use jumun_core::time::{Instant, timeout};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::transport::{self, Certificate, ClientTlsConfig, Endpoint};

/// Maximum duration of a handshake with a client.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Minimum time between two checks of the files for changes.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A certificate chain and its private key, as PEM files.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The chain, the leaf certificate first.
    pub cert_file: PathBuf,
    /// The private key of the leaf certificate.
    pub key_file: PathBuf,
}

/// TLS settings of a listener.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// The server certificate.
    pub identity: Identity,
    /// The CAs that must have signed client certificates; None: clients need no certificate.
    pub client_ca_file: Option<PathBuf>,
}

/// TLS settings of clients: the CAs to trust, and the client certificate.
#[derive(Clone, Debug, Default)]
pub struct ClientTls {
    /// The CAs that must have signed server certificates; None: the CAs that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// The certificate for servers that require one.
    pub identity: Option<Identity>,
}

/// Accepts TLS connections with the current certificate files.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    settings: TlsSettings,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    config: Arc<ServerConfig>,
    /// When each file was last modified.
    modified: Vec<Option<SystemTime>>,
    checked: Instant,
}

impl Tls {
    /// Loads the certificate files.
    pub fn open(settings: TlsSettings) -> anyhow::Result<Self> {
        let modified = settings.modified();
        let loaded = Loaded { config: settings.config()?, modified, checked: Instant::now() };
        Ok(Self(Arc::new(Inner { settings, loaded: Mutex::new(loaded) })))
    }

    /// Performs the handshake with a client, within 5 s.
    pub async fn accept(&self, stream: TcpStream) -> Result<tokio_rustls::server::TlsStream<TcpStream>, String> {
        let handshake = timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(self.current()).accept(stream)).await;
        handshake.map_err(|_| "the handshake timed out".to_owned())?.map_err(|error| error.to_string())
    }

    fn current(&self) -> Arc<ServerConfig> {
        let settings = &self.0.settings;
        let mut loaded = self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.checked.elapsed() >= CHECK_INTERVAL {
            loaded.checked = Instant::now();
            let modified = settings.modified();
            if modified != loaded.modified {
                match settings.config() {
                    Ok(config) => {
                        (loaded.config, loaded.modified) = (config, modified);
                        tracing::info!("certificate reloaded");
                    }
                    // A file may be half written; the next check reads it again.
                    Err(error) => tracing::warn!(
                        error = format!("{error:#}"),
                        "cannot reload the certificate; the previous one stays in use"
                    ),
                }
            }
        }
        loaded.config.clone()
    }
}

impl TlsSettings {
    fn modified(&self) -> Vec<Option<SystemTime>> {
        let files = [Some(&self.identity.cert_file), Some(&self.identity.key_file), self.client_ca_file.as_ref()];
        let modified = |file: &PathBuf| std::fs::metadata(file).and_then(|data| data.modified()).ok();
        files.into_iter().flatten().map(modified).collect()
    }

    fn config(&self) -> anyhow::Result<Arc<ServerConfig>> {
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?;
        let builder = match &self.client_ca_file {
            Some(file) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(
                    Arc::new(roots(file)?),
                    Arc::new(rustls::crypto::ring::default_provider()),
                )
                .build()?,
            ),
            None => builder.with_no_client_auth(),
        };
        let (chain, key) = self.identity.read()?;
        let mut config = builder.with_single_cert(chain, key).with_context(|| self.identity.describe())?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl Identity {
    fn read(&self) -> anyhow::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let key = PrivateKeyDer::from_pem_file(&self.key_file)
            .map_err(|error| anyhow::anyhow!("cannot read the private key {}: {error:?}", self.key_file.display()))?;
        Ok((certificates(&self.cert_file)?, key))
    }

    fn describe(&self) -> String {
        format!("{} and {} do not match", self.cert_file.display(), self.key_file.display())
    }
}

impl ClientTls {
    /// Loads the files once, so that the process does not start with an invalid one.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.ca_file.is_none() && self.identity.is_none() {
            return Ok(());
        }
        self.config().map(drop)
    }

    /// Performs the handshake with a server, whose certificate must be valid for `host`.
    pub async fn connect(
        &self,
        host: String,
        stream: TcpStream,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, String> {
        let config = self.config().map_err(|error| format!("{error:#}"))?;
        let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
        let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        handshake.map_err(|error| error.to_string())
    }

    fn config(&self) -> anyhow::Result<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?.with_root_certificates(self.roots()?);
        match &self.identity {
            Some(identity) => {
                let (chain, key) = identity.read()?;
                builder.with_client_auth_cert(chain, key).with_context(|| identity.describe())
            }
            None => Ok(builder.with_no_client_auth()),
        }
    }

    fn roots(&self) -> anyhow::Result<RootCertStore> {
        let Some(file) = &self.ca_file else {
            let mut roots = RootCertStore::empty();
            // Without CAs of the system the list of CAs is empty, and every handshake fails for that reason.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(roots);
        };
        roots(file)
    }

    /// A gRPC endpoint at `http://host:port` or `https://host:port`.
    pub fn endpoint(&self, address: &str) -> anyhow::Result<Endpoint> {
        let endpoint = Endpoint::from_shared(address.to_owned())?;
        match endpoint.uri().scheme_str() {
            Some("https") => Ok(endpoint.tls_config(self.tonic_config()?)?),
            _ => Ok(endpoint),
        }
    }

    fn tonic_config(&self) -> anyhow::Result<tonic::transport::ClientTlsConfig> {
        let mut config = ClientTlsConfig::new();
        config = match &self.ca_file {
            Some(file) => config.ca_certificate(Certificate::from_pem(read(file)?)),
            None => config.with_native_roots(),
        };
        Ok(match &self.identity {
            Some(identity) => {
                config.identity(transport::Identity::from_pem(read(&identity.cert_file)?, read(&identity.key_file)?))
            }
            None => config,
        })
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

fn roots(file: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).with_context(|| format!("{} contains an invalid certificate", file.display()))?;
    }
    Ok(roots)
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = || -> Result<Vec<_>, rustls::pki_types::pem::Error> { CertificateDer::pem_file_iter(file)?.collect() };
    let chain = read().map_err(|error| anyhow::anyhow!("cannot read {}: {error:?}", file.display()))?;
    anyhow::ensure!(!chain.is_empty(), "{} contains no certificate", file.display());
    Ok(chain)
}
