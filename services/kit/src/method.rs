//! What the contracts declare about each method, by the path that it is called at; read once.

use std::{collections::HashMap, sync::LazyLock, time::Duration};

use prost_reflect::{MethodDescriptor, Value};

use crate::{descriptors, edge::MAX_CALL};

/// How long a stream may go on where its method declares nothing. Its reader opens it again, perhaps elsewhere.
pub const MAX_STREAM: Duration = Duration::from_secs(15 * 60);
/// What any path is called that is no method's: there are as many of those as somebody likes to try.
const OTHER: &str = "_OTHER";
/// Methods that no contract of ours declares; true: it answers with a stream.
const STANDARD: [(&str, bool); 4] = [
    ("grpc.health.v1.Health/Check", false),
    ("grpc.health.v1.Health/Watch", true),
    ("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", true),
    ("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", true),
];
/// What an operator needs most when everything else is refused.
const ESSENTIAL: [&str; 3] = ["grpc.health.", "grpc.reflection.", "jumun.admin."];

/// A method, as its contract declares it.
#[derive(Debug)]
pub(crate) struct Method {
    /// Its place in the table.
    pub(crate) index: usize,
    /// `package.Service/Method`, or `_OTHER`.
    pub(crate) name: String,
    /// How long a call may take; of a stream, how long it may go on.
    pub(crate) deadline: Duration,
    pub(crate) is_stream: bool,
    /// It is answered however busy the process is.
    pub(crate) is_essential: bool,
}

struct Table {
    methods: Vec<Method>,
    by_path: HashMap<String, usize>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let other = (OTHER.to_owned(), MAX_CALL, false);
    let standard = STANDARD.map(|(name, is_stream)| (name.to_owned(), bound(None, is_stream), is_stream));
    let declared = descriptors::methods().map(|method| {
        let is_stream = method.is_server_streaming();
        let name = descriptors::path(&method).trim_start_matches('/').to_owned();
        (name, bound(declared_deadline(&method), is_stream), is_stream)
    });
    let methods: Vec<_> = [other].into_iter().chain(standard).chain(declared).enumerate().map(entry).collect();
    let by_path = methods.iter().map(|method| (format!("/{}", method.name), method.index)).collect();
    Table { methods, by_path }
});

impl Method {
    /// The method that is called at a path.
    pub(crate) fn at(path: &str) -> &'static Method {
        let table = &*TABLE;
        &table.methods[table.by_path.get(path).copied().unwrap_or_default()]
    }

    /// Every method, in the order of the table.
    pub(crate) fn all() -> &'static [Method] {
        &TABLE.methods
    }

    /// How long a call may take until its answer begins, where its caller asked for `asked`.
    pub(crate) fn timeout(&self, asked: Option<Duration>) -> Duration {
        let most = if self.is_stream { MAX_CALL } else { self.deadline };
        asked.map_or(most, |asked| asked.min(most))
    }
}

fn entry((index, (name, deadline, is_stream)): (usize, (String, Duration, bool))) -> Method {
    let is_essential = ESSENTIAL.iter().any(|prefix| name.starts_with(prefix));
    Method { index, name, deadline, is_stream, is_essential }
}

fn bound(declared: Option<Duration>, is_stream: bool) -> Duration {
    declared.unwrap_or(if is_stream { MAX_STREAM } else { MAX_CALL })
}

/// The option `jumun.options.v1.deadline`.
fn declared_deadline(method: &MethodDescriptor) -> Option<Duration> {
    let option = descriptors::option(method, "jumun.options.v1.deadline")?;
    let duration = option.as_message()?;
    let seconds = duration.get_field_by_name("seconds").as_deref().and_then(Value::as_i64)?;
    let nanos = duration.get_field_by_name("nanos").as_deref().and_then(Value::as_i32)?;
    Some(Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?)).filter(|deadline| !deadline.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_has_the_deadline_that_its_contract_declares() {
        let create = Method::at("/jumun.order.v1.OrderService/CreateOrder");
        assert_eq!(
            (create.name.as_str(), create.deadline),
            ("jumun.order.v1.OrderService/CreateOrder", Duration::from_secs(4))
        );
        assert_eq!(Method::at("/jumun.order.v1.OrderService/GetOrder").deadline, Duration::from_secs(2));
        assert_eq!(Method::at("/jumun.bench.v1.BenchService/Echo").deadline, MAX_CALL, "where nothing is declared");
    }

    #[test]
    fn a_deadline_is_the_callers_unless_it_is_longer_than_the_methods() {
        let create = Method::at("/jumun.order.v1.OrderService/CreateOrder");
        for (asked, given) in [(None, 4000), (Some(200), 200), (Some(4000), 4000), (Some(60_000), 4000)] {
            assert_eq!(create.timeout(asked.map(Duration::from_millis)), Duration::from_millis(given), "{asked:?}");
        }
    }

    #[test]
    fn a_stream_begins_within_a_calls_time_and_goes_on_longer() {
        let watch = Method::at("/jumun.order.v1.OrderService/WatchOrder");
        assert!(watch.is_stream);
        assert_eq!((watch.timeout(None), watch.deadline), (MAX_CALL, MAX_STREAM));
    }

    #[test]
    fn every_call_between_contexts_ends_before_its_callers_time_is_up() {
        for method in Method::all().iter().filter(|method| !method.is_stream) {
            assert!(method.deadline <= MAX_CALL, "{}", method.name);
        }
        let [create, authorize] = ["order.v1.OrderService/CreateOrder", "payment.v1.PaymentService/AuthorizePayment"]
            .map(|name| Method::at(&format!("/jumun.{name}")).deadline);
        assert!(authorize < create);
    }

    #[test]
    fn health_reflection_and_the_operators_door_are_essential_and_a_path_that_nobody_knows_is_not() {
        for path in ["/grpc.health.v1.Health/Check", "/jumun.admin.v1.AdminService/ListDeadLetters"] {
            assert!(Method::at(path).is_essential, "{path}");
        }
        let other = Method::at("/no.such.Service/Method");
        assert!(!other.is_essential && other.name == OTHER);
    }
}
