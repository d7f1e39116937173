//! The catalogue of error reasons: each with its gRPC code, when it occurs, and what the client can do.
//!
//! An error can be created only from an entry of the catalogue. `jumun errors` prints the catalogues of all contexts.

use std::time::Duration;

use tonic::Code;

/// A reason for which requests are rejected or fail.
#[derive(Debug)]
pub struct Reason {
    /// UPPER_SNAKE, stable: clients switch on it.
    pub name: &'static str,
    /// The gRPC code.
    pub code: Code,
    /// The delay before a retry; None if a retry cannot help. An error may replace it.
    pub retry_after: Option<Duration>,
    /// When it occurs, as a sentence.
    pub when: &'static str,
    /// What the client can do, as a sentence.
    pub advice: &'static str,
}

/// The kind of an error, by which a client decides what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The call is wrong in every state of the system: fix the client.
    Call,
    /// A business rule rejects the request: tell the user. It is not a failure, and a retry changes nothing.
    Refusal,
    /// A failure: retry as RetryInfo says.
    Fault,
}

impl Reason {
    /// An entry of the catalogue. `retry_millis` is the retry delay of codes that can be retried, and 0 for all others.
    pub const fn new(
        name: &'static str,
        code: Code,
        retry_millis: u64,
        when: &'static str,
        advice: &'static str,
    ) -> Self {
        let is_retried = Self::is_retried(code);
        assert!(is_retried == (retry_millis > 0), "exactly the codes that can be retried have a retry delay");
        let retry_after = if is_retried { Some(Duration::from_millis(retry_millis)) } else { None };
        Self { name, code, retry_after, when, advice }
    }

    /// Whether a call that failed with this code can be retried.
    pub const fn is_retried(code: Code) -> bool {
        matches!(code, Code::Unavailable | Code::ResourceExhausted | Code::Aborted | Code::DeadlineExceeded)
    }

    /// The kind of the error. The code alone determines it, so clients need no list of reasons.
    pub const fn class(&self) -> Class {
        match self.code {
            Code::FailedPrecondition => Class::Refusal,
            _ if self.retry_after.is_some() || matches!(self.code, Code::Internal) => Class::Fault,
            _ => Class::Call,
        }
    }
}

/// Declares entries of the catalogue as constants, and `ALL` with all of them.
#[macro_export]
macro_rules! reasons {
    ($($name:ident: $code:ident $(retry $millis:literal ms)?, $when:literal, $advice:literal;)*) => {
        $(
            #[doc = $when]
            pub const $name: $crate::Reason =
                $crate::Reason::new(stringify!($name), $crate::Code::$code, 0 $(+ $millis)?, $when, $advice);
        )*
        /// All reasons of this catalogue.
        pub const ALL: &[&$crate::Reason] = &[$(&$name),*];
    };
}
