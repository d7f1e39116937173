//! Rule S6, by the warehouse's own log: what it announced, added up, is what it stores.

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

/// How much a production has of an item: what it took, less what it gave back.
type Holdings = HashMap<(String, String), Holding>;

#[derive(Default)]
struct Holding {
    taken: Vec<i64>,
    given_back: Vec<i64>,
}

impl Holding {
    fn is_held(&self) -> bool {
        !self.taken.is_empty() && self.given_back.is_empty()
    }
}

pub(crate) fn s6_stock_is_taken_once(snapshot: &Snapshot) -> Finding {
    let mut finding = Finding::new("S6", "stock is never negative, taken once by each production, and given back once");
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
            finding.violation(format!("{} are {}, its events say {announced}", item.name(), item.quantity));
        }
    }
    for ((item, production), holding) in &holdings {
        let returned_alike = holding.given_back.is_empty() || holding.given_back == holding.taken;
        if holding.taken.len() > 1 || !returned_alike {
            let (taken, back) = (&holding.taken, &holding.given_back);
            finding.violation(format!("{production} took {taken:?} of {item} and gave back {back:?}"));
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

/// Adds one event up; an error says what is wrong with it.
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
            holdings.entry((event.item, released.production)).or_default().given_back.push(released.quantity);
        }
        None => return Err("it says nothing".to_owned()),
    }
    if *quantity < 0 || *quantity != event.quantity {
        return Err(format!("it says that there are {}, and there are {quantity}", event.quantity));
    }
    Ok(())
}

/// What is wrong with what a production has.
fn holds_what_it_should(production: &Production, holdings: &Holdings) -> Vec<String> {
    let wrong = production.lines.iter().filter_map(|line| {
        let holding = holdings.get(&(line.item.clone(), production.name()));
        let taken = holding.is_some_and(Holding::is_held);
        let as_ordered = holding.is_none_or(|holding| holding.taken.iter().all(|taken| *taken == line.quantity));
        let holds = match production.state() {
            Some(State::Started | State::Completed) => taken && as_ordered,
            Some(State::Cancelled | State::Failed) => !taken,
            Some(State::Unspecified) | None => false,
            // On its way, or with a part of what it needs.
            Some(State::Taking | State::OutOfStock) => as_ordered,
        };
        let took = holding.map(|holding| (&holding.taken, &holding.given_back));
        let says = format!("{} is {}, of {line:?} it took and gave back {took:?}", production.name(), production.state);
        (!holds).then_some(says)
    });
    wrong.collect()
}
