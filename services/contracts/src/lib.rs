//! The protobuf contracts of every context. Generated from `proto/` at build time; only the codec that holds requests to what
//! their protos declare, the roles and the conversions of amounts are written by hand.

#![allow(missing_docs, clippy::all)]

mod money;
mod platform;
pub mod role;
pub mod validation;

pub use platform::{POOL, contracts, methods};

// A module for each package, e.g. `jumun::order::v1`.
include!(concat!(env!("OUT_DIR"), "/packages.rs"));

use jumun_core::EventKind;

include!(concat!(env!("OUT_DIR"), "/events.rs"));

pub use google::r#type::Money;
pub use jumun::*;

/// Every file's descriptor, with comments and options: what reflection serves.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
