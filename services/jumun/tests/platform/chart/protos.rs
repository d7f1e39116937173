//! What the protos declare about the methods of the contexts.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
    time::Duration,
};

use prost_reflect::{MethodDescriptor, Value};
use regex::Regex;
use serde_json::Value as Json;

use super::render::list;

/// The deadline of a method that declares none (`rpc::MAX_CALL`).
const MAX_CALL: Duration = Duration::from_secs(10);

/// A method of a context, as the protos declare it.
pub(super) struct Declared {
    pub(super) context: String,
    pub(super) grpc: String,
    /// HTTP method, and a path of it.
    pub(super) json: Vec<(&'static str, String)>,
    pub(super) roles: Vec<i32>,
    pub(super) deadline: Duration,
    pub(super) is_stream: bool,
    pub(super) is_read: bool,
}

/// Every method of these contexts.
pub(super) fn declared(contexts: &[&str]) -> Vec<Declared> {
    let context =
        |method: &MethodDescriptor| method.parent_service().package_name().split('.').nth(1).map(str::to_owned);
    let known = |method: &MethodDescriptor| contexts.contains(&context(method).unwrap_or_default().as_str());
    contracts::methods().filter(known).map(|method| read(&method, context(&method).unwrap_or_default())).collect()
}

fn read(method: &MethodDescriptor, context: String) -> Declared {
    let option = |name: &str| match jumun_core::contracts::option(method, name) {
        Some(Value::Message(message)) => serde_json::to_value(message).expect("JSON"),
        _ => Json::Null,
    };
    let (http, deadline) = (option("google.api.http"), option("jumun.options.v1.deadline"));
    let bindings = [&http].into_iter().chain(list(&http["additionalBindings"]));
    let json = bindings.flat_map(|rule| {
        [("GET", "get"), ("POST", "post"), ("PUT", "put"), ("DELETE", "delete"), ("PATCH", "patch")]
            .into_iter()
            .filter_map(|(verb, field)| Some((verb, example(rule[field].as_str()?))))
    });
    let seconds = deadline.as_str().and_then(|text| text.trim_end_matches('s').parse().ok());
    Declared {
        context,
        grpc: jumun_core::contracts::path(method),
        json: json.collect(),
        roles: roles(method),
        deadline: seconds.map_or(MAX_CALL, Duration::from_secs_f64),
        is_stream: method.is_server_streaming(),
        is_read: http["get"].is_string(),
    }
}

fn roles(method: &MethodDescriptor) -> Vec<i32> {
    let access = jumun_core::contracts::option(method, "jumun.options.v1.access");
    let access = access.as_ref().and_then(Value::as_message);
    let roles = access.and_then(|access| access.get_field_by_name("roles"));
    roles.iter().filter_map(|roles| roles.as_list()).flatten().filter_map(Value::as_enum_number).collect()
}

/// A path that matches a template.
fn example(template: &str) -> String {
    let inner = expression(r"\{[^=}]+=([^}]*)\}").replace_all(template, "$1").into_owned();
    expression(r"\{[^}]+\}|\*").replace_all(&inner, "0193e2c5-7a").into_owned()
}

/// A regular expression, compiled once: the routes have few of them and are matched often.
pub(super) fn expression(text: &str) -> Regex {
    static KNOWN: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().expect("no panic while it was locked");
    known.entry(text.to_owned()).or_insert_with(|| Regex::new(text).expect("RE2")).clone()
}
