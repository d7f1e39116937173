//! One call on its way through the server stack.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, Request};
use jumun_core::Caller;
use tonic::body::Body;

use crate::method::Method;

/// A request, the method that it calls, and what the stack learns about it from layer to layer.
pub(crate) struct Call {
    pub(crate) method: Arc<Method>,
    pub(crate) request: Request<Body>,
    /// The caller, once it is known. A call from within the process brings it along.
    pub(crate) caller: Option<Caller>,
    /// How long the caller waits; None: it does not say.
    pub(crate) timeout: Option<Duration>,
    /// A caller within the process ends its call itself when the time is up.
    pub(crate) is_local: bool,
}

impl Call {
    /// A call from the network.
    pub(crate) fn from_network(method: Arc<Method>, request: Request<Body>) -> Self {
        let timeout = grpc_timeout(request.headers());
        Self { method, request, caller: None, timeout, is_local: false }
    }

    /// A call of one context to another of the same process, which waits no longer than this.
    pub(crate) fn from_within(method: Arc<Method>, request: Request<Body>, caller: Caller, timeout: Duration) -> Self {
        Self { method, request, caller: Some(caller), timeout: Some(timeout), is_local: true }
    }

    /// How long the call may take until its answer begins.
    pub(crate) fn time_limit(&self) -> Duration {
        self.method.timeout(self.timeout)
    }
}

/// Reads `grpc-timeout`: up to eight digits and a unit.
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
