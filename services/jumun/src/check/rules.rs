//! The rules that must always hold (requirements S1–S9, L1), each a function of the books.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Finding, books::Books};

/// Holds the books against every rule that can be seen in them.
pub(super) fn check(books: &Books) -> Vec<Finding> {
    let mut findings = Vec::new();
    if books.have(&["order", "payment"]) {
        findings.extend([
            s1_a_standing_order_is_paid(books),
            s2_no_payment_without_its_order(books),
            s3_one_charge_per_order(books),
        ]);
    }
    if books.have(&["order"]) {
        findings.push(s4_what_stands_was_announced(books));
    }
    if books.have(&["payment"]) {
        findings.push(s5_the_books_of_payment_and_provider_agree(books));
    }
    findings.extend([s7_events_are_gapless_and_applied_once(books), s8_events_reach_the_bus(books)]);
    if books.have(&["order", "payment", "store", "delivery", "dashboard"]) {
        findings.push(s9_views_equal_their_events(books));
    }
    if books.have(&["order"]) {
        findings.push(l1_nothing_waits_for_ever(books));
    }
    findings
}

const STANDING: [&str; 6] = ["PLACED", "ACCEPTED", "COOKING", "READY", "PICKED_UP", "COMPLETED"];
const HELD: [&str; 2] = ["AUTHORIZED", "CAPTURED"];

fn s1_a_standing_order_is_paid(books: &Books) -> Finding {
    let standing = books.orders.iter().filter(|(_, order)| STANDING.contains(&order.state.as_str()));
    let mut finding = Finding::new("S1", "a placed order has one authorized or captured payment of the same amount");
    for (id, order) in standing {
        finding.checked += 1;
        let payment = order.payment.strip_prefix("payments/").and_then(|payment| books.payments.get(payment));
        match payment {
            None => finding.violation(format!("orders/{id} is {} without a payment", order.state)),
            Some(payment) if !HELD.contains(&payment.state.as_str()) => {
                finding.violation(format!("orders/{id} is {}, its payment is {}", order.state, payment.state));
            }
            Some(payment) if payment.amount != Some(order.total) => {
                finding.violation(format!("orders/{id} costs {:?}, its payment is {:?}", order.total, payment.amount));
            }
            Some(_) => {}
        }
    }
    finding
}

fn s2_no_payment_without_its_order(books: &Books) -> Finding {
    let mut finding = Finding::new("S2", "no payment is kept for an order that does not stand");
    for (id, payment) in &books.payments {
        let Some(order) = payment.payable.strip_prefix("orders/") else { continue };
        finding.checked += 1;
        if !HELD.contains(&payment.state.as_str()) || payment.update_time >= books.settled_before {
            continue;
        }
        match books.orders.get(order) {
            None => finding.violation(format!("payments/{id} is {} and orders/{order} does not exist", payment.state)),
            Some(order) if order.update_time >= books.settled_before => {}
            Some(found) if !STANDING.contains(&found.state.as_str()) => {
                finding.violation(format!("payments/{id} is {} and orders/{order} is {}", payment.state, found.state));
            }
            Some(_) => {}
        }
    }
    finding
}

/// The provider's books, not ours, say what was charged.
fn s3_one_charge_per_order(books: &Books) -> Finding {
    let mut finding = Finding::new("S3", "at most one effective charge per order");
    let mut charges: HashMap<&str, Vec<&str>> = HashMap::new();
    for (id, charge) in &books.charges {
        finding.checked += 1;
        if !["HELD", "TAKEN"].contains(&charge.state.as_str()) || charge.update_time >= books.settled_before {
            continue;
        }
        match books.payments.get(id) {
            Some(payment) => charges.entry(&payment.payable).or_default().push(id),
            None => finding.violation(format!("the provider holds {id}, which payment does not know")),
        }
    }
    for (payable, charges) in charges.into_iter().filter(|(_, charges)| charges.len() > 1) {
        finding.violation(format!("{payable} is charged {} times: {}", charges.len(), charges.join(", ")));
    }
    finding
}

fn s4_what_stands_was_announced(books: &Books) -> Finding {
    let mut finding = Finding::new("S4", "what happened to an order is in its events");
    let mut kinds: HashMap<&str, Vec<&str>> = HashMap::new();
    for event in books.logs.get("order").map(|log| log.events.as_slice()).unwrap_or_default() {
        kinds.entry(&event.aggregate).or_default().push(&event.kind);
    }
    for (id, order) in &books.orders {
        finding.checked += 1;
        let announced = |kind: &str| kinds.get(id.as_str()).is_some_and(|kinds| kinds.contains(&kind));
        let missing = match order.state.as_str() {
            "REJECTED" => Some("OrderRejected").filter(|kind| !announced(kind)),
            "CANCELLED" => ["OrderPlaced", "OrderCancelled"].into_iter().find(|kind| !announced(kind)),
            "COMPLETED" => ["OrderPlaced", "OrderCompleted"].into_iter().find(|kind| !announced(kind)),
            state if STANDING.contains(&state) => Some("OrderPlaced").filter(|kind| !announced(kind)),
            _ => None,
        };
        if let Some(kind) = missing {
            finding.violation(format!("orders/{id} is {} without {kind}", order.state));
        }
    }
    for id in kinds.keys().filter(|id| !books.orders.contains_key(**id)) {
        finding.violation(format!("orders/{id} was announced and does not exist"));
    }
    finding
}

fn s5_the_books_of_payment_and_provider_agree(books: &Books) -> Finding {
    let mut finding = Finding::new("S5", "payment's books and the provider's agree on every amount");
    for (id, payment) in &books.payments {
        finding.checked += 1;
        if payment.update_time >= books.settled_before {
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
        match books.charges.get(id) {
            None => {
                finding.violation(format!("payments/{id} is {} and the provider knows nothing of it", payment.state));
            }
            Some(charge) if charge.update_time >= books.settled_before => {}
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

fn s7_events_are_gapless_and_applied_once(books: &Books) -> Finding {
    let mut finding =
        Finding::new("S7", "an aggregate's events are numbered without gaps, and heard in order and once");
    let mut announced: BTreeMap<&str, HashMap<&str, i64>> = BTreeMap::new();
    for (context, log) in &books.logs {
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
    let settled: HashMap<(&str, &str), i64> = settled_numbers(books);
    for (hearer, log) in &books.logs {
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
fn settled_numbers(books: &Books) -> HashMap<(&str, &str), i64> {
    let mut numbers = HashMap::new();
    for (context, log) in &books.logs {
        for event in log.events.iter().filter(|event| event.time < books.settled_before) {
            numbers.insert((context.as_str(), event.aggregate.as_str()), event.number);
        }
    }
    numbers
}

fn s8_events_reach_the_bus(books: &Books) -> Finding {
    let mut finding = Finding::new("S8", "each committed event reaches the bus");
    for (context, log) in &books.logs {
        finding.checked += log.events.len();
        if log.stuck > 0 {
            finding.violation(format!("{} events of {context} wait for the bus", log.stuck));
        }
    }
    finding
}

fn s9_views_equal_their_events(books: &Books) -> Finding {
    let mut finding = Finding::new("S9", "a view equals the fold of the events");
    let mut folded: HashMap<&str, dashboard::OrderView> = HashMap::new();
    let mut moving: HashSet<&str> = HashSet::new();
    for event in books.logs.values().flat_map(|log| &log.events) {
        // The events of a payment, payments/order-{uuid}, are part of its order's view.
        let id = event.aggregate.strip_prefix("order-").unwrap_or(&event.aggregate);
        match dashboard::OrderView::fold(folded.get(id), event) {
            Ok(Some(view)) => drop(folded.insert(id, view)),
            Ok(None) => {}
            Err(error) => finding.violation(format!("{} cannot be folded: {error}", event.id())),
        }
        if event.time >= books.settled_before {
            moving.insert(id);
        }
    }
    for (id, expected) in &folded {
        finding.checked += 1;
        if !moving.contains(id) && books.views.get(*id) != Some(expected) {
            finding.violation(format!("orderViews/{id} is {:?}, its events say {expected:?}", books.views.get(*id)));
        }
    }
    for id in books.views.keys().filter(|id| !folded.contains_key(id.as_str())) {
        finding.violation(format!("orderViews/{id} comes from no event"));
    }
    finding
}

fn l1_nothing_waits_for_ever(books: &Books) -> Finding {
    let mut finding = Finding::new("L1", "no order waits for payment's word after the grace time");
    for (id, order) in &books.orders {
        finding.checked += 1;
        let waits = ["PENDING", "VOIDING"].contains(&order.state.as_str());
        if waits && order.update_time < books.settled_before {
            finding.violation(format!("orders/{id} is {}", order.state));
        }
    }
    finding
}

impl Finding {
    fn new(rule: &'static str, says: &'static str) -> Self {
        Self { rule, says, checked: 0, violations: Vec::new() }
    }

    fn violation(&mut self, violation: String) {
        self.violations.push(violation);
    }
}
