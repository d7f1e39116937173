//! The contracts that a process serves, passed in as values: descriptors, and the names of method options. The
//! mechanism crates depend on no generated code.

use prost_reflect::{DescriptorPool, FileDescriptor, MethodDescriptor, Value};
use prost_types::source_code_info::Location;

use crate::RoleTable;

/// The protobuf contracts of a binary, and the options and roles that they declare.
#[derive(Clone, Debug)]
pub struct Contracts {
    /// All files with comments and options, as an encoded `google.protobuf.FileDescriptorSet`.
    pub encoded: &'static [u8],
    /// `encoded`, decoded.
    pub pool: DescriptorPool,
    /// The full name of the method option with a call's deadline, a `google.protobuf.Duration`.
    pub deadline_option: &'static str,
    /// The full name of the method option with the roles that may call.
    pub access_option: &'static str,
    /// The roles that the access option can name.
    pub roles: RoleTable,
    /// Path prefixes of services that stay available while the process rejects all other calls.
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

/// The comment before a declaration, as one paragraph; empty if there is none.
pub fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let locations = file.file_descriptor_proto().source_code_info.iter().flat_map(|info| &info.location);
    let comment = locations.into_iter().find(|location| location.path == path).map(Location::leading_comments);
    comment.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}
