//! The rules of registrations and notifications (N1–N3, L1).

use std::collections::{HashMap, HashSet};

use crate::{finding::Finding, people::Notification, snapshot::Snapshot};

const WELCOME: &str = "CUSTOMER_REGISTERED";
const CANCELLATION: &str = "CUSTOMER_CANCELLED";

/// Checks the rules whose databases were read.
pub(crate) fn check(snapshot: &Snapshot) -> Vec<Finding> {
    let mut findings = Vec::new();
    if snapshot.have(&["customer", "notification"]) {
        findings.push(n1_registered_customers_were_welcomed_once(snapshot));
        findings.push(n2_notifications_are_true_and_unique(snapshot));
    }
    if snapshot.have(&["notification"]) {
        findings.push(n3_ledgers_of_notification_and_kakao_agree(snapshot));
    }
    if snapshot.have(&["customer"]) {
        findings.push(l1_no_registration_waits_forever(snapshot));
    }
    findings
}

fn delivered<'a>(snapshot: &'a Snapshot, occasion: &'a str) -> impl Iterator<Item = (&'a String, &'a Notification)> {
    let is_of = move |notification: &Notification| {
        notification.state == "DELIVERED"
            && notification.occasion == occasion
            && notification.about.starts_with("customers/")
    };
    snapshot.people.notifications.iter().filter(move |(_, notification)| is_of(notification))
}

fn n1_registered_customers_were_welcomed_once(snapshot: &Snapshot) -> Finding {
    let mut finding =
        Finding::new("N1", "each registered customer has exactly one delivered welcome, and nobody else has one");
    let mut welcomes: HashMap<&str, usize> = HashMap::new();
    for (_, welcome) in delivered(snapshot, WELCOME) {
        *welcomes.entry(welcome.about.trim_start_matches("customers/")).or_default() += 1;
    }
    for (id, customer) in &snapshot.people.customers {
        finding.checked += 1;
        let welcomed = welcomes.remove(id.as_str()).unwrap_or_default();
        let expected = usize::from(matches!(customer.state.as_str(), "REGISTERED" | "CANCELLED"));
        let is_settled = customer.state != "PENDING" || customer.update_time < snapshot.settled_before;
        if is_settled && welcomed != expected {
            finding.violation(format!("customers/{id} is {} and has {welcomed} delivered welcomes", customer.state));
        }
    }
    for id in welcomes.into_keys() {
        finding.violation(format!("customers/{id} has a delivered welcome but does not exist"));
    }
    finding
}

fn n2_notifications_are_true_and_unique(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("N2", "each notification is true and is sent once");
    let mut notified: HashSet<(&str, &str, &str)> = HashSet::new();
    for (id, cancellation) in delivered(snapshot, CANCELLATION) {
        let customer = snapshot.people.customers.get(cancellation.about.trim_start_matches("customers/"));
        if customer.is_none_or(|customer| customer.state != "CANCELLED") {
            finding
                .violation(format!("notifications/{id} reports {} as cancelled, which it is not", cancellation.about));
        }
    }
    for (id, notification) in snapshot.people.notifications.iter().filter(|(_, notification)| !notification.is_awaited)
    {
        finding.checked += 1;
        let Notification { recipient, about, occasion, .. } = notification;
        if !notified.insert((recipient, about, occasion)) {
            finding.violation(format!("notifications/{id} repeats {occasion} of {about} to {recipient}"));
        }
    }
    finding
}

/// The ledger of the channel is the reference for what was delivered.
fn n3_ledgers_of_notification_and_kakao_agree(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("N3", "a notification is DELIVERED if and only if the channel delivered it");
    let by_kakao = snapshot.people.notifications.iter().filter(|(_, notification)| notification.channel == "KAKAO");
    for (id, notification) in by_kakao.filter(|(_, notification)| notification.update_time < snapshot.settled_before) {
        finding.checked += 1;
        let arrived = snapshot.people.messages.get(id).is_some_and(|message| message.state == "DELIVERED");
        // A notification that is being retried may have been delivered already.
        let is_unknown = matches!(notification.state.as_str(), "PENDING" | "FAILED") && !notification.is_awaited;
        if !is_unknown && arrived != (notification.state == "DELIVERED") {
            finding.violation(format!(
                "notifications/{id} is {}, which the ledger of Kakao contradicts",
                notification.state
            ));
        }
    }
    for id in snapshot.people.messages.keys().filter(|id| !snapshot.people.notifications.contains_key(*id)) {
        finding.violation(format!("Kakao has {id}, which does not exist in notification"));
    }
    finding
}

fn l1_no_registration_waits_forever(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("L1", "no registration waits for a notification longer than the grace time");
    for (id, customer) in &snapshot.people.customers {
        finding.checked += 1;
        if customer.state == "PENDING" && customer.update_time < snapshot.settled_before {
            finding.violation(format!("customers/{id} is PENDING"));
        }
    }
    for (id, notification) in snapshot.people.notifications.iter().filter(|(_, notification)| notification.is_awaited) {
        if notification.state == "PENDING" && notification.update_time < snapshot.settled_before {
            finding.violation(format!("notifications/{id} is PENDING and its caller waits"));
        }
    }
    finding
}
