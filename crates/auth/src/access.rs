//! The access that the protos declare for methods: which callers may call them.

use std::collections::HashMap;

use prost_reflect::{MethodDescriptor, Value};

use jumun_core::{
    Contracts, Role, Roles,
    contracts::{option, path},
};

/// Standard gRPC services, which all callers may call.
const PUBLIC_SERVICES: &[&str] =
    &["/grpc.health.v1.Health/", "/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/"];

/// The callers that may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// All callers.
    Public,
    /// All callers with a valid token.
    Authenticated,
    /// Callers with one of these roles.
    Only(Roles),
}

/// The access of methods, by path.
#[derive(Debug)]
pub struct AccessTable(HashMap<String, Access>);

impl AccessTable {
    /// Reads the access of all methods of these services; fails at the first method that declares none.
    pub fn of_services(contracts: &Contracts, services: &[&str]) -> anyhow::Result<Self> {
        let mut table = HashMap::new();
        for service in services {
            let found = contracts.pool.get_service_by_name(service);
            let found = found.ok_or_else(|| anyhow::anyhow!("{service} is served, but is not in the contracts"))?;
            for method in found.methods() {
                table.insert(path(&method), declared(&method, contracts)?);
            }
        }
        Ok(Self(table))
    }

    /// The access of the method at this path; None if there is no such method.
    pub fn of_path(&self, path: &str) -> Option<Access> {
        let is_public = || PUBLIC_SERVICES.iter().any(|service| path.starts_with(service));
        self.0.get(path).copied().or_else(|| is_public().then_some(Access::Public))
    }
}

fn declared(method: &MethodDescriptor, contracts: &Contracts) -> anyhow::Result<Access> {
    let name = contracts.access_option;
    let declared = option(method, name);
    let access = declared.as_ref().and_then(Value::as_message).ok_or_else(|| nothing_declared(method, name))?;
    let is = |field: &str| access.get_field_by_name(field).and_then(|value| value.as_bool()).unwrap_or_default();
    let roles = access.get_field_by_name("roles");
    let roles: Roles = roles
        .as_deref()
        .and_then(Value::as_list)
        .into_iter()
        .flatten()
        .filter_map(|role| role_of(role, contracts))
        .collect();
    match (is("public"), is("authenticated"), roles) {
        (true, ..) => Ok(Access::Public),
        (_, true, _) => Ok(Access::Authenticated),
        (.., roles) if roles != Roles::default() => Ok(Access::Only(roles)),
        _ => Err(nothing_declared(method, name)),
    }
}

fn role_of(value: &Value, contracts: &Contracts) -> Option<Role> {
    let number = value.as_enum_number()?;
    contracts.roles.names.iter().map(|(role, _)| *role).find(|role| i32::from(role.number()) == number)
}

fn nothing_declared(method: &MethodDescriptor, option: &str) -> anyhow::Error {
    anyhow::anyhow!("{} declares no access: add `option ({option}) = {{roles: […]}}` to its proto", path(method))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_declares_nothing_is_named() {
        let method = undeclared().services().next().and_then(|service| service.methods().next()).expect("a method");
        let contracts = contracts(undeclared());
        let error = declared(&method, &contracts).expect_err("nothing is declared").to_string();
        assert!(error.contains("/a.v1.S/Do") && error.contains(contracts.access_option), "{error}");
        assert!(AccessTable::of_services(&contracts, &["b.v1.S"]).is_err(), "what no contract describes is not served");
    }

    fn contracts(pool: prost_reflect::DescriptorPool) -> Contracts {
        let service = Role::new(1);
        Contracts {
            encoded: &[],
            pool,
            deadline_option: "a.v1.deadline",
            access_option: "a.v1.access",
            roles: jumun_core::RoleTable { names: &[], service, unrestricted: Roles::of(&[service]) },
            essential_services: &[],
        }
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
