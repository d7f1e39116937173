//! Rule S6: the stock equals the sum of the events of the warehouse.

use std::collections::HashMap;

use contracts::{
    kitchen::v1::production::State,
    warehouse::v1::{StockItemEvent, stock_item_event::Kind},
};
use eventing::decode;
use jumun_core::Envelope;

use crate::{
    finding::Finding,
    snapshot::{Production, Snapshot},
};

/// The stock that each production took and returned, by item and production.
type Holdings = HashMap<(String, String), Holding>;

#[derive(Default)]
struct Holding {
    taken: Vec<i64>,
    returned: Vec<i64>,
}

impl Holding {
    fn is_held(&self) -> bool {
        !self.taken.is_empty() && self.returned.is_empty()
    }
}

pub(crate) fn s6_stock_is_taken_once(snapshot: &Snapshot) -> Finding {
    let mut finding =
        Finding::new("S6", "stock is never negative, and each production takes and returns it at most once");
    let mut quantities: HashMap<&str, i64> = HashMap::new();
    let mut holdings = Holdings::new();
    for message in snapshot.logs.get("warehouse").map(|log| log.events.as_slice()).unwrap_or_default() {
        finding.checked += 1;
        match add_up(message, quantities.entry(&message.aggregate).or_default(), &mut holdings) {
            Ok(()) => {}
            Err(violation) => finding.violation(format!("{}: {violation}", message.id())),
        }
    }
    for (id, item) in snapshot.stock.iter().filter(|(_, item)| item.update_time < snapshot.settled_before) {
        let announced = quantities.get(id.as_str()).copied().unwrap_or_default();
        if item.quantity != announced {
            finding.violation(format!("{} has {}, its events result in {announced}", item.name(), item.quantity));
        }
    }
    for ((item, production), holding) in &holdings {
        let is_returned_in_full = holding.returned.is_empty() || holding.returned == holding.taken;
        if holding.taken.len() > 1 || !is_returned_in_full {
            let (taken, back) = (&holding.taken, &holding.returned);
            finding.violation(format!("{production} took {taken:?} of {item} and returned {back:?}"));
        }
    }
    for production in
        snapshot.productions.values().filter(|production| production.update_time < snapshot.settled_before)
    {
        finding.checked += 1;
        finding.violations.extend(holds_what_it_should(production, &holdings));
    }
    finding
}

/// Applies one event; the error describes the violation.
fn add_up(message: &Envelope, quantity: &mut i64, holdings: &mut Holdings) -> Result<(), String> {
    let event: StockItemEvent = decode(message).map_err(|error| error.to_string())?;
    match event.kind {
        Some(Kind::Created(_)) => *quantity = event.quantity,
        Some(Kind::Restocked(restocked)) => *quantity += restocked.quantity,
        Some(Kind::Reduced(reduced)) => {
            *quantity -= reduced.quantity;
            holdings.entry((event.item, reduced.production)).or_default().taken.push(reduced.quantity);
        }
        Some(Kind::Released(released)) => {
            *quantity += released.quantity;
            holdings.entry((event.item, released.production)).or_default().returned.push(released.quantity);
        }
        None => return Err("the event has no type".to_owned()),
    }
    if *quantity < 0 || *quantity != event.quantity {
        return Err(format!("the event has the quantity {}, the sum is {quantity}", event.quantity));
    }
    Ok(())
}

/// The violations of one production.
fn holds_what_it_should(production: &Production, holdings: &Holdings) -> Vec<String> {
    let wrong = production.lines.iter().filter_map(|line| {
        let holding = holdings.get(&(line.item.clone(), production.name()));
        let taken = holding.is_some_and(Holding::is_held);
        let as_ordered = holding.is_none_or(|holding| holding.taken.iter().all(|taken| *taken == line.quantity));
        let holds = match production.state() {
            Some(State::Started | State::Completed) => taken && as_ordered,
            Some(State::Cancelled | State::Failed) => !taken,
            Some(State::Unspecified) | None => false,
            // In progress, possibly with a part of the stock.
            Some(State::Taking | State::OutOfStock) => as_ordered,
        };
        let took = holding.map(|holding| (&holding.taken, &holding.returned));
        let says = format!("{} is {}; of {line:?} it took and returned {took:?}", production.name(), production.state);
        (!holds).then_some(says)
    });
    wrong.collect()
}
