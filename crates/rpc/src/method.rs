//! What the contracts declare about each method, by the path that it is called at.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jumun_core::{
    Contracts,
    contracts::{option, path},
};
use prost_reflect::{MethodDescriptor, Value};

/// How long a call may take at most, where its method declares nothing and its caller sets no deadline.
pub const MAX_CALL: Duration = Duration::from_secs(10);

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
/// Services of the protocol itself that are served even when everything else is refused.
const ESSENTIAL: [&str; 2] = ["grpc.health.", "grpc.reflection."];

/// A method, as its contract declares it.
#[derive(Debug)]
pub struct Method {
    /// Its place in the table.
    pub index: usize,
    /// `package.Service/Method`, or `_OTHER`.
    pub name: String,
    /// How long a call may take; of a stream, how long it may go on.
    pub deadline: Duration,
    /// It answers with a stream.
    pub is_stream: bool,
    /// It is answered however busy the process is.
    pub is_essential: bool,
}

/// Every method that a process may be asked for.
#[derive(Debug)]
pub struct MethodTable {
    methods: Vec<Arc<Method>>,
    by_path: HashMap<String, usize>,
}

impl MethodTable {
    /// The methods of the protocol itself, and those that the contracts declare.
    pub fn new(contracts: &Contracts) -> Self {
        let other = (OTHER.to_owned(), MAX_CALL, false);
        let standard = STANDARD.map(|(name, is_stream)| (name.to_owned(), bound(None, is_stream), is_stream));
        let declared = contracts.methods().map(|method| {
            let is_stream = method.is_server_streaming();
            let name = path(&method).trim_start_matches('/').to_owned();
            (name, bound(declared_deadline(&method, contracts.deadline_option), is_stream), is_stream)
        });
        let entry = |(index, (name, deadline, is_stream)): (usize, (String, Duration, bool))| {
            let mut essential = ESSENTIAL.iter().chain(contracts.essential_services);
            let is_essential = essential.any(|prefix| name.starts_with(prefix));
            Arc::new(Method { index, name, deadline, is_stream, is_essential })
        };
        let methods: Vec<_> = [other].into_iter().chain(standard).chain(declared).enumerate().map(entry).collect();
        let by_path = methods.iter().map(|method| (format!("/{}", method.name), method.index)).collect();
        Self { methods, by_path }
    }

    /// The method that is called at a path.
    pub fn at(&self, path: &str) -> &Arc<Method> {
        &self.methods[self.by_path.get(path).copied().unwrap_or_default()]
    }

    /// Every method, in the order of their places.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Method>> {
        self.methods.iter()
    }
}

impl Method {
    /// How long a call may take until its answer begins, where its caller asked for `asked`.
    pub fn timeout(&self, asked: Option<Duration>) -> Duration {
        let most = if self.is_stream { MAX_CALL } else { self.deadline };
        asked.map_or(most, |asked| asked.min(most))
    }
}

fn bound(declared: Option<Duration>, is_stream: bool) -> Duration {
    declared.unwrap_or(if is_stream { MAX_STREAM } else { MAX_CALL })
}

/// The bound that a method declares.
fn declared_deadline(method: &MethodDescriptor, option_name: &str) -> Option<Duration> {
    let option = option(method, option_name)?;
    let duration = option.as_message()?;
    let seconds = duration.get_field_by_name("seconds").as_deref().and_then(Value::as_i64)?;
    let nanos = duration.get_field_by_name("nanos").as_deref().and_then(Value::as_i32)?;
    Some(Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?)).filter(|deadline| !deadline.is_zero())
}
