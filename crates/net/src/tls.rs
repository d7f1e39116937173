//! TLS: on the listener, and towards others. Certificates are files, and read again when they change.

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

/// How long a client may take over its handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the files are looked at, at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A certificate chain and its key, in PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The chain, the process's own certificate first.
    pub cert_file: PathBuf,
    /// The private key of the first.
    pub key_file: PathBuf,
}

/// How the listener speaks TLS.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// What it shows.
    pub identity: Identity,
    /// Who must have signed its clients' certificates; None: they need none.
    pub client_ca_file: Option<PathBuf>,
}

/// Whom the process trusts, and what it shows, when it calls others over TLS.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Who must have signed their certificates; None: whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// What it shows where a certificate is asked for.
    pub identity: Option<Identity>,
}

/// Accepts TLS connections with the certificate files as they are now.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    settings: TlsSettings,
    present: Mutex<Present>,
}

struct Present {
    config: Arc<ServerConfig>,
    /// When each file was last written.
    written: Vec<Option<SystemTime>>,
    looked: Instant,
}

impl Tls {
    /// Reads the files once, so that a mistake in them ends the start.
    pub fn open(settings: TlsSettings) -> anyhow::Result<Self> {
        let written = settings.written();
        let present = Present { config: settings.config()?, written, looked: Instant::now() };
        Ok(Self(Arc::new(Inner { settings, present: Mutex::new(present) })))
    }

    /// Shakes hands with a client, within a bound.
    pub async fn accept(&self, stream: TcpStream) -> Result<tokio_rustls::server::TlsStream<TcpStream>, String> {
        let shaken = TlsAcceptor::from(self.present()).accept(stream);
        let shaken = timeout(HANDSHAKE_TIMEOUT, shaken).await;
        shaken.map_err(|_| "no handshake in time".to_owned())?.map_err(|error| error.to_string())
    }

    fn present(&self) -> Arc<ServerConfig> {
        let settings = &self.0.settings;
        let mut present = self.0.present.lock().unwrap_or_else(PoisonError::into_inner);
        if present.looked.elapsed() >= LOOK_INTERVAL {
            present.looked = Instant::now();
            let written = settings.written();
            if written != present.written {
                match settings.config() {
                    Ok(config) => {
                        (present.config, present.written) = (config, written);
                        tracing::info!("the certificate was read again");
                    }
                    // Half written, perhaps: it is looked at again.
                    Err(error) => tracing::warn!(error = format!("{error:#}"), "the certificate stays as it is"),
                }
            }
        }
        present.config.clone()
    }
}

impl TlsSettings {
    fn written(&self) -> Vec<Option<SystemTime>> {
        let files = [Some(&self.identity.cert_file), Some(&self.identity.key_file), self.client_ca_file.as_ref()];
        let written = |file: &PathBuf| std::fs::metadata(file).and_then(|data| data.modified()).ok();
        files.into_iter().flatten().map(written).collect()
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
        format!("{} and {} do not go together", self.cert_file.display(), self.key_file.display())
    }
}

impl Trust {
    /// Reads the files once, so that a wrong one is known at the start.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.ca_file.is_none() && self.identity.is_none() {
            return Ok(());
        }
        self.config().map(drop)
    }

    /// Shakes hands with a server that must be `host`.
    pub async fn connect(
        &self,
        host: String,
        stream: TcpStream,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, String> {
        let config = self.config().map_err(|error| format!("{error:#}"))?;
        let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
        let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        shaken.map_err(|error| error.to_string())
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
            // A system without any trusts nobody, which the handshake then says.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(roots);
        };
        roots(file)
    }

    /// The way to a process at `http://host:port` or `https://host:port`.
    pub fn endpoint(&self, address: &str) -> anyhow::Result<Endpoint> {
        let endpoint = Endpoint::from_shared(address.to_owned())?;
        match endpoint.uri().scheme_str() {
            Some("https") => Ok(endpoint.tls_config(self.for_tonic()?)?),
            _ => Ok(endpoint),
        }
    }

    fn for_tonic(&self) -> anyhow::Result<tonic::transport::ClientTlsConfig> {
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
        roots.add(certificate).with_context(|| format!("{} has a certificate that is none", file.display()))?;
    }
    Ok(roots)
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = || -> Result<Vec<_>, rustls::pki_types::pem::Error> { CertificateDer::pem_file_iter(file)?.collect() };
    let chain = read().map_err(|error| anyhow::anyhow!("cannot read {}: {error:?}", file.display()))?;
    anyhow::ensure!(!chain.is_empty(), "{} has no certificate", file.display());
    Ok(chain)
}
