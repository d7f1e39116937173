//! The protobuf contracts of every context, generated from `proto/` at build time. Written by hand are the codec that
//! validates requests, the roles, and the conversions of amounts.

#![allow(missing_docs, clippy::all)]

mod event_type;
mod money;
mod platform;
pub mod role;
pub mod validation;

pub use event_type::EventType;
pub use platform::{POOL, contracts, methods};

// A module for each package, e.g. `jumun::order::v1`.
include!(concat!(env!("OUT_DIR"), "/packages.rs"));

use jumun_core::EventKind;

include!(concat!(env!("OUT_DIR"), "/events.rs"));

pub use self::jumun::*;
pub use google::r#type::Money;

/// The encoded descriptors of every file, with comments and options, as reflection serves them.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
