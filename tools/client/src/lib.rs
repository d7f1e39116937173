//! The connections of the command-line tools to a running instance: TLS, credentials, and names of status codes.

use std::path::PathBuf;

use anyhow::Context as _;
use net::{fetch, tls::ClientTls};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint, Uri},
};

/// Creates connections that authenticate each call.
#[derive(Clone, Debug)]
pub struct Connector {
    trust: ClientTls,
    bearer: Bearer,
}

impl Connector {
    /// Sends `token` with each call, if there is one. Verifies servers with the CA certificates in `ca_file`, or with
    /// those of the system.
    pub fn new(token: Option<String>, ca_file: Option<PathBuf>) -> anyhow::Result<Self> {
        let header = token.map(|token| MetadataValue::try_from(format!("Bearer {token}"))).transpose();
        let mut header = header.context("the token contains invalid characters")?;
        if let Some(header) = &mut header {
            header.set_sensitive(true);
        }
        Ok(Self { trust: ClientTls { ca_file, identity: None }, bearer: Bearer(header) })
    }

    /// The endpoint at `address`.
    pub fn endpoint(&self, address: &str) -> anyhow::Result<Endpoint> {
        self.trust
            .endpoint(address)
            .with_context(|| format!("{address:?} is not a valid address, e.g. http://127.0.0.1:8080"))
    }

    /// Fetches the text at `url` over HTTP/1.1, without the token; fails if it has more than `limit` bytes.
    pub async fn get(&self, url: &str, limit: u64) -> anyhow::Result<String> {
        let uri: Uri = url.parse().with_context(|| format!("{url:?} is not a valid URL"))?;
        fetch::get(&uri, &self.trust, limit).await.map_err(|error| anyhow::anyhow!("{url}: {error}"))
    }

    /// A connection that sends the token with each call.
    pub fn authenticate(&self, channel: Channel) -> AuthenticatedChannel {
        AuthenticatedChannel::new(channel, self.bearer.clone())
    }
}

/// A connection that sends a token with each call.
pub type AuthenticatedChannel = InterceptedService<Channel, Bearer>;

/// Adds the token to each call, if there is one.
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

/// The name of a status code, e.g. `RESOURCE_EXHAUSTED`.
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
