//! The contracts, looked at while running: what the protos declare about each method.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, FileDescriptor, MethodDescriptor, Value};
use prost_types::source_code_info::Location;

/// Every message and service, with its options.
pub static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(contracts::DESCRIPTORS).expect("what the build encoded decodes"));

/// The methods of every context, and of every process.
pub fn methods() -> impl Iterator<Item = MethodDescriptor> {
    POOL.services().flat_map(|service| service.methods().collect::<Vec<_>>())
}

/// `/package.Service/Method`, as it is called over HTTP/2.
pub fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// What a method declares by an option, e.g. `google.api.http`.
pub fn option(method: &MethodDescriptor, name: &str) -> Option<Value> {
    let extension = method.parent_pool().get_extension_by_name(name)?;
    let options = method.options();
    options.has_extension(&extension).then(|| options.get_extension(&extension).into_owned())
}

/// The comment before a declaration, in one paragraph; empty where there is none.
pub fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let locations = file.file_descriptor_proto().source_code_info.iter().flat_map(|info| &info.location);
    let comment = locations.into_iter().find(|location| location.path == path).map(Location::leading_comments);
    comment.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_survive_the_build() {
        let create = methods().find(|method| path(method) == "/jumun.order.v1.OrderService/CreateOrder");
        let http = create.and_then(|method| option(&method, "google.api.http"));
        let rule = http.as_ref().and_then(Value::as_message).expect("an annotation");
        assert_eq!(rule.get_field_by_name("body").as_deref().and_then(Value::as_str), Some("order"));
    }
}
