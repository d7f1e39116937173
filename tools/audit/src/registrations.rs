//! The rules of registrations and of what people are told (requirements §1.4, L1).

use std::collections::{HashMap, HashSet};

use crate::{finding::Finding, people::Notification, snapshot::Snapshot};

const WELCOME: &str = "CUSTOMER_REGISTERED";
const FAREWELL: &str = "CUSTOMER_CANCELLED";

/// Holds the snapshot against every rule that can be seen in them.
pub(crate) fn check(snapshot: &Snapshot) -> Vec<Finding> {
    let mut findings = Vec::new();
    if snapshot.have(&["customer", "notification"]) {
        findings.push(n1_who_is_registered_was_welcomed_once_and_nobody_else(snapshot));
        findings.push(n2_nobody_is_told_what_does_not_stand(snapshot));
    }
    if snapshot.have(&["notification"]) {
        findings.push(n3_the_ledgers_of_notification_and_kakao_agree(snapshot));
    }
    if snapshot.have(&["customer"]) {
        findings.push(l1_no_registration_waits_for_ever(snapshot));
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

fn n1_who_is_registered_was_welcomed_once_and_nobody_else(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("N1", "a registered customer has one delivered welcome, and nobody else has any");
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
            finding.violation(format!("customers/{id} is {} and was welcomed {welcomed} times", customer.state));
        }
    }
    for id in welcomes.into_keys() {
        finding.violation(format!("customers/{id} was welcomed and does not exist"));
    }
    finding
}

fn n2_nobody_is_told_what_does_not_stand(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("N2", "a notice says what is so, and once");
    let mut told: HashSet<(&str, &str, &str)> = HashSet::new();
    for (id, farewell) in delivered(snapshot, FAREWELL) {
        let customer = snapshot.people.customers.get(farewell.about.trim_start_matches("customers/"));
        if customer.is_none_or(|customer| customer.state != "CANCELLED") {
            finding.violation(format!("notifications/{id} says that {} is cancelled", farewell.about));
        }
    }
    for (id, notification) in snapshot.people.notifications.iter().filter(|(_, notification)| !notification.is_awaited)
    {
        finding.checked += 1;
        let Notification { recipient, about, occasion, .. } = notification;
        if !told.insert((recipient, about, occasion)) {
            finding.violation(format!("notifications/{id} tells {recipient} of {about} {occasion} once more"));
        }
    }
    finding
}

/// The channel's ledger, not ours, say what arrived.
fn n3_the_ledgers_of_notification_and_kakao_agree(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("N3", "what is DELIVERED arrived, and nothing else did");
    let by_kakao = snapshot.people.notifications.iter().filter(|(_, notification)| notification.channel == "KAKAO");
    for (id, notification) in by_kakao.filter(|(_, notification)| notification.update_time < snapshot.settled_before) {
        finding.checked += 1;
        let arrived = snapshot.people.messages.get(id).is_some_and(|message| message.state == "DELIVERED");
        // What is tried again may have arrived already: nobody knows it yet.
        let is_unknown = matches!(notification.state.as_str(), "PENDING" | "FAILED") && !notification.is_awaited;
        if !is_unknown && arrived != (notification.state == "DELIVERED") {
            finding.violation(format!("notifications/{id} is {}, Kakao says otherwise", notification.state));
        }
    }
    for id in snapshot.people.messages.keys().filter(|id| !snapshot.people.notifications.contains_key(*id)) {
        finding.violation(format!("Kakao has {id}, which notification does not know"));
    }
    finding
}

fn l1_no_registration_waits_for_ever(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("L1", "no registration waits for notification's word after the grace time");
    for (id, customer) in &snapshot.people.customers {
        finding.checked += 1;
        if customer.state == "PENDING" && customer.update_time < snapshot.settled_before {
            finding.violation(format!("customers/{id} is PENDING"));
        }
    }
    for (id, notification) in snapshot.people.notifications.iter().filter(|(_, notification)| notification.is_awaited) {
        if notification.state == "PENDING" && notification.update_time < snapshot.settled_before {
            finding.violation(format!("notifications/{id} is PENDING, and somebody waits for it"));
        }
    }
    finding
}
