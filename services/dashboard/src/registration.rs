//! The rules of a registration's view. Pure: no database, no network, no clock.

#[cfg(test)]
mod tests;

use contracts::{
    customer::v1::{CustomerEvent, customer_event},
    dashboard::v1 as pb,
    notification::v1::{NotificationEvent, notification_event},
};
use engine::{Aggregate, StateName};
use eventing::{decode, event_id};
use jumun_core::{Envelope, Error, Time};
use serde::{Deserialize, Serialize};

use crate::{
    history::{self, Entry, Source},
    view::{View, ViewUpdate},
};

engine::states! {
    /// The state of a registration, by the names of `jumun.customer.v1.Customer.State`. A later one outweighs those
    /// before it.
    #[derive(PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
    pub enum CustomerState: contracts::customer::v1::customer::State, without Pending {
        Rejected,
        Registered,
        Cancelled,
    }
}

/// The view of one registration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CustomerView {
    /// The id of the customer.
    pub id: String,
    /// Empty, with the state None, until an event of the customer itself arrives.
    pub account: String,
    pub state: Option<CustomerState>,
    /// At most [`crate::MAX_HISTORY`] entries, sorted.
    pub history: Vec<Entry<CustomerState>>,
    /// When the customer was registered or rejected; until that is known, the time of the first event.
    pub create_time: Time,
    pub update_time: Time,
}

impl View for CustomerView {
    const SOURCES: &'static [&'static str] = &["customer", "notification"];
    type State = CustomerState;
    /// The account.
    type Summary = String;

    fn read(message: &Envelope) -> Result<Option<ViewUpdate<Self>>, Error> {
        match message.context.as_str() {
            "customer" => read_customer_event(message),
            "notification" => read_notification_event(message),
            _ => Ok(None),
        }
    }

    fn empty(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    fn name(&self) -> String {
        format!("customerViews/{}", self.id)
    }

    fn history(&mut self) -> &mut Vec<Entry<CustomerState>> {
        &mut self.history
    }

    fn set_summary(&mut self, account: &String) {
        self.account.clone_from(account);
    }

    fn derive_from_history(&mut self) {
        self.state = history::furthest(&self.history);
        (self.create_time, self.update_time) = history::times(&self.history, Source::Customer);
    }
}

fn read_customer_event(message: &Envelope) -> Result<Option<ViewUpdate<CustomerView>>, Error> {
    use customer_event::Kind;
    let event: CustomerEvent = decode(message)?;
    let (kind, state) = match event.kind {
        Some(Kind::Registered(_)) => ("CUSTOMER_REGISTERED", CustomerState::Registered),
        Some(Kind::Rejected(_)) => ("CUSTOMER_REJECTED", CustomerState::Rejected),
        Some(Kind::Cancelled(_)) => ("CUSTOMER_CANCELLED", CustomerState::Cancelled),
        None => return Ok(None),
    };
    let id = event_id("customers", &event.customer)?;
    let update = ViewUpdate::new(message, Source::Customer, id, kind, Some(state));
    Ok(Some(ViewUpdate { summary: Some(event.account), ..update }))
}

fn read_notification_event(message: &Envelope) -> Result<Option<ViewUpdate<CustomerView>>, Error> {
    use notification_event::Kind;
    let event: NotificationEvent = decode(message)?;
    let outcome = match event.kind {
        Some(Kind::Delivered(_)) => "NOTICE_DELIVERED",
        Some(Kind::Failed(_)) => "NOTICE_FAILED",
        Some(Kind::Withdrawn(_)) => "NOTICE_WITHDRAWN",
        None => return Ok(None),
    };
    // Other notifications are about orders.
    if !event.about.starts_with("customers/") {
        return Ok(None);
    }
    let kind = if event.occasion.is_empty() { outcome.to_owned() } else { format!("{}_{outcome}", event.occasion) };
    let id = event_id("customers", &event.about)?;
    Ok(Some(ViewUpdate::new(message, Source::Notification, id, &kind, None)))
}

impl Aggregate for CustomerView {
    /// The dashboard has no events.
    type Event = ();
    type Resource = pb::CustomerView;

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) -> pb::CustomerView {
        let entry = |entry: &Entry<CustomerState>| pb::customer_view::Entry {
            state: entry.kind.clone(),
            time: Some(entry.time.to_timestamp()),
        };
        pb::CustomerView {
            name: self.name(),
            customer: format!("customers/{}", self.id),
            account: self.account.clone(),
            state: self.state.map(StateName::name).unwrap_or_default().to_owned(),
            history: self.history.iter().map(entry).collect(),
            create_time: Some(self.create_time.to_timestamp()),
            update_time: Some(self.update_time.to_timestamp()),
        }
    }
}
