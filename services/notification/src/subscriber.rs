//! Customers that are notified of order changes, from the events of the customer context. Pure.

use engine::{Aggregate, Decision};
use jumun_core::Error;

/// The choice of one registered customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// The id of the registration.
    pub id: String,
    /// The name of the account.
    pub account: String,
    /// Whether the customer is registered and wants notifications.
    pub is_listening: bool,
    /// The number of the latest event that was applied; older ones change nothing.
    pub event_number: i64,
}

impl Subscriber {
    /// Applies the choice of a newer event.
    pub(crate) fn update(existing: Option<&Subscriber>, updated: &Subscriber) -> Result<Decision<Subscriber>, Error> {
        match existing {
            Some(subscriber) if subscriber.event_number >= updated.event_number => Ok(Decision::Leave),
            _ => Decision::save(updated.clone()),
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
