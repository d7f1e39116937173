//! What the protos declare about who may call a method.

use std::collections::HashMap;

use prost_reflect::{MethodDescriptor, Value};

use super::{Role, Roles};
use crate::descriptors::{POOL, option, path};

/// The option that declares it.
const OPTION: &str = "jumun.options.v1.access";
/// Services of the protocol itself: everybody may call them.
const PUBLIC_SERVICES: &[&str] =
    &["/grpc.health.v1.Health/", "/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/"];

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody.
    Public,
    /// Everybody with a valid token.
    Authenticated,
    /// Callers with one of these roles.
    Only(Roles),
}

/// Who may call what, by path.
#[derive(Debug)]
pub(crate) struct AccessTable(HashMap<String, Access>);

impl AccessTable {
    /// What the methods of these services declare; an error names the first that declares nothing.
    pub(crate) fn of_services(services: &[&str]) -> anyhow::Result<Self> {
        let mut table = HashMap::new();
        for service in services {
            let found = POOL.get_service_by_name(service);
            let found = found.ok_or_else(|| anyhow::anyhow!("{service} is served, but no contract describes it"))?;
            for method in found.methods() {
                table.insert(path(&method), declared(&method)?);
            }
        }
        Ok(Self(table))
    }

    /// None: there is no such method.
    pub(super) fn of_path(&self, path: &str) -> Option<Access> {
        let is_public = || PUBLIC_SERVICES.iter().any(|service| path.starts_with(service));
        self.0.get(path).copied().or_else(|| is_public().then_some(Access::Public))
    }
}

fn declared(method: &MethodDescriptor) -> anyhow::Result<Access> {
    let declared = option(method, OPTION);
    let access = declared.as_ref().and_then(Value::as_message).ok_or_else(|| nothing_declared(method))?;
    let is = |field: &str| access.get_field_by_name(field).and_then(|value| value.as_bool()).unwrap_or_default();
    let roles = access.get_field_by_name("roles");
    let roles: Roles = roles.as_deref().and_then(Value::as_list).into_iter().flatten().filter_map(role).collect();
    match (is("public"), is("authenticated"), roles) {
        (true, ..) => Ok(Access::Public),
        (_, true, _) => Ok(Access::Authenticated),
        (.., roles) if roles != Roles::default() => Ok(Access::Only(roles)),
        _ => Err(nothing_declared(method)),
    }
}

fn role(value: &Value) -> Option<Role> {
    let index = usize::try_from(value.as_enum_number()?).ok()?.checked_sub(1)?;
    Role::NAMES.get(index).map(|(role, _)| *role)
}

fn nothing_declared(method: &MethodDescriptor) -> anyhow::Error {
    anyhow::anyhow!(
        "{} does not declare who may call it: give it `option ({OPTION}) = {{roles: […]}}` in its proto",
        path(method)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_method_declares_is_what_counts() {
        let table = AccessTable::of_services(&["jumun.order.v1.OrderService", "jumun.bench.v1.BenchService"]);
        let table = table.expect("every method declares it");
        let only: Roles = [Role::Customer, Role::Operator].into_iter().collect();
        assert_eq!(table.of_path("/jumun.order.v1.OrderService/CreateOrder"), Some(Access::Only(only)));
        assert_eq!(table.of_path("/jumun.bench.v1.BenchService/Echo"), Some(Access::Authenticated));
        assert_eq!(table.of_path("/grpc.health.v1.Health/Check"), Some(Access::Public));
        for unknown in ["", "/", "/jumun.order.v1.OrderService/", "/jumun.payment.v1.PaymentService/GetPayment"] {
            assert_eq!(table.of_path(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_method_that_declares_nothing_is_named() {
        let method = undeclared().services().next().and_then(|service| service.methods().next()).expect("a method");
        let error = declared(&method).expect_err("nothing is declared").to_string();
        assert!(error.contains("/a.v1.S/Do") && error.contains(OPTION), "{error}");
        assert!(AccessTable::of_services(&["a.v1.S"]).is_err(), "what no contract describes is not served");
    }

    /// `package a.v1; service S { rpc Do(M) returns (M); }`.
    fn undeclared() -> prost_reflect::DescriptorPool {
        use prost_types::{
            DescriptorProto, FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
        };
        let some = |text: &str| Some(text.to_owned());
        let method = MethodDescriptorProto {
            name: some("Do"),
            input_type: some(".a.v1.M"),
            output_type: some(".a.v1.M"),
            ..MethodDescriptorProto::default()
        };
        let service =
            ServiceDescriptorProto { name: some("S"), method: vec![method], ..ServiceDescriptorProto::default() };
        let file = FileDescriptorProto {
            name: some("a.proto"),
            package: some("a.v1"),
            syntax: some("proto3"),
            message_type: vec![DescriptorProto { name: some("M"), ..DescriptorProto::default() }],
            service: vec![service],
            ..FileDescriptorProto::default()
        };
        prost_reflect::DescriptorPool::from_file_descriptor_set(FileDescriptorSet { file: vec![file] })
            .expect("it fits")
    }
}
