//! The contracts that a process serves, as values: mechanism reads descriptors and options, and knows no contract.

use prost_reflect::{DescriptorPool, FileDescriptor, MethodDescriptor, Value};
use prost_types::source_code_info::Location;

use crate::RoleTable;

/// What the binary tells the platform about its contracts.
#[derive(Clone, Debug)]
pub struct Contracts {
    /// Every file, with its comments and options, as `google.protobuf.FileDescriptorSet`.
    pub encoded: &'static [u8],
    /// The same, decoded.
    pub pool: DescriptorPool,
    /// The method option that bounds a call, a `google.protobuf.Duration`.
    pub deadline_option: &'static str,
    /// The method option that says which roles may call.
    pub access_option: &'static str,
    /// The roles that the access option names.
    pub roles: RoleTable,
    /// Prefixes of services that are served even when the process refuses everything else.
    pub essential_services: &'static [&'static str],
}

impl Contracts {
    /// The methods of every service.
    pub fn methods(&self) -> impl Iterator<Item = MethodDescriptor> {
        methods(&self.pool)
    }
}

/// The methods of every service of a pool.
pub fn methods(pool: &DescriptorPool) -> impl Iterator<Item = MethodDescriptor> {
    pool.services().flat_map(|service| service.methods().collect::<Vec<_>>())
}

/// `/package.Service/Method`, the path of a call over HTTP/2.
pub fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// The value of a method's option, e.g. `google.api.http`.
pub fn option(method: &MethodDescriptor, name: &str) -> Option<Value> {
    let extension = method.parent_pool().get_extension_by_name(name)?;
    let options = method.options();
    options.has_extension(&extension).then(|| options.get_extension(&extension).into_owned())
}

/// The comment before a declaration, as one paragraph; empty where there is none.
pub fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let locations = file.file_descriptor_proto().source_code_info.iter().flat_map(|info| &info.location);
    let comment = locations.into_iter().find(|location| location.path == path).map(Location::leading_comments);
    comment.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}
