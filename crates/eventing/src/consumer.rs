//! Runs a subscription on either bus.

use engine::Stored;

use crate::{bus::Bus, catch_up::CatchUp, subscription::Subscription};

/// Applies the events of a subscription until the process stops or the future is dropped. On the local bus it does
/// nothing if the source does not run in this process.
pub async fn consume<A: Stored>(subscription: Subscription<A>) {
    match &subscription.bus {
        Bus::Local(bus) => {
            if let Some(history) = bus.history(subscription.source) {
                let progress = bus.progress(subscription.source, &subscription.name);
                CatchUp::run(&subscription, history, progress).await;
            }
        }
        Bus::JetStream(bus) => subscription.receive_from(bus).await,
    }
}
