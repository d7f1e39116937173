//! The invariants S1–S9 and L1, each a function of the snapshot.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Debug,
};

use contracts::kitchen::v1::production::State;
use dashboard::View;

use crate::{finding::Finding, indexes, registrations, requests, snapshot::Snapshot, stock};

/// Checks the rules whose databases were read.
pub(crate) fn check(snapshot: &Snapshot) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_anything_paid_for = snapshot.kinds().next().is_some();
    if is_anything_paid_for && snapshot.have(&["payment"]) {
        findings.extend([
            s1_active_payables_are_paid(snapshot),
            s2_no_payment_without_payable(snapshot),
            s3_one_charge_per_payable(snapshot),
        ]);
    }
    if is_anything_paid_for {
        findings.push(s4_states_have_events(snapshot));
    }
    if snapshot.have(&["payment"]) {
        findings.push(s5_ledgers_of_payment_and_provider_agree(snapshot));
    }
    if snapshot.have(&["warehouse"]) {
        findings.push(stock::s6_stock_is_taken_once(snapshot));
    }
    findings.extend([s7_events_are_gapless_and_applied_once(snapshot), s8_events_reach_the_bus(snapshot)]);
    if snapshot.have(&["dashboard"]) {
        findings.push(s9_views_equal_their_events(snapshot));
    }
    if is_anything_paid_for || snapshot.have(&["kitchen"]) {
        findings.push(l1_nothing_waits_forever(snapshot));
    }
    findings.extend(requests::check(snapshot));
    findings.extend(registrations::check(snapshot));
    findings.extend(snapshot.orders_by_customer.as_deref().map(indexes::check));
    findings
}

const HELD: [&str; 2] = ["AUTHORIZED", "CAPTURED"];

fn s1_active_payables_are_paid(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new(
        "S1",
        "each active order and enrollment has one payment of the same amount, authorized or captured",
    );
    for (name, payable) in snapshot.payables.iter().filter(|(_, payable)| payable.is_active()) {
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

fn s2_no_payment_without_payable(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("S2", "no payment is held or charged for an order or enrollment that is not active");
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
            Some(payable) if !payable.is_active() => {
                finding.violation(format!("payments/{id} is {} and {name} is {}", payment.state, payable.state));
            }
            Some(_) => {}
        }
    }
    finding
}

/// The ledger of the provider is the reference for what was charged.
fn s3_one_charge_per_payable(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("S3", "each order and enrollment has at most one effective charge");
    let mut charges: HashMap<&str, Vec<&str>> = HashMap::new();
    for (id, charge) in &snapshot.charges {
        finding.checked += 1;
        if !["HELD", "TAKEN"].contains(&charge.state.as_str()) || charge.update_time >= snapshot.settled_before {
            continue;
        }
        match snapshot.payments.get(id) {
            Some(payment) => charges.entry(&payment.payable).or_default().push(id),
            None => finding.violation(format!("the provider holds {id}, which does not exist in payment")),
        }
    }
    for (payable, charges) in charges.into_iter().filter(|(_, charges)| charges.len() > 1) {
        finding.violation(format!("{payable} is charged {} times: {}", charges.len(), charges.join(", ")));
    }
    finding
}

fn s4_states_have_events(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("S4", "the state of each order and enrollment is in its events");
    let mut announced: HashMap<String, Vec<&str>> = HashMap::new();
    for kind in snapshot.kinds() {
        for event in snapshot.logs.get(kind.context).map(|log| log.events.as_slice()).unwrap_or_default() {
            announced.entry(format!("{}/{}", kind.table, event.aggregate)).or_default().push(&event.kind);
        }
    }
    for (name, payable) in &snapshot.payables {
        finding.checked += 1;
        let [placed, rejected, cancelled, completed] = payable.kind.announcements;
        let expected: &[&str] = match payable.state.as_str() {
            "REJECTED" => &[rejected],
            "CANCELLED" => &[placed, cancelled],
            "COMPLETED" => &[placed, completed],
            _ if payable.is_active() => &[placed],
            _ => &[],
        };
        let was_announced = |kind: &str| announced.get(name).is_some_and(|kinds| kinds.contains(&kind));
        if let Some(kind) = expected.iter().find(|kind| !was_announced(kind)) {
            finding.violation(format!("{name} is {} but has no event {kind}", payable.state));
        }
    }
    for name in announced.keys().filter(|name| !snapshot.payables.contains_key(*name)) {
        finding.violation(format!("{name} has events but does not exist"));
    }
    finding
}

fn s5_ledgers_of_payment_and_provider_agree(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("S5", "the ledgers of payment and of the provider agree on every amount");
    for (id, payment) in &snapshot.payments {
        finding.checked += 1;
        if payment.update_time >= snapshot.settled_before {
            continue;
        }
        let expected: &[&str] = match payment.state.as_str() {
            "AUTHORIZED" => &["HELD"],
            "DECLINED" => &["DECLINED"],
            "CAPTURED" => &["TAKEN"],
            // Payment may have crashed before it stored that the provider declined: there is nothing to release.
            "VOIDED" => &["RELEASED", "DECLINED"],
            _ => &["GIVEN_BACK"],
        };
        match snapshot.charges.get(id) {
            None => {
                finding.violation(format!("payments/{id} is {} but does not exist at the provider", payment.state));
            }
            Some(charge) if charge.update_time >= snapshot.settled_before => {}
            Some(charge) if !expected.contains(&charge.state.as_str()) => {
                finding.violation(format!("payments/{id} is {}, at the provider {}", payment.state, charge.state));
            }
            Some(charge) if HELD.contains(&payment.state.as_str()) && charge.amount != payment.amount => {
                finding
                    .violation(format!("payments/{id} is {:?}, at the provider {:?}", payment.amount, charge.amount));
            }
            Some(_) => {}
        }
    }
    finding
}

fn s7_events_are_gapless_and_applied_once(snapshot: &Snapshot) -> Finding {
    let mut finding =
        Finding::new("S7", "the events of each aggregate have no gaps, and are applied in order and once");
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
                finding.violation(format!("{context}/{aggregate} is at event {number}, but its log ends at {last}"));
            }
        }
    }
    let settled: HashMap<(&str, &str), i64> = settled_numbers(snapshot);
    for (subscriber, log) in &snapshot.logs {
        for (inbox, applied) in &log.applied {
            finding.checked += 1;
            let Some((consumer, aggregate)) = inbox.split_once('/') else { continue };
            let Some((_, source)) = consumer.split_once("-on-") else { continue };
            let Some(numbers) = announced.get(source) else { continue };
            let last = numbers.get(aggregate).copied().unwrap_or_default();
            let due = settled.get(&(source, aggregate)).copied().unwrap_or_default();
            if *applied > last {
                finding.violation(format!(
                    "{subscriber} applied {applied} events of {source}/{aggregate}, which has {last}"
                ));
            } else if *applied < due && !log.readers.iter().any(|reader| reader == consumer) {
                finding
                    .violation(format!("{subscriber} applied {applied} of the {due} events of {source}/{aggregate}"));
            }
        }
        if log.dead_letters > 0 {
            finding.violation(format!("{subscriber} has {} dead letters", log.dead_letters));
        }
    }
    finding
}

/// The number of the last event of each aggregate that is older than the grace time.
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
    let mut finding = Finding::new("S8", "each committed event is published");
    for (context, log) in &snapshot.logs {
        finding.checked += log.events.len();
        if log.stuck > 0 {
            finding.violation(format!("{} events of {context} are not published", log.stuck));
        }
    }
    finding
}

fn s9_views_equal_their_events(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("S9", "each view equals the result of its events");
    fold(snapshot, "dashboard", &snapshot.order_views, &mut finding);
    fold(snapshot, dashboard::ENROLLMENT_SCHEMA, &snapshot.enrollment_views, &mut finding);
    fold(snapshot, dashboard::CUSTOMER_SCHEMA, &snapshot.customer_views, &mut finding);
    finding
}

/// Compares the views of one type, if all their sources were read.
fn fold<V: View + Debug>(snapshot: &Snapshot, schema: &str, views: &HashMap<String, V>, finding: &mut Finding) {
    if !V::SOURCES.iter().all(|source| snapshot.have(&[source]) || !snapshot.has_applied(schema, source)) {
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
            Err(error) => finding.violation(format!("{} cannot be applied: {error}", event.id())),
        }
        if event.time >= snapshot.settled_before {
            moving.insert(happening.id);
        }
    }
    for (id, expected) in &folded {
        finding.checked += 1;
        if !moving.contains(id) && views.get(id) != Some(expected) {
            let name = expected.name();
            finding.violation(format!("{name} is {:?}, its events result in {expected:?}", views.get(id)));
        }
    }
    for (_, view) in views.iter().filter(|(id, _)| !folded.contains_key(*id)) {
        finding.violation(format!("{} has no event", view.name()));
    }
}

fn l1_nothing_waits_forever(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("L1", "nothing waits for another context longer than the grace time");
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
            finding.violation(format!(
                "{} is {}, release pending: {}",
                production.name(),
                production.state,
                production.owes
            ));
        }
    }
    finding
}
