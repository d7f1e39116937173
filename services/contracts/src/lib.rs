//! The protobuf contracts of every context. Generated from `proto/` at build time; nothing here is written by hand
//! but the module tree, the trait of events, and the codec that holds requests to what their protos declare.

#![allow(missing_docs, clippy::all)]

mod money;
mod platform;
pub mod role;
pub mod validation;

pub use platform::{POOL, contracts, methods};

macro_rules! package {
    ($($context:ident),*) => {
        pub mod jumun {
            $(pub mod $context {
                pub mod v1 {
                    include!(concat!(env!("OUT_DIR"), "/jumun.", stringify!($context), ".v1.rs"));
                }
            })*
        }
    };
}

package!(
    admin,
    bench,
    customer,
    dashboard,
    delivery,
    education,
    enrollment,
    kitchen,
    notification,
    order,
    payment,
    store,
    warehouse
);

pub mod google {
    pub mod r#type {
        tonic::include_proto!("google.r#type");
    }
    pub mod api {
        tonic::include_proto!("google.api");
    }
}

use jumun_core::EventKind;

include!(concat!(env!("OUT_DIR"), "/events.rs"));

pub use google::r#type::Money;
pub use jumun::*;

/// Every file's descriptor, with comments and options: what reflection serves.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
