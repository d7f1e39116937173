//! What the protos declare about requests (`buf.validate`), enforced where they are decoded: no handler sees a request
//! that breaks a rule, whichever way it came in.
//!
//! The checks themselves are generated. They read the decoded message and allocate nothing while it is right.

use std::{marker::PhantomData, sync::LazyLock};

use jumun_core::{ERROR_DOMAIN, Violation, reported};
use prost::Message;
use regex::Regex;
use tonic::{
    Code, Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstEncoder};
use tonic_types::{ErrorDetails, StatusExt};

/// The reason of a request whose fields are wrong.
pub const INVALID_ARGUMENT: &str = "INVALID_ARGUMENT";
/// The reason of a request that is not the message it should be.
pub const UNREADABLE_REQUEST: &str = "UNREADABLE_REQUEST";

include!(concat!(env!("OUT_DIR"), "/checks.rs"));

/// A message that gRPC receives.
pub trait Received: Message + Default {
    /// Whether it comes from a caller. What another service answers is not checked.
    const IS_REQUEST: bool = false;

    /// Everything in it that breaks a rule.
    fn check(&self) -> Vec<Violation> {
        Vec::new()
    }
}

/// A part of a request.
trait Check {
    /// Notes what breaks a rule in it and below.
    fn check(&self, at: &Path<'_>, found: &mut Vec<Violation>);
}

fn violations(request: &impl Check) -> Vec<Violation> {
    let mut found = Vec::new();
    request.check(&Path::Root, &mut found);
    found
}

/// Where a value is within its request; written out only when it is wrong.
enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'static str),
    Index(&'a Path<'a>, usize),
}

impl Path<'_> {
    fn field(&self, name: &'static str) -> Path<'_> {
        Path::Field(self, name)
    }

    fn index(&self, index: usize) -> Path<'_> {
        Path::Index(self, index)
    }

    fn add(&self, found: &mut Vec<Violation>, description: &str) {
        found.push(Violation { field: self.to_string(), description: description.to_owned() });
    }
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => f.write_str(name),
            Path::Field(parent, name) => write!(f, "{parent}.{name}"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the build compiled it, too")
}

/// Encodes and decodes as prost does, and refuses requests that break a rule.
pub struct CheckingCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for CheckingCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + Send + 'static, U: Received + Send + 'static> Codec for CheckingCodec<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = CheckingDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        CheckingDecoder(PhantomData)
    }
}

/// Decodes a message, and refuses a request that breaks a rule.
pub struct CheckingDecoder<U>(PhantomData<U>);

impl<U: Received> Decoder for CheckingDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let message = U::decode(buffer).map_err(|error| unreadable::<U>(&error))?;
        let violations = message.check();
        if violations.is_empty() { Ok(Some(message)) } else { Err(refusal(violations)) }
    }
}

fn unreadable<U: Received>(error: &prost::DecodeError) -> Status {
    if !U::IS_REQUEST {
        return Status::internal(error.to_string());
    }
    let details = ErrorDetails::with_error_info(UNREADABLE_REQUEST, ERROR_DOMAIN, []);
    Status::with_error_details(Code::InvalidArgument, format!("the request cannot be read: {error}"), details)
}

fn refusal(violations: Vec<Violation>) -> Status {
    let mut details = ErrorDetails::with_error_info(INVALID_ARGUMENT, ERROR_DOMAIN, []);
    let (message, violations) = reported(violations);
    for violation in violations {
        details.add_bad_request_violation(violation.field, violation.description);
    }
    Status::with_error_details(Code::InvalidArgument, message, details)
}
