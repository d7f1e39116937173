//! The rules that must always hold (requirements S1–S9, L1), each a function of the snapshot.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Debug,
};

use contracts::kitchen::v1::production::State;
use dashboard::View;

use crate::{finding::Finding, indexes, registrations, requests, snapshot::Snapshot, stock};

/// Holds the snapshot against every rule that can be seen in them.
pub(crate) fn check(snapshot: &Snapshot) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_anything_paid_for = snapshot.kinds().next().is_some();
    if is_anything_paid_for && snapshot.have(&["payment"]) {
        findings.extend([
            s1_what_stands_is_paid(snapshot),
            s2_no_payment_without_what_it_is_for(snapshot),
            s3_one_charge_for_each(snapshot),
        ]);
    }
    if is_anything_paid_for {
        findings.push(s4_what_stands_was_announced(snapshot));
    }
    if snapshot.have(&["payment"]) {
        findings.push(s5_the_ledgers_of_payment_and_provider_agree(snapshot));
    }
    if snapshot.have(&["warehouse"]) {
        findings.push(stock::s6_stock_is_taken_once(snapshot));
    }
    findings.extend([s7_events_are_gapless_and_applied_once(snapshot), s8_events_reach_the_bus(snapshot)]);
    if snapshot.have(&["dashboard"]) {
        findings.push(s9_views_equal_their_events(snapshot));
    }
    if is_anything_paid_for || snapshot.have(&["kitchen"]) {
        findings.push(l1_nothing_waits_for_ever(snapshot));
    }
    findings.extend(requests::check(snapshot));
    findings.extend(registrations::check(snapshot));
    findings.extend(snapshot.orders_by_customer.as_deref().map(indexes::check));
    findings
}

const HELD: [&str; 2] = ["AUTHORIZED", "CAPTURED"];

fn s1_what_stands_is_paid(snapshot: &Snapshot) -> Finding {
    let mut finding =
        Finding::new("S1", "what stands (an order, an enrollment) has one payment, held or taken, of the same amount");
    for (name, payable) in snapshot.payables.iter().filter(|(_, payable)| payable.stands()) {
        finding.checked += 1;
        let payment = payable.payment.strip_prefix("payments/").and_then(|payment| snapshot.payments.get(payment));
        match payment {
            None => finding.violation(format!("{name} is {} without a payment", payable.state)),
            Some(payment) if !HELD.contains(&payment.state.as_str()) => {
                finding.violation(format!("{name} is {}, its payment is {}", payable.state, payment.state));
            }
            Some(payment) if payment.amount != Some(payable.amount) => {
                finding.violation(format!("{name} costs {:?}, its payment is {:?}", payable.amount, payment.amount));
            }
            Some(_) => {}
        }
    }
    finding
}

fn s2_no_payment_without_what_it_is_for(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("S2", "no payment is kept for what does not stand");
    let collections: Vec<_> = snapshot.kinds().map(|kind| kind.table).collect();
    for (id, payment) in &snapshot.payments {
        let collection = payment.payable.split('/').next().unwrap_or_default();
        if !collections.contains(&collection) {
            continue;
        }
        finding.checked += 1;
        if !HELD.contains(&payment.state.as_str()) || payment.update_time >= snapshot.settled_before {
            continue;
        }
        let name = &payment.payable;
        match snapshot.payables.get(name) {
            None => finding.violation(format!("payments/{id} is {} and {name} does not exist", payment.state)),
            Some(payable) if payable.update_time >= snapshot.settled_before => {}
            Some(payable) if !payable.stands() => {
                finding.violation(format!("payments/{id} is {} and {name} is {}", payment.state, payable.state));
            }
            Some(_) => {}
        }
    }
    finding
}

/// The provider's ledger, not ours, say what was charged.
fn s3_one_charge_for_each(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("S3", "at most one effective charge for each order and each enrollment");
    let mut charges: HashMap<&str, Vec<&str>> = HashMap::new();
    for (id, charge) in &snapshot.charges {
        finding.checked += 1;
        if !["HELD", "TAKEN"].contains(&charge.state.as_str()) || charge.update_time >= snapshot.settled_before {
            continue;
        }
        match snapshot.payments.get(id) {
            Some(payment) => charges.entry(&payment.payable).or_default().push(id),
            None => finding.violation(format!("the provider holds {id}, which payment does not know")),
        }
    }
    for (payable, charges) in charges.into_iter().filter(|(_, charges)| charges.len() > 1) {
        finding.violation(format!("{payable} is charged {} times: {}", charges.len(), charges.join(", ")));
    }
    finding
}

fn s4_what_stands_was_announced(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("S4", "what happened to an order or an enrollment is in its events");
    let mut announced: HashMap<String, Vec<&str>> = HashMap::new();
    for kind in snapshot.kinds() {
        for event in snapshot.logs.get(kind.context).map(|log| log.events.as_slice()).unwrap_or_default() {
            announced.entry(format!("{}/{}", kind.table, event.aggregate)).or_default().push(&event.kind);
        }
    }
    for (name, payable) in &snapshot.payables {
        finding.checked += 1;
        let [stands, rejected, withdrawn, completed] = payable.kind.announcements;
        let expected: &[&str] = match payable.state.as_str() {
            "REJECTED" => &[rejected],
            "CANCELLED" => &[stands, withdrawn],
            "COMPLETED" => &[stands, completed],
            _ if payable.stands() => &[stands],
            _ => &[],
        };
        let was_announced = |kind: &str| announced.get(name).is_some_and(|kinds| kinds.contains(&kind));
        if let Some(kind) = expected.iter().find(|kind| !was_announced(kind)) {
            finding.violation(format!("{name} is {} without {kind}", payable.state));
        }
    }
    for name in announced.keys().filter(|name| !snapshot.payables.contains_key(*name)) {
        finding.violation(format!("{name} was announced and does not exist"));
    }
    finding
}

fn s5_the_ledgers_of_payment_and_provider_agree(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("S5", "payment's ledger and the provider's agree on every amount");
    for (id, payment) in &snapshot.payments {
        finding.checked += 1;
        if payment.update_time >= snapshot.settled_before {
            continue;
        }
        let expected: &[&str] = match payment.state.as_str() {
            "AUTHORIZED" => &["HELD"],
            "DECLINED" => &["DECLINED"],
            "CAPTURED" => &["TAKEN"],
            // Payment may have crashed before it wrote down that the provider declined: there is nothing to release.
            "VOIDED" => &["RELEASED", "DECLINED"],
            _ => &["GIVEN_BACK"],
        };
        match snapshot.charges.get(id) {
            None => {
                finding.violation(format!("payments/{id} is {} and the provider knows nothing of it", payment.state));
            }
            Some(charge) if charge.update_time >= snapshot.settled_before => {}
            Some(charge) if !expected.contains(&charge.state.as_str()) => {
                finding.violation(format!("payments/{id} is {}, the provider says {}", payment.state, charge.state));
            }
            Some(charge) if HELD.contains(&payment.state.as_str()) && charge.amount != payment.amount => {
                finding
                    .violation(format!("payments/{id} is {:?}, the provider says {:?}", payment.amount, charge.amount));
            }
            Some(_) => {}
        }
    }
    finding
}

fn s7_events_are_gapless_and_applied_once(snapshot: &Snapshot) -> Finding {
    let mut finding =
        Finding::new("S7", "an aggregate's events are numbered without gaps, and heard in order and once");
    let mut announced: BTreeMap<&str, HashMap<&str, i64>> = BTreeMap::new();
    for (context, log) in &snapshot.logs {
        let numbers = announced.entry(context).or_default();
        for event in &log.events {
            finding.checked += 1;
            let last = numbers.entry(&event.aggregate).or_default();
            if event.number != *last + 1 {
                finding.violation(format!("{} follows number {last}", event.id()));
            }
            *last = event.number;
        }
        for (aggregate, number) in &log.last_events {
            let last = numbers.get(aggregate.as_str()).copied().unwrap_or_default();
            if last < *number {
                finding.violation(format!("{context}/{aggregate} announced {number} events, its log has {last}"));
            }
        }
    }
    let settled: HashMap<(&str, &str), i64> = settled_numbers(snapshot);
    for (hearer, log) in &snapshot.logs {
        for (inbox, heard) in &log.heard {
            finding.checked += 1;
            let Some((source, aggregate)) = inbox.split_once("-on-").and_then(|(_, rest)| rest.split_once('/')) else {
                continue;
            };
            let Some(numbers) = announced.get(source) else { continue };
            let last = numbers.get(aggregate).copied().unwrap_or_default();
            let due = settled.get(&(source, aggregate)).copied().unwrap_or_default();
            if *heard > last {
                finding.violation(format!(
                    "{hearer} heard {heard} events of {source}/{aggregate}, which announced {last}"
                ));
            } else if *heard < due {
                finding.violation(format!("{hearer} heard {heard} of the {due} events of {source}/{aggregate}"));
            }
        }
        if log.dead_letters > 0 {
            finding.violation(format!("{hearer} has {} dead letters", log.dead_letters));
        }
    }
    finding
}

/// The number of each aggregate's last event that everybody has had time to hear.
fn settled_numbers(snapshot: &Snapshot) -> HashMap<(&str, &str), i64> {
    let mut numbers = HashMap::new();
    for (context, log) in &snapshot.logs {
        for event in log.events.iter().filter(|event| event.time < snapshot.settled_before) {
            numbers.insert((context.as_str(), event.aggregate.as_str()), event.number);
        }
    }
    numbers
}

fn s8_events_reach_the_bus(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("S8", "each committed event reaches the bus");
    for (context, log) in &snapshot.logs {
        finding.checked += log.events.len();
        if log.stuck > 0 {
            finding.violation(format!("{} events of {context} wait for the bus", log.stuck));
        }
    }
    finding
}

fn s9_views_equal_their_events(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("S9", "a view equals the fold of the events");
    fold(snapshot, "dashboard", &snapshot.order_views, &mut finding);
    fold(snapshot, dashboard::ENROLLMENT_SCHEMA, &snapshot.enrollment_views, &mut finding);
    fold(snapshot, dashboard::CUSTOMER_SCHEMA, &snapshot.customer_views, &mut finding);
    finding
}

/// Compares the views of one kind, when all of what they heard can be read.
fn fold<V: View + Debug>(snapshot: &Snapshot, schema: &str, views: &HashMap<String, V>, finding: &mut Finding) {
    if !V::SOURCES.iter().all(|source| snapshot.have(&[source]) || !snapshot.has_heard(schema, source)) {
        return;
    }
    let mut folded: HashMap<String, V> = HashMap::new();
    let mut moving: HashSet<String> = HashSet::new();
    for event in V::SOURCES.iter().filter_map(|source| snapshot.logs.get(*source)).flat_map(|log| &log.events) {
        let happening = match V::read(event) {
            Ok(Some(happening)) => happening,
            Ok(None) => continue,
            Err(error) => {
                finding.violation(format!("{} cannot be read: {error}", event.id()));
                continue;
            }
        };
        match V::after(folded.get(&happening.id), &happening) {
            Ok(view) => drop(folded.insert(happening.id.clone(), view)),
            Err(error) => finding.violation(format!("{} cannot be folded: {error}", event.id())),
        }
        if event.time >= snapshot.settled_before {
            moving.insert(happening.id);
        }
    }
    for (id, expected) in &folded {
        finding.checked += 1;
        if !moving.contains(id) && views.get(id) != Some(expected) {
            let name = expected.name();
            finding.violation(format!("{name} is {:?}, its events say {expected:?}", views.get(id)));
        }
    }
    for (_, view) in views.iter().filter(|(id, _)| !folded.contains_key(*id)) {
        finding.violation(format!("{} comes from no event", view.name()));
    }
}

fn l1_nothing_waits_for_ever(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("L1", "nothing waits for another context's word after the grace time");
    for (name, payable) in &snapshot.payables {
        finding.checked += 1;
        let waits = ["PENDING", "VOIDING"].contains(&payable.state.as_str());
        if waits && payable.update_time < snapshot.settled_before {
            finding.violation(format!("{name} is {}", payable.state));
        }
    }
    for production in snapshot.productions.values() {
        finding.checked += 1;
        let waits = production.owes || production.state() == Some(State::Taking);
        if waits && production.update_time < snapshot.settled_before {
            finding.violation(format!("{} is {}, owes: {}", production.name(), production.state, production.owes));
        }
    }
    finding
}
