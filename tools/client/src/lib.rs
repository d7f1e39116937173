//! How the command-line tools reach a running instance: trust, credentials, and the names of what it answers.

use std::path::PathBuf;

use anyhow::Context as _;
use net::tls::ClientTls;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

/// Makes connections that authenticate each call.
#[derive(Clone, Debug)]
pub struct Connector {
    trust: ClientTls,
    bearer: Bearer,
}

impl Connector {
    /// Sends `token`, where there is one, and trusts the certificates that `ca_file` signed; None: those that the system
    /// trusts.
    pub fn new(token: Option<String>, ca_file: Option<PathBuf>) -> anyhow::Result<Self> {
        let header = token.map(|token| MetadataValue::try_from(format!("Bearer {token}"))).transpose();
        let mut header = header.context("the token has characters that none has")?;
        if let Some(header) = &mut header {
            header.set_sensitive(true);
        }
        Ok(Self { trust: ClientTls { ca_file, identity: None }, bearer: Bearer(header) })
    }

    /// The endpoint at `address`.
    pub fn endpoint(&self, address: &str) -> anyhow::Result<Endpoint> {
        self.trust
            .endpoint(address)
            .with_context(|| format!("{address:?} is not an address such as http://127.0.0.1:8080"))
    }

    /// A connection whose calls carry the token.
    pub fn authenticate(&self, channel: Channel) -> AuthenticatedChannel {
        AuthenticatedChannel::new(channel, self.bearer.clone())
    }
}

/// A connection whose calls carry a token.
pub type AuthenticatedChannel = InterceptedService<Channel, Bearer>;

/// Adds the token to each call, where there is one.
#[derive(Clone, Debug)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.0 {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
}

/// A code as gRPC writes it, e.g. `RESOURCE_EXHAUSTED`.
pub fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
