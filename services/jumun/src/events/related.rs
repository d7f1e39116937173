//! Which resources belong to one another, by the ids that the contexts give them.

use contracts::admin::v1::Event;
use jumun_core::{Time, name::id_of};

/// Collections of views, and what they are views of.
const VIEWS: [(&str, &str); 3] =
    [("orderViews", "orders"), ("enrollmentViews", "enrollments"), ("customerViews", "customers")];
/// Collections of what is paid for, with the prefix of the payment's id and the collections that share its id.
const PAYABLES: [(&str, &str, &[&str]); 2] =
    [("orders", "order", &["tickets", "productions", "deliveries"]), ("enrollments", "enrollment", &["registrations"])];
/// The contexts whose events customers are notified of.
const NOTIFYING: [&str; 2] = ["order", "customer"];

/// A resource, or for a view what it is a view of, and the resources whose names follow from its name.
pub(super) fn by_name(name: &str) -> Vec<String> {
    let Some((collection, id)) = name.split_once('/') else { return vec![name.to_owned()] };
    let viewed = VIEWS.iter().find(|(views, _)| *views == collection);
    let collection = viewed.map_or(collection, |(_, viewed)| viewed);
    let mut names = vec![format!("{collection}/{id}")];
    if let Some((_, prefix, sharing)) = PAYABLES.iter().find(|(payables, ..)| *payables == collection) {
        names.push(format!("payments/{prefix}-{id}"));
        names.extend(sharing.iter().map(|collection| format!("{collection}/{id}")));
    }
    names
}

/// The notifications that events may have led to: their ids are derived from the events.
pub(super) fn notifications(events: &[Event]) -> Vec<String> {
    let notifying = events.iter().filter(|event| NOTIFYING.contains(&event.context.as_str()));
    let name = |event: &Event| {
        let time = event.create_time.unwrap_or_default();
        let time = Time(time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000);
        format!("notifications/{}", id_of(time, &event.event))
    };
    notifying.map(name).collect()
}

#[cfg(test)]
mod tests {
    use contracts::EventType;

    use super::*;

    #[test]
    fn what_belongs_to_a_resource_has_its_id() {
        let order = ["orders/a", "payments/order-a", "tickets/a", "productions/a", "deliveries/a"];
        assert_eq!(by_name("orders/a"), order);
        assert_eq!(by_name("orderViews/a"), order);
        assert_eq!(by_name("enrollments/b"), ["enrollments/b", "payments/enrollment-b", "registrations/b"]);
        assert_eq!(by_name("customerViews/c"), ["customers/c"]);
        assert_eq!(by_name("payments/order-a"), ["payments/order-a"]);
    }

    #[test]
    fn only_resources_with_events_are_looked_for() {
        let names = PAYABLES.iter().flat_map(|(payables, ..)| by_name(&format!("{payables}/a")));
        for name in names.chain(by_name("customers/a")) {
            let (collection, _) = name.split_once('/').expect("a name");
            assert!(EventType::all().any(|of| of.collection == collection), "{name} has no events");
        }
        let contexts: Vec<_> = EventType::all().map(|of| of.context.as_str()).collect();
        assert!(NOTIFYING.iter().all(|context| contexts.contains(context)), "{contexts:?}");
    }
}
