//! A call within the server stack.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, Request};
use jumun_core::Caller;
use tonic::body::Body;

use crate::method::Method;

/// A request, the method that it calls, and what the layers learn about it.
pub(crate) struct Call {
    pub(crate) method: Arc<Method>,
    pub(crate) request: Request<Body>,
    /// The caller. A call from the network has none before the authorization layer.
    pub(crate) caller: Option<Caller>,
    /// The timeout that the caller set.
    pub(crate) timeout: Option<Duration>,
    /// Whether the caller is in this process: then the client channel enforces the deadline.
    pub(crate) is_local: bool,
}

impl Call {
    /// A call from the network.
    pub(crate) fn from_network(method: Arc<Method>, request: Request<Body>) -> Self {
        let timeout = grpc_timeout(request.headers());
        Self { method, request, caller: None, timeout, is_local: false }
    }

    /// A call between two contexts of this process. `timeout` is how long the caller waits.
    pub(crate) fn from_within(method: Arc<Method>, request: Request<Body>, caller: Caller, timeout: Duration) -> Self {
        Self { method, request, caller: Some(caller), timeout: Some(timeout), is_local: true }
    }

    /// How long the call may take until its response begins.
    pub(crate) fn time_limit(&self) -> Duration {
        self.method.timeout(self.timeout)
    }
}

/// Reads `grpc-timeout`: up to eight digits and a unit, as the gRPC protocol over HTTP/2 defines it. None when it is
/// absent or malformed.
pub fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let value: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_deadlines_as_grpc_writes_them() {
        let read = |text: &'static str| {
            grpc_timeout(&HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-timeout"),
                text.parse().expect("a value"),
            )]))
        };
        assert_eq!(read("150m"), Some(Duration::from_millis(150)));
        assert_eq!(read("2S"), Some(Duration::from_secs(2)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for wrong in ["", "m", "1", "-1S", "123456789m", "1x"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
