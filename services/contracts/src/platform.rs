//! The contracts as a value that the runtime is built with.

use std::sync::LazyLock;

use jumun_core::Contracts;
use prost_reflect::{DescriptorPool, MethodDescriptor};

use crate::{DESCRIPTORS, role::ROLES};

/// The descriptors of every message and service, with options.
pub static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("what the build encoded decodes"));

/// The methods of every service.
pub fn methods() -> impl Iterator<Item = MethodDescriptor> {
    jumun_core::contracts::methods(&POOL)
}

/// The descriptors, options, roles and essential services, for the runtime.
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
