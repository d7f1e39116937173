//! What the binary tells the runtime about itself: its contracts, and what every process serves beside its contexts.

use std::sync::Arc;

use engine::EngineHandle;
use eventing::SubscriptionHandle;
use jumun_core::Contracts;
use rpc::{Faults, Overload};
use transcode::About;

use crate::service_registry::ServiceRegistry;

/// The platform that contexts run on.
#[derive(Clone)]
pub struct Platform {
    /// Its contracts.
    pub contracts: Contracts,
    /// What the OpenAPI document says of it.
    pub about: About,
    /// The services that every process serves beside those of its contexts.
    pub services: &'static [&'static str],
    /// Registers them.
    pub serve: fn(&mut ServiceRegistry, Operations),
}

/// What an operator may look at, and change, in a running process.
#[derive(Clone)]
pub struct Operations {
    /// The engines that announce events.
    pub engines: Vec<Arc<dyn EngineHandle>>,
    /// The subscriptions.
    pub subscriptions: Vec<Arc<dyn SubscriptionHandle>>,
    /// Limits, circuits and bulkheads.
    pub overload: Arc<Overload>,
    /// Faults for drills; None: the process was not started for any.
    pub faults: Option<Arc<Faults>>,
}

impl Operations {
    /// The engine whose database has this name.
    pub fn engine(&self, context: &str) -> Option<&Arc<dyn EngineHandle>> {
        self.engines.iter().find(|engine| engine.database().schema() == context)
    }
}
