//! Overload protection: limits for incoming calls, and circuits and bulkheads for outgoing ones.
//!
//! Incoming: every method has an adaptive concurrency limit; a call beyond it is rejected before any work is done.
//! Outgoing: every context that is called has a circuit breaker and a retry budget, and every external provider has a
//! bulkhead. Every rejection carries a retry delay.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize},
};

use crate::{
    backlog::Backlog,
    bulkhead::Bulkhead,
    circuit::Circuit,
    limiter::{Limiter, MAX_LIMIT},
    method::{Method, MethodTable},
};

/// The limits, circuits and bulkheads of a process.
#[derive(Debug)]
pub struct Overload {
    /// Whether calls beyond the limits are rejected.
    pub is_protected: bool,
    methods: Arc<MethodTable>,
    /// By the method's index.
    limiters: Vec<Limiter>,
    /// One for each context that is called.
    pub circuits: Vec<Arc<Circuit>>,
    /// One for each external provider.
    pub bulkheads: Vec<Arc<Bulkhead>>,
    /// The connections of the listener.
    pub connections: Connections,
    /// The events that wait.
    pub backlog: Backlog,
}

/// Counts of connections.
#[derive(Debug, Default)]
pub struct Connections {
    /// Open now.
    pub open: AtomicUsize,
    /// Rejected since the start.
    pub refused: AtomicU64,
}

impl Overload {
    /// The protection of a process that serves these methods. Limits start at their maximum.
    pub fn new(
        is_protected: bool,
        methods: Arc<MethodTable>,
        circuits: Vec<Arc<Circuit>>,
        bulkheads: Vec<Arc<Bulkhead>>,
    ) -> Self {
        let limiters = methods.iter().map(|_| Limiter::new()).collect();
        let (connections, backlog) = (Connections::default(), Backlog::default());
        Self { is_protected, methods, limiters, circuits, bulkheads, connections, backlog }
    }

    /// The limit of a method.
    pub fn limiter(&self, method: &Method) -> &Limiter {
        &self.limiters[method.index]
    }

    /// The limits that are in use, or were lowered or reached, with their methods.
    pub fn limits(&self) -> impl Iterator<Item = (&Arc<Method>, &Limiter)> {
        let is_active =
            |limiter: &Limiter| limiter.in_flight() > 0 || limiter.limit() < MAX_LIMIT || limiter.refused() > 0;
        self.methods.iter().zip(&self.limiters).filter(move |(_, limiter)| is_active(limiter))
    }
}
