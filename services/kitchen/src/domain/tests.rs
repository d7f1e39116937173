use jumun_core::EventKind;

use super::*;

fn production(state: State) -> Production {
    let lines = vec![Line { item: "items/americano".to_owned(), quantity: 2 }];
    Production { store: "stores/gangnam".to_owned(), lines, state, ..Production::tombstone("a", Time(1)) }
}

fn waiting_for(item: &str) -> Production {
    Production { missing: item.to_owned(), ..production(State::OutOfStock) }
}

/// The state after a decision, whether it owes stock, and what it announced.
fn after(decision: Result<Decision<Production>, Error>) -> Option<(State, bool, &'static str)> {
    match decision.expect("no refusal") {
        Decision::Leave => None,
        Decision::Save(after, events) => {
            Some((after.state, after.owes, events.first().map(EventKind::kind).unwrap_or_default()))
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
fn with_all_of_its_stock_it_starts_whether_it_waited_or_not() {
    for waiting in [production(State::Taking), waiting_for("items/americano")] {
        assert_eq!(after(waiting.follow(&Outcome::Taken, Time(2))), Some((State::Started, false, "ProductionStarted")));
    }
}

#[test]
fn without_its_stock_it_waits_and_says_for_what_once() {
    let missing = Outcome::Missing("items/americano".to_owned());
    let Ok(Decision::Save(waiting, events)) = production(State::Taking).follow(&missing, Time(2)) else {
        panic!("it waits")
    };
    assert_eq!((waiting.state, waiting.missing.as_str(), events.len()), (State::OutOfStock, "items/americano", 1));
    assert_eq!(after(waiting.follow(&missing, Time(3))), None, "nothing new");
    let other = after(waiting.follow(&Outcome::Missing("items/latte".to_owned()), Time(3)));
    assert_eq!(other, Some((State::OutOfStock, false, "ProductionOutOfStock")), "something else is missing");
}

#[test]
fn an_answer_of_the_warehouse_that_comes_too_late_changes_nothing() {
    for state in [State::Started, State::Completed, State::Cancelled, State::Failed] {
        for outcome in [Outcome::Taken, Outcome::Missing("items/americano".to_owned()), Outcome::Never] {
            assert_eq!(after(production(state).follow(&outcome, Time(2))), None, "{state:?} {outcome:?}");
        }
    }
}

#[test]
fn what_has_not_started_can_be_cancelled_and_owes_what_it_may_have_taken() {
    for state in [State::Taking, State::OutOfStock] {
        let cancelled = after(production(state).cancel(Time(2)));
        assert_eq!(cancelled, Some((State::Cancelled, true, "ProductionCancelled")));
    }
    assert_eq!(after(production(State::Cancelled).cancel(Time(2))), None);
}

#[test]
fn what_has_started_cannot_be_cancelled() {
    for state in [State::Started, State::Completed, State::Failed] {
        let refused = production(state).cancel(Time(2)).expect_err("too late");
        assert_eq!(refused.reason, "PRODUCTION_NOT_CANCELLABLE");
        assert_eq!(refused.metadata, [("state", state.name().to_owned())]);
    }
}

#[test]
fn what_was_not_opened_yet_can_be_cancelled_and_owes_nothing() {
    let tombstone = Production::tombstone("a", Time(2));
    let forbidden = after(Production::cancel_or_forbid(None, &tombstone, Time(2)));
    assert_eq!(forbidden, Some((State::Cancelled, false, "ProductionCancelled")));
}

#[test]
fn only_what_has_started_is_completed() {
    let completed = after(production(State::Started).complete(Time(2)));
    assert_eq!(completed, Some((State::Completed, false, "ProductionCompleted")));
    for state in [State::Taking, State::OutOfStock, State::Completed, State::Cancelled, State::Failed] {
        assert_eq!(production(state).complete(Time(2)).expect_err("not started").reason, "PRODUCTION_NOT_STARTED");
    }
}

#[test]
fn a_production_that_failed_owes_what_it_took_until_it_is_repaid() {
    for state in [State::Taking, State::OutOfStock, State::Started] {
        assert_eq!(after(production(state).fail(Time(2))), Some((State::Failed, true, "ProductionFailed")));
    }
    let refused = production(State::Completed).fail(Time(2)).expect_err("it is made");
    assert_eq!(refused.reason, "PRODUCTION_ENDED");
    let owing = Production { owes: true, ..production(State::Failed) };
    assert_eq!(after(owing.repay()), Some((State::Failed, false, "")));
    assert_eq!(after(production(State::Failed).repay()), None);
}

#[test]
fn what_can_never_have_its_stock_fails() {
    assert_eq!(
        after(production(State::Taking).follow(&Outcome::Never, Time(2))),
        Some((State::Failed, true, "ProductionFailed"))
    );
}
