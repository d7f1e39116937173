//! Faults that an operator sets for a drill: which calls of this process fail or wait, the same ones each time.
//!
//! A fault strikes where a handler would begin: the call was let in, is measured and has its deadline, so from outside
//! it is this process that fails. What the operator needs (health, reflection, the operator's door) is never struck.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::future::{BoxFuture, Either};
use http::Response;
use jumun_core::{Error, reasons, time::sleep};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

use crate::{
    call::Call,
    method::{MAX_CALL, Method, MethodTable},
};

/// Faults of one process.
pub(crate) const MAX_FAULTS: usize = 32;
/// A longer delay would outlast every call.
pub const MAX_DELAY: Duration = MAX_CALL;
/// Stands for every method.
const ALL: &str = "*";

/// What injects calls.
#[derive(Debug)]
pub struct Fault {
    /// A method (`package.Service/Method`), a service (`package.Service`), or `*`.
    pub target: String,
    /// What they fail with; OK: they do not.
    pub code: Code,
    /// How long they wait first.
    pub delay: Duration,
    /// Every so many calls; 1: each of them.
    pub every: u64,
    /// How many at most; 0: any number.
    pub max_count: u64,
    /// Calls that it looked at.
    calls: AtomicU64,
}

impl Fault {
    /// A fault of the calls of `target` that looked at no call yet.
    pub fn new(target: String, code: Code, delay: Duration, every: u64, max_count: u64) -> Self {
        Self { target, code, delay, every: every.max(1), max_count, calls: AtomicU64::new(0) }
    }

    /// Calls that it looked at, and those that it struck.
    pub fn counts(&self) -> (u64, u64) {
        let calls = self.calls.load(Relaxed);
        let due = calls / self.every;
        (calls, if self.max_count == 0 { due } else { due.min(self.max_count) })
    }

    /// Counts a call, and says whether it is struck.
    fn matches(&self) -> bool {
        let number = self.calls.fetch_add(1, Relaxed) + 1;
        number.is_multiple_of(self.every) && (self.max_count == 0 || number / self.every <= self.max_count)
    }

    /// Answers a struck call.
    async fn inject(
        self: Arc<Self>,
        answer: impl Future<Output = Result<Response<Body>, Infallible>>,
    ) -> Result<Response<Body>, Infallible> {
        if !self.delay.is_zero() {
            sleep(self.delay).await;
        }
        match self.code {
            Code::Ok => answer.await,
            code => Ok(Status::from(Error::drill(code)).into_http()),
        }
    }
}

/// The faults of a process that was started for drills.
pub struct Faults {
    /// The gRPC services that can have them.
    services: Vec<&'static str>,
    methods: Arc<MethodTable>,
    set: RwLock<BTreeMap<String, Arc<Fault>>>,
}

impl Faults {
    /// None are set; calls of these services can have them.
    pub fn of(services: &[&'static str], methods: Arc<MethodTable>) -> Self {
        Self { services: services.to_vec(), methods, set: RwLock::default() }
    }

    /// The fault that strikes this call of a method. The most exact target decides.
    fn matching(&self, method: &Method) -> Option<Arc<Fault>> {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        if set.is_empty() || method.is_essential {
            return None;
        }
        let service = method.name.split('/').next().unwrap_or_default();
        let fault = [method.name.as_str(), service, ALL].into_iter().find_map(|target| set.get(target))?;
        fault.matches().then(|| fault.clone())
    }

    /// Whether this process can have a fault there.
    pub fn knows(&self, target: &str) -> bool {
        let is_method = || self.methods.iter().any(|method| !method.is_essential && method.name == target);
        let service = target.split('/').next().unwrap_or_default();
        target == ALL || self.services.contains(&service) && (service == target || is_method())
    }

    /// Sets a fault, instead of another with the same target.
    pub fn set(&self, fault: Fault) -> Result<Arc<Fault>, Error> {
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        if set.len() >= MAX_FAULTS && !set.contains_key(&fault.target) {
            let message = format!("there are {MAX_FAULTS} faults, and more there may not be");
            return Err(Error::new(&reasons::TOO_MANY_FAULTS, message));
        }
        let fault = Arc::new(fault);
        set.insert(fault.target.clone(), fault.clone());
        Ok(fault)
    }

    /// Takes away the fault with this target, or all of them where it is empty; returns how many those were.
    pub fn clear(&self, target: &str) -> usize {
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        if target.is_empty() { std::mem::take(&mut *set).len() } else { usize::from(set.remove(target).is_some()) }
    }

    /// Every fault, by its target.
    pub fn list(&self) -> Vec<Arc<Fault>> {
        self.set.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// Makes the calls fail or wait that a fault matches; without faults, every call goes on.
#[derive(Clone)]
pub(crate) struct FaultInjectionLayer(pub(crate) Option<Arc<Faults>>);

impl<S> Layer<S> for FaultInjectionLayer {
    type Service = FaultInjection<S>;

    fn layer(&self, inner: S) -> FaultInjection<S> {
        FaultInjection { faults: self.0.clone(), inner }
    }
}

#[derive(Clone)]
pub(crate) struct FaultInjection<S> {
    faults: Option<Arc<Faults>>,
    inner: S,
}

impl<S> Service<Call> for FaultInjection<S>
where
    S: Service<Call, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let fault = self.faults.as_ref().and_then(|faults| faults.matching(&call.method));
        let answer = self.inner.call(call);
        match fault {
            None => Either::Left(answer),
            Some(fault) => Either::Right(Box::pin(fault.inject(answer))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::tests::contracts;

    const ECHO: &str = "test.Things/Echo";

    fn faults() -> (Faults, Arc<MethodTable>) {
        let methods = Arc::new(MethodTable::new(&contracts()));
        (Faults::of(&["test.Things"], methods.clone()), methods)
    }

    /// The calls among the first twelve that a fault strikes.
    fn struck(every: u64, max_count: u64) -> Vec<u64> {
        let fault = Fault::new(ECHO.to_owned(), Code::Unavailable, Duration::ZERO, every, max_count);
        let struck: Vec<_> = (1..=12).filter(|_| fault.matches()).collect();
        let count = u64::try_from(struck.len()).expect("few");
        assert_eq!(fault.counts(), (12, count));
        struck
    }

    #[test]
    fn the_calls_that_are_struck_are_the_same_each_time() {
        assert_eq!(struck(1, 0), (1..=12).collect::<Vec<_>>());
        assert_eq!(struck(0, 3), [1, 2, 3]);
        assert_eq!(struck(4, 0), [4, 8, 12]);
        assert_eq!(struck(5, 1), [5]);
        assert!(struck(13, 0).is_empty());
    }

    #[test]
    fn the_most_exact_target_decides_and_the_operators_door_is_never_struck() {
        let (faults, methods) = faults();
        let set = |target: &str, code| {
            faults.set(Fault::new(target.to_owned(), code, Duration::ZERO, 1, 0)).expect("room");
        };
        let code = |path: &str| faults.matching(methods.at(path)).map(|fault| fault.code);
        let echo = format!("/{ECHO}");
        assert_eq!(code(&echo), None);
        set(ALL, Code::Internal);
        assert_eq!(code(&echo), Some(Code::Internal));
        set("test.Things", Code::Aborted);
        assert_eq!(code(&echo), Some(Code::Aborted));
        set(ECHO, Code::Ok);
        assert_eq!(code(&echo), Some(Code::Ok));
        for essential in ["/grpc.health.v1.Health/Check", "/test.Operators/Look"] {
            assert_eq!(code(essential), None, "{essential}");
        }
        assert_eq!((faults.clear(ECHO), faults.clear(ECHO), faults.clear(""), faults.list().len()), (1, 0, 2, 0));
    }

    #[test]
    fn only_what_this_process_serves_is_known() {
        let (faults, _) = faults();
        for known in [ALL, ECHO, "test.Things"] {
            assert!(faults.knows(known), "{known}");
        }
        for unknown in ["", "test.Things/No", "test.Others", "grpc.health.v1.Health"] {
            assert!(!faults.knows(unknown), "{unknown}");
        }
    }
}
