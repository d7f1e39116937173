//! Settings of TLS.

use std::path::PathBuf;

use clap::Args;
use net::{tls::Identity, tls::TlsSettings, tls::Trust};

use super::line::{Line, shown};

/// TLS on the listener, and towards others.
#[derive(Args, Clone, Debug)]
pub(crate) struct TlsArgs {
    /// Certificate chain (PEM) that the listener shows; read again when it changes
    #[arg(long, env = "JUMUN_TLS_CERT_FILE", requires = "tls_key_file", value_name = "FILE")]
    pub(crate) tls_cert_file: Option<PathBuf>,

    /// Its private key (PEM)
    #[arg(long, env = "JUMUN_TLS_KEY_FILE", requires = "tls_cert_file", value_name = "FILE")]
    pub(crate) tls_key_file: Option<PathBuf>,

    /// Who must have signed the clients' certificates; not set: clients need none
    #[arg(long, env = "JUMUN_TLS_CLIENT_CA_FILE", requires = "tls_cert_file", value_name = "FILE")]
    pub(crate) tls_client_ca_file: Option<PathBuf>,

    /// Who must have signed the certificates of other contexts, NATS and the JWKS; not set: whom the system trusts
    #[arg(long, env = "JUMUN_TLS_CA_FILE", value_name = "FILE")]
    pub(crate) tls_ca_file: Option<PathBuf>,
}

impl TlsArgs {
    fn identity(&self) -> Option<Identity> {
        Some(Identity { cert_file: self.tls_cert_file.clone()?, key_file: self.tls_key_file.clone()? })
    }

    /// How the listener speaks TLS; None: it does not.
    pub(crate) fn listener(&self) -> Option<TlsSettings> {
        Some(TlsSettings { identity: self.identity()?, client_ca_file: self.tls_client_ca_file.clone() })
    }

    /// How others are called over TLS.
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
