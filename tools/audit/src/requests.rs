//! The rules of requests that may be repeated, and of what events may say (S10, S11).

use std::collections::HashMap;

use engine::storage::Row;
use runtime::Topology;

use super::{
    Finding,
    snapshot::{Snapshot, rows},
};

/// The methods that remember the id of what they made, and their contexts.
const CREATIONS: [(&str, &str); 3] =
    [("order", "CreateOrder"), ("enrollment", "CreateEnrollment"), ("customer", "CreateCustomer")];
/// What the payment methods of the simulated provider begin with: only payment may know one, and none is announced.
const PAYMENT_METHOD: &[u8] = b"tok_";

/// What a request made.
pub(crate) struct Creation {
    context: &'static str,
    request: String,
    made: String,
}

/// Reads what requests made, before what they made is read.
pub(crate) async fn read(places: &Topology) -> anyhow::Result<Vec<Creation>> {
    let mut creations = Vec::new();
    for (context, method) in CREATIONS.into_iter().filter(|(context, _)| places.databases.contains_key(*context)) {
        let sql = format!("SELECT id, reply FROM requests WHERE id LIKE '{method}/%'");
        let creation = move |row: &mut Row| {
            let (request, made) = (row.text()?, row.bytes()?);
            Ok(Creation { context, request, made: String::from_utf8_lossy(&made).into_owned() })
        };
        creations.extend(rows(&places.database(context, context)?, sql, creation).await?);
    }
    Ok(creations)
}

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
