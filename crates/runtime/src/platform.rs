//! The platform: the contracts, and the services that every process serves beside those of its contexts.

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
    /// The protobuf contracts.
    pub contracts: Contracts,
    /// Title and version of the OpenAPI document.
    pub about: About,
    /// The names of the platform's own services that faults may target.
    pub services: &'static [&'static str],
    /// Registers the platform's own services.
    pub serve: fn(&mut ServiceRegistry, Operations),
}

/// The parts of a running process that operators may inspect and change.
#[derive(Clone)]
pub struct Operations {
    /// The engines with events.
    pub engines: Vec<Arc<dyn EngineHandle>>,
    /// The subscriptions.
    pub subscriptions: Vec<Arc<dyn SubscriptionHandle>>,
    /// Limits, circuits and bulkheads.
    pub overload: Arc<Overload>,
    /// Faults for drills; None: drills are off.
    pub faults: Option<Arc<Faults>>,
}

impl Operations {
    /// The engine whose database has this name.
    pub fn engine(&self, context: &str) -> Option<&Arc<dyn EngineHandle>> {
        self.engines.iter().find(|engine| engine.database().schema() == context)
    }
}
