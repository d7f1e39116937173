use proptest::prelude::*;

use super::*;

const fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn call(breaker: &mut Breaker, outcome: Outcome, now: Duration) -> bool {
    let sent = breaker.send(now).expect("it is sent");
    breaker.record(sent, outcome, now)
}

/// A circuit that opened at 0.
fn opened() -> Breaker {
    let mut breaker = Breaker::new();
    assert_eq!((0..MIN_CALLS).filter(|_| call(&mut breaker, Outcome::Failed, at(0))).count(), 1);
    assert_eq!(breaker.state(), State::Open(OPEN_FOR));
    breaker
}

#[test]
fn it_opens_when_half_of_enough_calls_failed() {
    let mut breaker = Breaker::new();
    for index in 0..MIN_CALLS - 1 {
        let outcome = if index % 2 == 0 { Outcome::Failed } else { Outcome::Answered };
        assert!(!call(&mut breaker, outcome, at(0)), "too few calls");
    }
    assert!(call(&mut breaker, Outcome::Answered, at(0)));
    assert_eq!(breaker.send(at(500)), Err(OPEN_FOR - at(500)));
}

#[test]
fn it_opens_when_most_calls_were_slow() {
    let mut breaker = Breaker::new();
    let opened = (0..MIN_CALLS).map(|index| if index % 5 == 0 { Outcome::Answered } else { Outcome::Slow });
    assert_eq!(opened.filter(|outcome| call(&mut breaker, *outcome, at(0))).count(), 1);
}

#[test]
fn it_stays_closed_while_calls_are_cancelled_or_refused() {
    let mut breaker = Breaker::new();
    for _ in 0..1000 {
        assert!(!call(&mut breaker, Outcome::Ignored, at(0)));
        assert!(!call(&mut breaker, Outcome::Answered, at(0)));
    }
}

#[test]
fn calls_older_than_the_window_do_not_count() {
    let mut breaker = Breaker::new();
    assert!(!(1..MIN_CALLS).any(|_| call(&mut breaker, Outcome::Failed, at(0))));
    assert_eq!(breaker.counts(at(9_999)).failed, MIN_CALLS - 1);
    assert_eq!(breaker.counts(at(10_000)).failed, 0);
    assert!(!call(&mut breaker, Outcome::Failed, at(10_000)));
    assert_eq!(breaker.counts(at(10_000)).calls, 1);
    assert!(!call(&mut breaker, Outcome::Failed, at(1_000_000)), "a long time later");
    assert_eq!(breaker.counts(at(1_000_000)).calls, 1);
}

#[test]
fn after_a_while_a_few_probes_are_sent_and_close_it_when_all_succeed() {
    let mut breaker = opened();
    let now = OPEN_FOR;
    let probes: Vec<_> = (0..PROBES).map(|_| breaker.send(now).expect("a probe")).collect();
    assert_eq!(breaker.send(now), Err(OPEN_FOR), "no more at once");
    for probe in probes {
        assert!(!breaker.record(probe, Outcome::Answered, now));
    }
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.counts(now).calls, 0, "earlier calls no longer count");
}

#[test]
fn one_probe_that_fails_opens_it_again() {
    for outcome in [Outcome::Failed, Outcome::Slow] {
        let mut breaker = opened();
        let (one, other) = (breaker.send(OPEN_FOR).expect("a probe"), breaker.send(OPEN_FOR).expect("a probe"));
        assert!(breaker.record(one, outcome, OPEN_FOR));
        assert_eq!(breaker.state(), State::Open(OPEN_FOR * 2));
        assert!(!breaker.record(other, Outcome::Answered, OPEN_FOR), "it was sent in another state");
        assert_eq!(breaker.state(), State::Open(OPEN_FOR * 2));
    }
}

#[test]
fn a_cancelled_probe_makes_room_for_another() {
    let mut breaker = opened();
    let probes: Vec<_> = (0..PROBES).map(|_| breaker.send(OPEN_FOR).expect("a probe")).collect();
    breaker.record(probes[0], Outcome::Ignored, OPEN_FOR);
    assert!(breaker.send(OPEN_FOR).is_ok());
}

proptest! {
    #[test]
    fn few_calls_reach_a_callee_that_always_fails(pauses in prop::collection::vec(0..500u64, 1..2000)) {
        let mut breaker = Breaker::new();
        let (mut now, mut sent) = (0, 0);
        for pause in pauses {
            now += pause;
            if breaker.send(at(now)).map(|call| breaker.record(call, Outcome::Failed, at(now))).is_ok() {
                sent += 1;
            }
        }
        // The calls that opened it in each window, and one probe for each time it was open.
        let probes = now / u64::try_from(OPEN_FOR.as_millis()).expect("small") + 1;
        let window = now / u64::try_from(WINDOW.as_millis()).expect("small") + 1;
        prop_assert!(sent <= u64::from(MIN_CALLS) * window + probes, "{sent} in {now} ms");
    }

    #[test]
    fn it_always_closes_again_when_calls_succeed(outcomes in prop::collection::vec(0..4u8, 0..300)) {
        let mut breaker = Breaker::new();
        let mut now = 0;
        let mut in_flight = Vec::new();
        for outcome in outcomes {
            now += 100;
            let outcome = [Outcome::Answered, Outcome::Slow, Outcome::Failed, Outcome::Ignored][usize::from(outcome)];
            in_flight.extend(breaker.send(at(now)));
            if in_flight.len() > 3 {
                breaker.record(in_flight.remove(0), outcome, at(now));
            }
        }
        for sent in in_flight {
            breaker.record(sent, Outcome::Answered, at(now));
        }
        now += 20_000;
        for _ in 0..PROBES {
            if let Ok(sent) = breaker.send(at(now)) {
                breaker.record(sent, Outcome::Answered, at(now));
            }
        }
        prop_assert_eq!(breaker.state(), State::Closed);
    }
}
