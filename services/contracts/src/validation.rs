//! Validates requests by the `buf.validate` rules of their protos when they are decoded, so that no handler sees an
//! invalid request.
//!
//! The checks are generated. They read the decoded message, and allocate nothing while it is valid.

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

/// The reason of a request with invalid fields.
pub const INVALID_ARGUMENT: &str = "INVALID_ARGUMENT";
/// The reason of a request that cannot be decoded.
pub const UNREADABLE_REQUEST: &str = "UNREADABLE_REQUEST";

include!(concat!(env!("OUT_DIR"), "/checks.rs"));

/// A message that the codec decodes.
pub trait Received: Message + Default {
    /// Whether it is a request. Responses of other services are not validated.
    const IS_REQUEST: bool = false;

    /// Every violation of a rule.
    fn check(&self) -> Vec<Violation> {
        Vec::new()
    }
}

/// A part of a request.
trait Check {
    /// Adds the violations in this message, which is at the path `parent`, and in nested ones.
    fn check(&self, parent: &Path<'_>, found: &mut Vec<Violation>);
}

fn violations(request: &impl Check) -> Vec<Violation> {
    let mut found = Vec::new();
    request.check(&Path::Root, &mut found);
    found
}

/// The path of a value within its request. It is written out for violations only.
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
    Regex::new(pattern).expect("the build validated the pattern")
}

/// Encodes and decodes like tonic's prost codec, and rejects invalid requests: with INVALID_ARGUMENT if they violate
/// rules, with UNREADABLE_REQUEST if they cannot be decoded.
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

/// The decoder of [`CheckingCodec`].
pub struct CheckingDecoder<U>(PhantomData<U>);

impl<U: Received> Decoder for CheckingDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let message = U::decode(buffer).map_err(|error| unreadable::<U>(&error))?;
        let violations = message.check();
        if violations.is_empty() { Ok(Some(message)) } else { Err(invalid(violations)) }
    }
}

fn unreadable<U: Received>(error: &prost::DecodeError) -> Status {
    if !U::IS_REQUEST {
        return Status::internal(error.to_string());
    }
    let details = ErrorDetails::with_error_info(UNREADABLE_REQUEST, ERROR_DOMAIN, []);
    Status::with_error_details(Code::InvalidArgument, format!("the request cannot be decoded: {error}"), details)
}

fn invalid(violations: Vec<Violation>) -> Status {
    let mut details = ErrorDetails::with_error_info(INVALID_ARGUMENT, ERROR_DOMAIN, []);
    let (message, violations) = reported(violations);
    for violation in violations {
        details.add_bad_request_violation(violation.field, violation.description);
    }
    Status::with_error_details(Code::InvalidArgument, message, details)
}
