//! The rules of requests that may be repeated, and of what events may say (S10, S11).

use std::collections::HashMap;

use crate::{creations::Creation, finding::Finding, snapshot::Snapshot};

/// What the payment methods of the simulated provider begin with: only payment may know one, and none is announced.
const PAYMENT_METHOD: &[u8] = b"tok_";

/// Holds the snapshot against both rules.
pub(crate) fn check(snapshot: &Snapshot) -> [Finding; 2] {
    [s10_each_request_made_one_thing(snapshot), s11_no_event_tells_how_somebody_pays_or_lives(snapshot)]
}

fn s10_each_request_made_one_thing(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("S10", "each request_id made one thing, which is there, and no other made it");
    let mut makers: HashMap<(&str, &str), &str> = HashMap::new();
    for Creation { context, request, made } in &snapshot.creations {
        finding.checked += 1;
        if !snapshot.logs[*context].last_events.contains_key(made) {
            finding.violation(format!("{request} made {made} in {context}, which is not there"));
        }
        if let Some(other) = makers.insert((context, made), request) {
            finding.violation(format!("{request} and {other} both made {made} in {context}"));
        }
    }
    finding
}

fn s11_no_event_tells_how_somebody_pays_or_lives(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("S11", "no event tells a payment method, or a customer's name, phone or address");
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
