//! What keeps a process from more than it can do, and from whoever does not answer it.
//!
//! Coming in, every method has a limit of its own that follows what can be done; a call beyond it is refused before
//! anything is done for it. Going out, every context that is called stands behind a circuit breaker and a budget of
//! retries, and every provider behind a bulkhead. What is refused says when to come again.

mod breaker;
mod budget;
mod bulkhead;
mod circuit;
mod limiter;

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize},
};

pub(crate) use breaker::State;
pub use bulkhead::{Bulkhead, Place};
pub(crate) use circuit::Circuit;
pub(crate) use limiter::{Limiter, MAX_LIMIT, Sign};

use crate::method::Method;

/// Everything of a process that limits.
#[derive(Debug)]
pub(crate) struct Overload {
    pub(crate) is_protected: bool,
    /// By the method's index.
    limiters: Vec<Limiter>,
    pub(crate) circuits: Vec<Arc<Circuit>>,
    pub(crate) bulkheads: Vec<Arc<Bulkhead>>,
    pub(crate) connections: Connections,
}

/// Connections that are open, and those that were turned away since the start.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    pub(crate) open: AtomicUsize,
    pub(crate) refused: AtomicU64,
}

impl Overload {
    pub(crate) fn new(is_protected: bool, circuits: Vec<Arc<Circuit>>, bulkheads: Vec<Arc<Bulkhead>>) -> Self {
        let limiters = Method::all().iter().map(|_| Limiter::new()).collect();
        Self { is_protected, limiters, circuits, bulkheads, connections: Connections::default() }
    }

    pub(crate) fn limiter(&self, method: &Method) -> &Limiter {
        &self.limiters[method.index]
    }

    /// The limits that have something to tell: they are used, or were lowered or reached.
    pub(crate) fn limits(&self) -> impl Iterator<Item = (&'static Method, &Limiter)> {
        let tells = |limiter: &Limiter| limiter.under_way() > 0 || limiter.limit() < MAX_LIMIT || limiter.refused() > 0;
        Method::all().iter().zip(&self.limiters).filter(move |(_, limiter)| tells(limiter))
    }
}
