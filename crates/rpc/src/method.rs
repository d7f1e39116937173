//! The table of methods: deadline, streaming and essential methods, as the contracts declare them, by path.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jumun_core::{
    Contracts,
    contracts::{option, path},
};
use prost_reflect::{MethodDescriptor, Value};

/// The deadline of a call whose method declares none and whose caller sets none.
pub const MAX_CALL: Duration = Duration::from_secs(10);

/// The longest duration of a stream whose method declares none. Its reader opens it again, perhaps at another replica.
pub const MAX_STREAM: Duration = Duration::from_secs(15 * 60);
/// The name of every path that is no method's, so that the number of metric series stays bounded.
const OTHER: &str = "_OTHER";
/// Standard methods, which the platform's contracts do not declare; true: the response is a stream.
const STANDARD: [(&str, bool); 4] = [
    ("grpc.health.v1.Health/Check", false),
    ("grpc.health.v1.Health/Watch", true),
    ("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", true),
    ("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", true),
];
/// Prefixes of standard services that are exempt from limits and faults.
const ESSENTIAL: [&str; 2] = ["grpc.health.", "grpc.reflection."];

/// The prefix of the standard methods that create.
const CREATE: &str = "Create";

/// A method, as its contract declares it.
#[derive(Debug)]
pub struct Method {
    /// Its index in the table.
    pub index: usize,
    /// `package.Service/Method`, or `_OTHER`.
    pub name: String,
    /// The longest duration of a call, or of a stream.
    pub deadline: Duration,
    /// It answers with a stream.
    pub is_stream: bool,
    /// Exempt from limits and faults.
    pub is_essential: bool,
    /// A standard method `Create…` (AIP-133): what it accepts, the platform has to carry on.
    pub creates: bool,
}

/// Every method that can be called.
#[derive(Debug)]
pub struct MethodTable {
    methods: Vec<Arc<Method>>,
    by_path: HashMap<String, usize>,
}

impl MethodTable {
    /// The standard methods, and those that the contracts declare.
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
            let creates = name.split('/').next_back().is_some_and(|method| method.starts_with(CREATE));
            Arc::new(Method { index, name, deadline, is_stream, is_essential, creates })
        };
        let methods: Vec<_> = [other].into_iter().chain(standard).chain(declared).enumerate().map(entry).collect();
        let by_path = methods.iter().map(|method| (format!("/{}", method.name), method.index)).collect();
        Self { methods, by_path }
    }

    /// The method at a path; `_OTHER` if there is none.
    pub fn at(&self, path: &str) -> &Arc<Method> {
        &self.methods[self.by_path.get(path).copied().unwrap_or_default()]
    }

    /// Every method, in the order of their indexes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Method>> {
        self.methods.iter()
    }
}

impl Method {
    /// How long a call may take until its response begins. `asked` is the caller's timeout.
    pub fn timeout(&self, asked: Option<Duration>) -> Duration {
        let most = if self.is_stream { MAX_CALL } else { self.deadline };
        asked.map_or(most, |asked| asked.min(most))
    }
}

fn bound(declared: Option<Duration>, is_stream: bool) -> Duration {
    declared.unwrap_or(if is_stream { MAX_STREAM } else { MAX_CALL })
}

/// The deadline that a method declares, if it is positive.
fn declared_deadline(method: &MethodDescriptor, option_name: &str) -> Option<Duration> {
    let option = option(method, option_name)?;
    let duration = option.as_message()?;
    let seconds = duration.get_field_by_name("seconds").as_deref().and_then(Value::as_i64)?;
    let nanos = duration.get_field_by_name("nanos").as_deref().and_then(Value::as_i32)?;
    Some(Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?)).filter(|deadline| !deadline.is_zero())
}
