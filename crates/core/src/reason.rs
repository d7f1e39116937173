//! The catalogue: every reason that an error can carry, with its code and what its receiver can do about it.
//!
//! An error is made from an entry, so none can leave without one. `jumun errors` prints the catalogue of every context.

use std::time::Duration;

use tonic::Code;

/// Why a request was refused or could not be served.
#[derive(Debug)]
pub struct Reason {
    /// UPPER_SNAKE, stable: clients switch on it.
    pub name: &'static str,
    /// The gRPC code.
    pub code: Code,
    /// When to try again, where trying again helps; an error may say better.
    pub retry_after: Option<Duration>,
    /// When it happens.
    pub when: &'static str,
    /// What its receiver can do.
    pub advice: &'static str,
}

/// What an error is about, for a program that has to decide what to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The call is wrong, whatever the state of the system: mend the caller.
    Call,
    /// The business says no: tell the person. It is no fault, and repeating changes nothing.
    Refusal,
    /// Something did not work: try again, as RetryInfo says.
    Fault,
}

impl Reason {
    /// An entry. What can be tried again says when (`retry_millis`), and nothing else does.
    pub const fn new(
        name: &'static str,
        code: Code,
        retry_millis: u64,
        when: &'static str,
        advice: &'static str,
    ) -> Self {
        let is_retried = Self::is_retried(code);
        assert!(is_retried == (retry_millis > 0), "RetryInfo comes with the codes that can be tried again");
        let retry_after = if is_retried { Some(Duration::from_millis(retry_millis)) } else { None };
        Self { name, code, retry_after, when, advice }
    }

    /// Whether what fails with this code can be tried again.
    pub const fn is_retried(code: Code) -> bool {
        matches!(code, Code::Unavailable | Code::ResourceExhausted | Code::Aborted | Code::DeadlineExceeded)
    }

    /// What it is about. The code alone decides, so a program needs no list of reasons.
    pub const fn class(&self) -> Class {
        match self.code {
            Code::FailedPrecondition => Class::Refusal,
            _ if self.retry_after.is_some() || matches!(self.code, Code::Internal) => Class::Fault,
            _ => Class::Call,
        }
    }
}

/// Writes entries of the catalogue, as constants, and `ALL` of them.
#[macro_export]
macro_rules! reasons {
    ($($name:ident: $code:ident $(retry $millis:literal ms)?, $when:literal, $advice:literal;)*) => {
        $(
            #[doc = $when]
            pub const $name: $crate::Reason =
                $crate::Reason::new(stringify!($name), $crate::Code::$code, 0 $(+ $millis)?, $when, $advice);
        )*
        /// Every one of them.
        pub const ALL: &[&$crate::Reason] = &[$(&$name),*];
    };
}
