//! The protobuf contracts of every context. Generated from `proto/` at build time; only the
//! codec that holds requests to what their protos declare is written by hand.

#![allow(missing_docs, clippy::all)]

pub mod validation;

// A module for each package, e.g. `jumun::order::v1`.
include!(concat!(env!("OUT_DIR"), "/packages.rs"));

pub use google::r#type::Money;
pub use jumun::*;

/// Every file's descriptor, with comments and options: what reflection serves.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
