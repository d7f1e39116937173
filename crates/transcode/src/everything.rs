//! A contract with every kind of field and every form of path, for the tests.

use prost_reflect::{DescriptorPool, MethodDescriptor};

/// The methods of everything.proto.
pub(crate) fn methods() -> impl Iterator<Item = MethodDescriptor> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/request");
    let protos = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    let mut compiler = protox::Compiler::new([folder, protos]).expect("the folders");
    compiler.include_imports(true).open_file("everything.proto").expect("a contract");
    let pool = DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).expect("descriptors");
    let methods: Vec<_> = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    methods.into_iter()
}
