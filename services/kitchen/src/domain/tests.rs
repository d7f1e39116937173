use jumun_core::EventKind;

use super::*;

fn production(state: State) -> Production {
    let lines = vec![Line { item: "items/americano".to_owned(), quantity: 2 }];
    Production { store: "stores/gangnam".to_owned(), lines, state, ..Production::tombstone("a", Time(1)) }
}

fn waiting_for(item: &str) -> Production {
    Production { missing: item.to_owned(), ..production(State::OutOfStock) }
}

/// The state after a decision, whether a release is pending, and the event.
fn after(decision: Result<Decision<Production>, Error>) -> Option<(State, bool, &'static str)> {
    match decision.expect("no refusal") {
        Decision::Leave => None,
        Decision::Save(after, events) => {
            Some((after.state, after.release_pending, events.first().map(EventKind::kind).unwrap_or_default()))
        }
    }
}

#[test]
fn a_production_is_opened_once_and_not_after_it_was_cancelled() {
    let opened = production(State::Taking);
    assert_eq!(after(Production::open(None, &opened)), Some((State::Taking, false, "ProductionOpened")));
    assert_eq!(after(Production::open(Some(&opened), &opened)), None);
    assert_eq!(after(Production::open(Some(&Production::tombstone("a", Time(1))), &opened)), None);
}

#[test]
fn a_production_with_all_of_its_stock_starts_whether_it_waited_or_not() {
    for waiting in [production(State::Taking), waiting_for("items/americano")] {
        assert_eq!(
            after(waiting.apply_outcome(&Outcome::Reserved, Time(2))),
            Some((State::Started, false, "ProductionStarted"))
        );
    }
}

#[test]
fn a_production_without_its_stock_waits_and_announces_the_missing_product_once() {
    let missing = Outcome::Missing("items/americano".to_owned());
    let Ok(Decision::Save(waiting, events)) = production(State::Taking).apply_outcome(&missing, Time(2)) else {
        panic!("it waits")
    };
    assert_eq!((waiting.state, waiting.missing.as_str(), events.len()), (State::OutOfStock, "items/americano", 1));
    assert_eq!(after(waiting.apply_outcome(&missing, Time(3))), None, "nothing new");
    let other = after(waiting.apply_outcome(&Outcome::Missing("items/latte".to_owned()), Time(3)));
    assert_eq!(other, Some((State::OutOfStock, false, "ProductionOutOfStock")), "something else is missing");
}

#[test]
fn a_late_answer_of_the_warehouse_changes_nothing() {
    for state in [State::Started, State::Completed, State::Cancelled, State::Failed] {
        for outcome in [Outcome::Reserved, Outcome::Missing("items/americano".to_owned()), Outcome::Refused] {
            assert_eq!(after(production(state).apply_outcome(&outcome, Time(2))), None, "{state:?} {outcome:?}");
        }
    }
}

#[test]
fn a_production_that_has_not_started_can_be_cancelled_and_then_releases_its_stock() {
    for state in [State::Taking, State::OutOfStock] {
        let cancelled = after(production(state).cancel(Time(2)));
        assert_eq!(cancelled, Some((State::Cancelled, true, "ProductionCancelled")));
    }
    assert_eq!(after(production(State::Cancelled).cancel(Time(2))), None);
}

#[test]
fn a_production_that_has_started_cannot_be_cancelled() {
    for state in [State::Started, State::Completed, State::Failed] {
        let refused = production(state).cancel(Time(2)).expect_err("too late");
        assert_eq!(refused.reason, "PRODUCTION_NOT_CANCELLABLE");
        assert_eq!(refused.metadata, [("state", state.name().to_owned())]);
    }
}

#[test]
fn a_production_that_was_not_opened_yet_can_be_cancelled_and_releases_nothing() {
    let tombstone = Production::tombstone("a", Time(2));
    let cancelled = after(Production::cancel_or_leave_tombstone(None, &tombstone, Time(2)));
    assert_eq!(cancelled, Some((State::Cancelled, false, "ProductionCancelled")));
}

#[test]
fn only_a_started_production_is_completed() {
    let completed = after(production(State::Started).complete(Time(2)));
    assert_eq!(completed, Some((State::Completed, false, "ProductionCompleted")));
    for state in [State::Taking, State::OutOfStock, State::Completed, State::Cancelled, State::Failed] {
        assert_eq!(production(state).complete(Time(2)).expect_err("not started").reason, "PRODUCTION_NOT_STARTED");
    }
}

#[test]
fn the_release_of_a_failed_production_is_pending_until_it_is_confirmed() {
    for state in [State::Taking, State::OutOfStock, State::Started] {
        assert_eq!(after(production(state).fail(Time(2))), Some((State::Failed, true, "ProductionFailed")));
    }
    let refused = production(State::Completed).fail(Time(2)).expect_err("it is made");
    assert_eq!(refused.reason, "PRODUCTION_ENDED");
    let releasing = Production { release_pending: true, ..production(State::Failed) };
    assert_eq!(after(releasing.confirm_release()), Some((State::Failed, false, "")));
    assert_eq!(after(production(State::Failed).confirm_release()), None);
}

#[test]
fn a_production_whose_stock_is_refused_fails() {
    assert_eq!(
        after(production(State::Taking).apply_outcome(&Outcome::Refused, Time(2))),
        Some((State::Failed, true, "ProductionFailed"))
    );
}
