//! The rules of idempotent requests and of the contents of events (S10, S11).

use std::collections::HashMap;

use crate::{creations::Creation, finding::Finding, snapshot::Snapshot};

/// The prefix of payment methods of the simulated provider: no event may contain one.
const PAYMENT_METHOD: &[u8] = b"tok_";

/// Checks both rules.
pub(crate) fn check(snapshot: &Snapshot) -> [Finding; 2] {
    [s10_each_request_created_one_resource(snapshot), s11_events_contain_no_personal_data(snapshot)]
}

fn s10_each_request_created_one_resource(snapshot: &Snapshot) -> Finding {
    let mut finding =
        Finding::new("S10", "each request_id created one resource, which exists and which no other request created");
    let mut creators: HashMap<(&str, &str), &str> = HashMap::new();
    for Creation { context, request, created } in &snapshot.creations {
        finding.checked += 1;
        if !snapshot.logs[*context].last_events.contains_key(created) {
            finding.violation(format!("{request} created {created} in {context}, which does not exist"));
        }
        if let Some(other) = creators.insert((context, created), request) {
            finding.violation(format!("{request} and {other} both created {created} in {context}"));
        }
    }
    finding
}

fn s11_events_contain_no_personal_data(snapshot: &Snapshot) -> Finding {
    let mut finding =
        Finding::new("S11", "no event contains a payment method, or the name, phone number or address of a customer");
    for (context, log) in &snapshot.logs {
        for event in &log.events {
            finding.checked += 1;
            let customer = snapshot.people.customers.get(&event.aggregate).filter(|_| context == "customer");
            let personal = customer.map(|customer| customer.personal().map(str::as_bytes));
            let secrets = personal.into_iter().flatten().chain([PAYMENT_METHOD]);
            if secrets.into_iter().any(|secret| contains(&event.payload, secret)) {
                finding.violation(format!("{} of {context} ({})", event.id(), event.kind));
            }
        }
    }
    finding
}

fn contains(payload: &[u8], secret: &[u8]) -> bool {
    payload.windows(secret.len()).any(|part| part == secret)
}
