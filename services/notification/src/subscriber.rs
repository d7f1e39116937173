//! Who wants to hear when an order changes: what the customer context announced, as far as it is needed here. Pure.

use engine::{Aggregate, Decision};
use jumun_core::Error;

/// One registration's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// The registration's.
    pub id: String,
    /// The name that the customer orders by.
    pub account: String,
    /// Whether it stands, and wants to hear.
    pub is_listening: bool,
    /// The number of the event that said so: one before it does not undo it.
    pub heard: i64,
}

impl Subscriber {
    /// The choice after an event.
    pub(crate) fn choose(existing: Option<&Subscriber>, chosen: &Subscriber) -> Result<Decision<Subscriber>, Error> {
        match existing {
            Some(subscriber) if subscriber.heard >= chosen.heard => Ok(Decision::Leave),
            _ => Decision::save(chosen.clone()),
        }
    }
}

impl Aggregate for Subscriber {
    type Event = ();
    type Resource = ();

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) {}
}
