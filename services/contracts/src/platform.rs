//! The contracts as a value, for the runtime.

use std::sync::LazyLock;

use jumun_core::Contracts;
use prost_reflect::{DescriptorPool, MethodDescriptor};

use crate::{DESCRIPTORS, role::ROLES};

/// Every message and service, with its options.
pub static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("what the build encoded decodes"));

/// The methods of every service.
pub fn methods() -> impl Iterator<Item = MethodDescriptor> {
    jumun_core::contracts::methods(&POOL)
}

/// What the runtime needs to know of the contracts.
pub fn contracts() -> Contracts {
    Contracts {
        encoded: DESCRIPTORS,
        pool: POOL.clone(),
        deadline_option: "jumun.options.v1.deadline",
        access_option: "jumun.options.v1.access",
        roles: ROLES,
        essential_services: &["jumun.admin."],
    }
}
