//! Every rule of a notification in every state, and the limits of attempts.

use super::*;

const NOW: Time = Time(1_000_000_000_000);

fn notification(state: State, is_awaited: bool) -> Notification {
    Notification {
        id: "n".to_owned(),
        recipient: "customers/mina".to_owned(),
        channel: Channel::Kakao,
        text: "Welcome".to_owned(),
        about: "customers/a".to_owned(),
        occasion: "CUSTOMER_REGISTERED".to_owned(),
        is_awaited,
        fingerprint: String::new(),
        state,
        state_reason: String::new(),
        attempts: 1,
        next_attempt_time: NOW,
        create_time: NOW,
        update_time: NOW,
    }
}

fn saved(decision: Result<Decision<Notification>, Error>) -> Option<Notification> {
    match decision.expect("a decision") {
        Decision::Save(notification, _) => Some(notification),
        Decision::Leave => None,
    }
}

#[test]
fn the_first_outcome_stays() {
    for state in [State::Delivered, State::Failed, State::Withdrawn] {
        let ended = notification(state, true);
        let later = [ended.deliver(NOW), ended.fail("LATE", NOW), ended.withdraw(NOW), ended.attempt(NOW)];
        assert!(later.into_iter().all(|decision| saved(decision).is_none()), "{state:?}");
    }
}

#[test]
fn events_contain_neither_the_text_nor_the_recipient() {
    let Decision::Save(delivered, events) = notification(State::Pending, true).deliver(NOW).expect("a decision") else {
        panic!("nothing is saved");
    };
    assert_eq!((delivered.state, events.len()), (State::Delivered, 1));
    let output = format!("{events:?}");
    assert!(!output.contains("Welcome") && !output.contains("mina"), "{output}");
}

#[test]
fn an_attempt_excludes_others_and_the_backoff_grows() {
    let mut pending = notification(State::Pending, false);
    let (mut now, mut backoffs) = (NOW, Vec::new());
    for attempts in 2..12 {
        pending = saved(pending.attempt(now)).expect("an attempt");
        assert_eq!(pending.attempts, attempts);
        assert_eq!(pending.attempt(now).expect_err("an attempt is in progress").reason, "ATTEMPT_UNDER_WAY");
        backoffs.push(pending.next_attempt_time.since(now));
        now = pending.next_attempt_time;
    }
    assert!(backoffs.iter().all(|backoff| *backoff <= MAX_BACKOFF * 3 / 2), "{backoffs:?}");
    assert!(backoffs[..6].is_sorted_by(|one, next| *next > *one), "{backoffs:?}");
}

#[test]
fn attempts_are_limited_in_number_and_in_age_and_more_so_when_a_caller_waited() {
    let attempts = |is_awaited| {
        let (mut pending, mut now) = (notification(State::Pending, is_awaited), NOW);
        while pending.state == State::Pending {
            now = pending.next_attempt_time;
            pending = saved(pending.attempt(now)).expect("a step");
        }
        (pending.attempts, pending.state_reason, now.since(NOW))
    };
    let (tried, reason, took) = attempts(true);
    assert_eq!((tried, reason.as_str()), (MAX_AWAITED_ATTEMPTS, GAVE_UP));
    assert!(took + AWAITED_FOR < Duration::from_secs(30), "{took:?}");
    let (tried, _, took) = attempts(false);
    assert!(tried == MAX_ATTEMPTS && took < MAX_AGE, "{tried} in {took:?}");
    let old = saved(notification(State::Pending, false).attempt(NOW + MAX_AGE * 2)).expect("an end");
    assert_eq!(old.state, State::Failed);
}

#[test]
fn a_tombstone_is_left_only_where_there_is_no_notification() {
    let tombstone = notification(State::Withdrawn, true);
    assert!(saved(Notification::leave_tombstone(None, &tombstone)).is_some());
    assert!(saved(Notification::leave_tombstone(Some(&notification(State::Delivered, true)), &tombstone)).is_none());
    assert!(saved(notification(State::Pending, true).withdraw_untried(NOW)).is_none(), "a delivery may be in progress");
    let untried = Notification { attempts: 0, ..notification(State::Pending, false) };
    assert_eq!(saved(untried.withdraw_untried(NOW)).map(|left| left.state), Some(State::Withdrawn));
}
