//! TLS settings.

use std::path::PathBuf;

use clap::Args;
use net::{tls::Identity, tls::TlsSettings, tls::Trust};

use super::line::{Line, shown};

/// TLS of the listener and of outgoing connections.
#[derive(Args, Clone, Debug)]
pub(crate) struct TlsArgs {
    /// Certificate chain (PEM) of the listener; reloaded when it changes
    #[arg(long, env = "JUMUN_TLS_CERT_FILE", requires = "tls_key_file", value_name = "FILE")]
    pub(crate) tls_cert_file: Option<PathBuf>,

    /// Private key (PEM) of the certificate; reloaded when it changes
    #[arg(long, env = "JUMUN_TLS_KEY_FILE", requires = "tls_cert_file", value_name = "FILE")]
    pub(crate) tls_key_file: Option<PathBuf>,

    /// CA certificates (PEM) that client certificates are verified with [default: no client certificates]
    #[arg(long, env = "JUMUN_TLS_CLIENT_CA_FILE", requires = "tls_cert_file", value_name = "FILE")]
    pub(crate) tls_client_ca_file: Option<PathBuf>,

    /// CA certificates (PEM) to verify other contexts, NATS and the JWKS server with [default: those of the system]
    #[arg(long, env = "JUMUN_TLS_CA_FILE", value_name = "FILE")]
    pub(crate) tls_ca_file: Option<PathBuf>,
}

impl TlsArgs {
    fn identity(&self) -> Option<Identity> {
        Some(Identity { cert_file: self.tls_cert_file.clone()?, key_file: self.tls_key_file.clone()? })
    }

    /// The TLS settings of the listener; None without TLS.
    pub(crate) fn listener(&self) -> Option<TlsSettings> {
        Some(TlsSettings { identity: self.identity()?, client_ca_file: self.tls_client_ca_file.clone() })
    }

    /// The TLS settings of outgoing connections.
    pub(crate) fn trust(&self) -> Trust {
        Trust { ca_file: self.tls_ca_file.clone(), identity: self.identity() }
    }
}

impl TlsArgs {
    pub(super) fn print(&self, line: &mut Line<'_>) {
        line("JUMUN_TLS_CERT_FILE", &shown(self.tls_cert_file.as_ref()));
        line("JUMUN_TLS_KEY_FILE", &shown(self.tls_key_file.as_ref()));
        line("JUMUN_TLS_CLIENT_CA_FILE", &shown(self.tls_client_ca_file.as_ref()));
        line("JUMUN_TLS_CA_FILE", &shown(self.tls_ca_file.as_ref()));
    }
}
