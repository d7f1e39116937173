//! The rules of a registration. Pure: no database, no network, no clock.

#[cfg(test)]
mod tests;

use std::fmt;

use contracts::customer::v1::{self as pb, customer_event::Kind};
use engine::{Aggregate, Decision, StateName};
use jumun_core::{Error, Time, name::id_of};

use crate::reasons;

/// The `state_reason` of a customer whose welcome could not be confirmed, and was withdrawn.
pub(crate) const NOTIFICATION_UNCONFIRMED: &str = "NOTIFICATION_UNCONFIRMED";

engine::states! {
    /// The state of a registration; the diagram is at the top of the crate.
    pub enum State: pb::customer::State {
        Pending,
        Rejected,
        Registered,
        Cancelled,
    }
}

/// A customer's registration, in any state.
#[derive(Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Customer {
    pub id: String,
    /// The name of the account: in orders, as the subject of tokens, and as the recipient of notifications.
    pub account: String,
    pub display_name: String,
    pub address: String,
    pub age: i32,
    pub phone: String,
    pub notifies_order_changes: bool,
    pub state: State,
    pub state_reason: String,
    pub create_time: Time,
    /// When it became REGISTERED; its state may have advanced since.
    pub registered_time: Option<Time>,
    pub update_time: Time,
}

/// Contains no personal data, because debug output ends up in logs (rule S11).
impl fmt::Debug for Customer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {} ({:?})", self.name(), self.state.name(), self.state_reason)
    }
}

impl Customer {
    /// `customers/{id}`.
    pub fn name(&self) -> String {
        format!("customers/{}", self.id)
    }

    /// The id of its welcome notification.
    pub(crate) fn welcome_id(&self) -> String {
        id_of(self.create_time, &format!("{}/welcome", self.name()))
    }

    /// The welcome was delivered, so the customer is registered.
    pub(crate) fn register(&self, now: Time) -> Result<Decision<Customer>, Error> {
        match self.state {
            State::Pending => {
                let registered =
                    Customer { state: State::Registered, registered_time: Some(now), update_time: now, ..self.clone() };
                let notifies_order_changes = self.notifies_order_changes;
                registered.announce(Kind::Registered(pb::CustomerRegistered { notifies_order_changes }))
            }
            State::Rejected | State::Registered | State::Cancelled => Ok(Decision::Leave),
        }
    }

    /// The welcome was not delivered and never will be, so the customer is rejected.
    pub(crate) fn reject(&self, reason: &str, now: Time) -> Result<Decision<Customer>, Error> {
        match self.state {
            State::Pending => {
                let state_reason = reason.to_owned();
                let rejected = Customer { state: State::Rejected, state_reason, update_time: now, ..self.clone() };
                rejected.announce(Kind::Rejected(pb::CustomerRejected { reason: reason.to_owned() }))
            }
            State::Rejected | State::Registered | State::Cancelled => Ok(Decision::Leave),
        }
    }

    /// Cancels the registration for the customer: allowed while it is REGISTERED. Repeated, it changes nothing.
    pub(crate) fn cancel(&self, now: Time) -> Result<Decision<Customer>, Error> {
        match self.state {
            State::Registered => {
                let cancelled = Customer { state: State::Cancelled, update_time: now, ..self.clone() };
                cancelled.announce(Kind::Cancelled(pb::CustomerCancelled {}))
            }
            State::Cancelled => Ok(Decision::Leave),
            State::Pending => {
                Err(Error::new(&reasons::CUSTOMER_PENDING, format!("{} is not registered yet", self.name())))
            }
            State::Rejected => {
                Err(Error::new(&reasons::CUSTOMER_NOT_CANCELLABLE, format!("{} was never registered", self.name()))
                    .with("state", self.state.name()))
            }
        }
    }

    /// The answer to CreateCustomer: the customer as it was when it was registered, whatever its state is now.
    pub(crate) fn as_registered(&self) -> Option<Customer> {
        let registered_time = self.registered_time?;
        Some(Customer { state: State::Registered, update_time: registered_time, ..self.clone() })
    }

    fn announce(self, kind: Kind) -> Result<Decision<Customer>, Error> {
        let event = pb::CustomerEvent { customer: self.name(), account: self.account.clone(), kind: Some(kind) };
        Decision::announce(self, event)
    }
}

impl Aggregate for Customer {
    type Event = pb::CustomerEvent;
    type Resource = pb::Customer;

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) -> pb::Customer {
        pb::Customer {
            name: self.name(),
            display_name: self.display_name.clone(),
            address: self.address.clone(),
            age: self.age,
            phone: self.phone.clone(),
            state: self.state.into(),
            state_reason: self.state_reason.clone(),
            account: self.account.clone(),
            notifies_order_changes: self.notifies_order_changes,
            notification: format!("notifications/{}", self.welcome_id()),
            create_time: Some(self.create_time.to_timestamp()),
            update_time: Some(self.update_time.to_timestamp()),
        }
    }
}
