//! Fault injection: faults that an operator sets for a drill make calls fail or wait, always the same ones.
//!
//! A fault is injected in place of the handler: the call was admitted, is measured and has its deadline, so for clients
//! the process itself fails. Essential methods (health, reflection, AdminService) are exempt.

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

/// The number of faults that one process may have.
pub(crate) const MAX_FAULTS: usize = 32;
/// The longest delay: a call cannot take longer.
pub const MAX_DELAY: Duration = MAX_CALL;
/// The target that matches every method.
const ALL: &str = "*";

/// A fault: which calls fail or wait, and how.
#[derive(Debug)]
pub struct Fault {
    /// A method (`package.Service/Method`), a service (`package.Service`), or `*`.
    pub target: String,
    /// The code that calls fail with; OK: they do not fail.
    pub code: Code,
    /// How long calls wait before they fail or proceed.
    pub delay: Duration,
    /// The fault is injected into every n-th call; 1: into each.
    pub every: u64,
    /// The number of calls that it is injected into at most; 0: unlimited.
    pub max_count: u64,
    /// Calls of the target since the fault was set.
    calls: AtomicU64,
}

impl Fault {
    /// A fault that has matched no call yet. An `every` of 0 counts as 1.
    pub fn new(target: String, code: Code, delay: Duration, every: u64, max_count: u64) -> Self {
        Self { target, code, delay, every: every.max(1), max_count, calls: AtomicU64::new(0) }
    }

    /// Calls of the target since the fault was set, and those that it was injected into.
    pub fn counts(&self) -> (u64, u64) {
        let calls = self.calls.load(Relaxed);
        let due = calls / self.every;
        (calls, if self.max_count == 0 { due } else { due.min(self.max_count) })
    }

    /// Counts a call; true when the fault is to be injected into it.
    fn matches(&self) -> bool {
        let number = self.calls.fetch_add(1, Relaxed) + 1;
        number.is_multiple_of(self.every) && (self.max_count == 0 || number / self.every <= self.max_count)
    }

    /// Delays a call, and then fails it or lets it proceed.
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

/// The faults of a process in which drills are enabled.
pub struct Faults {
    /// The gRPC services that can have faults.
    services: Vec<&'static str>,
    methods: Arc<MethodTable>,
    set: RwLock<BTreeMap<String, Arc<Fault>>>,
}

impl Faults {
    /// An empty set of faults for a process that serves these gRPC services.
    pub fn of(services: &[&'static str], methods: Arc<MethodTable>) -> Self {
        Self { services: services.to_vec(), methods, set: RwLock::default() }
    }

    /// The fault to inject into this call of a method. The most specific target takes precedence.
    fn matching(&self, method: &Method) -> Option<Arc<Fault>> {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        if set.is_empty() || method.is_essential {
            return None;
        }
        let service = method.name.split('/').next().unwrap_or_default();
        let fault = [method.name.as_str(), service, ALL].into_iter().find_map(|target| set.get(target))?;
        fault.matches().then(|| fault.clone())
    }

    /// Whether a fault of this process may have this target.
    pub fn knows(&self, target: &str) -> bool {
        let is_method = || self.methods.iter().any(|method| !method.is_essential && method.name == target);
        let service = target.split('/').next().unwrap_or_default();
        target == ALL || self.services.contains(&service) && (service == target || is_method())
    }

    /// Sets a fault, which replaces another with the same target. Fails with TOO_MANY_FAULTS beyond [`MAX_FAULTS`].
    pub fn set(&self, fault: Fault) -> Result<Arc<Fault>, Error> {
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        if set.len() >= MAX_FAULTS && !set.contains_key(&fault.target) {
            let message = format!("{MAX_FAULTS} faults are set, which is the limit");
            return Err(Error::new(&reasons::TOO_MANY_FAULTS, message));
        }
        let fault = Arc::new(fault);
        set.insert(fault.target.clone(), fault.clone());
        Ok(fault)
    }

    /// Removes the fault with this target, or all faults if it is empty; returns how many were removed.
    pub fn clear(&self, target: &str) -> usize {
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        if target.is_empty() { std::mem::take(&mut *set).len() } else { usize::from(set.remove(target).is_some()) }
    }

    /// Every fault, sorted by target.
    pub fn list(&self) -> Vec<Arc<Fault>> {
        self.set.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// Injects the faults that match. None: drills are off, and every call proceeds.
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

    /// The calls among the first twelve that a fault is injected into.
    fn injected(every: u64, max_count: u64) -> Vec<u64> {
        let fault = Fault::new(ECHO.to_owned(), Code::Unavailable, Duration::ZERO, every, max_count);
        let injected: Vec<_> = (1..=12).filter(|_| fault.matches()).collect();
        let count = u64::try_from(injected.len()).expect("few");
        assert_eq!(fault.counts(), (12, count));
        injected
    }

    #[test]
    fn a_fault_is_injected_into_the_same_calls_each_time() {
        assert_eq!(injected(1, 0), (1..=12).collect::<Vec<_>>());
        assert_eq!(injected(0, 3), [1, 2, 3]);
        assert_eq!(injected(4, 0), [4, 8, 12]);
        assert_eq!(injected(5, 1), [5]);
        assert!(injected(13, 0).is_empty());
    }

    #[test]
    fn the_most_specific_target_takes_precedence_and_essential_methods_are_exempt() {
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
    fn only_what_this_process_serves_can_be_a_target() {
        let (faults, _) = faults();
        for known in [ALL, ECHO, "test.Things"] {
            assert!(faults.knows(known), "{known}");
        }
        for unknown in ["", "test.Things/No", "test.Others", "grpc.health.v1.Health"] {
            assert!(!faults.knows(unknown), "{unknown}");
        }
    }
}
