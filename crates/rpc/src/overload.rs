//! What keeps a process from more than it can do, and from whoever does not answer it.
//!
//! Coming in, every method has a limit of its own that follows what can be done; a call beyond it is refused before
//! anything is done for it. Going out, every context that is called stands behind a circuit breaker and a budget of
//! retries, and every provider behind a bulkhead. What is refused says when to come again.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize},
};

use crate::{
    bulkhead::Bulkhead,
    circuit::Circuit,
    limiter::{Limiter, MAX_LIMIT},
    method::{Method, MethodTable},
};

/// Everything of a process that limits.
#[derive(Debug)]
pub struct Overload {
    /// Whether too much at once is refused.
    pub is_protected: bool,
    methods: Arc<MethodTable>,
    /// By the method's index.
    limiters: Vec<Limiter>,
    /// One for each context that is called.
    pub circuits: Vec<Arc<Circuit>>,
    /// One for each provider outside.
    pub bulkheads: Vec<Arc<Bulkhead>>,
    /// What the listener holds.
    pub connections: Connections,
}

/// Connections that are open, and those that were turned away since the start.
#[derive(Debug, Default)]
pub struct Connections {
    /// Open now.
    pub open: AtomicUsize,
    /// Refused since the start.
    pub refused: AtomicU64,
}

impl Overload {
    /// Nothing is under way yet.
    pub fn new(
        is_protected: bool,
        methods: Arc<MethodTable>,
        circuits: Vec<Arc<Circuit>>,
        bulkheads: Vec<Arc<Bulkhead>>,
    ) -> Self {
        let limiters = methods.iter().map(|_| Limiter::new()).collect();
        Self { is_protected, methods, limiters, circuits, bulkheads, connections: Connections::default() }
    }

    /// The limit of a method.
    pub fn limiter(&self, method: &Method) -> &Limiter {
        &self.limiters[method.index]
    }

    /// The limits that have something to tell: they are used, or were lowered or reached.
    pub fn limits(&self) -> impl Iterator<Item = (&Arc<Method>, &Limiter)> {
        let tells = |limiter: &Limiter| limiter.under_way() > 0 || limiter.limit() < MAX_LIMIT || limiter.refused() > 0;
        self.methods.iter().zip(&self.limiters).filter(move |(_, limiter)| tells(limiter))
    }
}
