//! The dead letters of the contexts of a process, as operators see them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use contracts::admin::v1::{
    DeadLetter as DeadLetterWire, DiscardDeadLettersResponse, ListDeadLettersRequest, ListDeadLettersResponse,
    RedriveDeadLettersRequest, RedriveDeadLettersResponse, redrive_dead_letters_response::Failure,
};
use engine::{
    EngineHandle, PageTokens,
    dead_letters::{self, DeadLetter},
    page_size,
};
use jumun_core::{Error, Violations};
use runtime::Operations;

use crate::events;

/// The dead letters of each engine that one call redrives at most, and that are read at once.
const MAX_REDRIVEN: usize = 1000;
/// Maximum number of failures in a response.
const MAX_FAILURES: usize = 100;

/// One page of the dead letters.
pub(crate) async fn list(
    operations: &Operations,
    request: &ListDeadLettersRequest,
) -> Result<ListDeadLettersResponse, Error> {
    let mut response = ListDeadLettersResponse::default();
    let Some(first) = operations.engines.first() else { return Ok(response) };
    // A token contains the index of an outbox of this process, so it is bound to the list of outboxes.
    let contexts: Vec<_> = operations.engines.iter().map(|outbox| outbox.database().schema()).collect();
    let tokens = PageTokens::of(first.database(), &contexts).await?;
    let mut violations = Violations::default();
    let position = violations.take("page_token", tokens.read(&request.page_token)).flatten();
    violations.into_result()?;
    let (first, mut after) = position.as_deref().and_then(read_position).unwrap_or_default();
    let size = page_size(request.page_size);
    for (index, outbox) in operations.engines.iter().enumerate().skip(first) {
        let room = size - response.dead_letters.len();
        // One more than there is room for, to learn whether there is another page.
        let found = dead_letters::list(outbox.database(), after, room + 1).await?;
        let context = outbox.database().schema();
        response.dead_letters.extend(found.iter().take(room).map(|letter| to_wire(letter, context)));
        if found.len() > room {
            let last = room.checked_sub(1).map_or(after, |last| found[last].seq);
            response.next_page_token = tokens.write(&format!("{index}-{last}"));
            break;
        }
        after = 0;
    }
    Ok(response)
}

/// The dead letter with this name.
pub(crate) async fn get(operations: &Operations, name: &str) -> Result<DeadLetterWire, Error> {
    let unknown = || Error::not_found(name);
    let (context, seq) = parse_name(name).ok_or_else(unknown)?;
    let engine = operations.engine(context).ok_or_else(unknown)?;
    let found = dead_letters::list(engine.database(), seq - 1, 1).await?;
    found.iter().find(|letter| letter.seq == seq).map(|letter| to_wire(letter, context)).ok_or_else(unknown)
}

/// Applies dead letters again, in their original order: those of a context, those with these names, or all.
pub(crate) async fn redrive(
    operations: &Operations,
    request: &RedriveDeadLettersRequest,
) -> Result<RedriveDeadLettersResponse, Error> {
    let context = &request.context;
    if !context.is_empty() && operations.engine(context).is_none() {
        return Err(Error::not_found(context));
    }
    let mut response = RedriveDeadLettersResponse::default();
    for engine in &operations.engines {
        let schema = engine.database().schema();
        if !context.is_empty() && context != schema {
            continue;
        }
        let named = request.names.iter().filter_map(|name| parse_name(name));
        let named: HashSet<_> = named.filter(|(context, _)| *context == schema).map(|(_, seq)| seq).collect();
        if request.names.is_empty() {
            redrive_first(operations, &**engine, &mut response).await?;
        } else if let Some(last) = named.iter().copied().max() {
            redrive_named(operations, &**engine, &named, last, &mut response).await?;
        }
    }
    Ok(response)
}

/// Redrives the oldest dead letters of an engine.
async fn redrive_first(
    operations: &Operations,
    engine: &dyn EngineHandle,
    response: &mut RedriveDeadLettersResponse,
) -> Result<(), Error> {
    let mut blocked = Blocked::default();
    for letter in dead_letters::list(engine.database(), 0, MAX_REDRIVEN).await? {
        blocked.redrive(operations, engine, letter, response).await;
    }
    Ok(())
}

/// Redrives the dead letters of an engine that are named; `last` is the greatest number among them. The others block
/// those after them.
async fn redrive_named(
    operations: &Operations,
    engine: &dyn EngineHandle,
    named: &HashSet<i64>,
    last: i64,
    response: &mut RedriveDeadLettersResponse,
) -> Result<(), Error> {
    let (mut blocked, mut after) = (Blocked::default(), 0);
    while after < last {
        let read = dead_letters::list(engine.database(), after, MAX_REDRIVEN).await?;
        let Some(end) = read.last() else { return Ok(()) };
        after = end.seq;
        for letter in read.into_iter().filter(|letter| letter.seq <= last) {
            if named.contains(&letter.seq) {
                blocked.redrive(operations, engine, letter, response).await;
            } else {
                blocked.block(engine, &letter);
            }
        }
    }
    Ok(())
}

/// The sequences of events, by consumer and aggregate, that a dead letter blocks, with its name: those after it must not
/// be applied before it.
#[derive(Default)]
struct Blocked(HashMap<(String, String), String>);

impl Blocked {
    fn block(&mut self, engine: &dyn EngineHandle, letter: &DeadLetter) {
        self.0.entry(sequence(letter)).or_insert_with(|| name(engine.database().schema(), letter.seq));
    }

    /// Applies a dead letter, unless an earlier one blocks it.
    async fn redrive(
        &mut self,
        operations: &Operations,
        engine: &dyn EngineHandle,
        letter: DeadLetter,
        response: &mut RedriveDeadLettersResponse,
    ) {
        let (seq, sequence) = (letter.seq, sequence(&letter));
        let name = name(engine.database().schema(), seq);
        let subscription = operations.subscriptions.iter().find(|found| found.name() == letter.consumer);
        let failed = match (self.0.get(&sequence), subscription) {
            (Some(earlier), _) => Some(format!("waits behind {earlier}")),
            (None, None) => Some(format!("this process has no consumer {}", letter.consumer)),
            (None, Some(subscription)) => {
                let applied = subscription.redrive(Arc::new(letter.into_envelope()), seq).await;
                applied.err().map(|error| error.to_string())
            }
        };
        match failed {
            None => response.applied_count += 1,
            Some(reason) => {
                response.remaining_count += 1;
                self.0.entry(sequence).or_insert_with(|| name.clone());
                if response.failures.len() < MAX_FAILURES {
                    response.failures.push(Failure { name, reason });
                }
            }
        }
    }
}

/// The consumer and the aggregate, whose events are applied in order.
fn sequence(letter: &DeadLetter) -> (String, String) {
    (letter.consumer.clone(), letter.aggregate.clone())
}

/// Discards the dead letters with these names.
pub(crate) async fn discard(operations: &Operations, names: &[String]) -> Result<DiscardDeadLettersResponse, Error> {
    let mut response = DiscardDeadLettersResponse::default();
    for (context, seq) in names.iter().filter_map(|name| parse_name(name)) {
        if let Some(engine) = operations.engine(context)
            && dead_letters::discard(engine.as_ref(), seq).await?
        {
            response.discarded_count += 1;
        }
    }
    Ok(response)
}

fn to_wire(letter: &DeadLetter, context: &str) -> DeadLetterWire {
    DeadLetterWire {
        name: name(context, letter.seq),
        context: context.to_owned(),
        consumer: letter.consumer.clone(),
        event: letter.event.clone(),
        kind: letter.kind.clone(),
        reason: letter.reason.clone(),
        create_time: Some(letter.time.to_timestamp()),
        aggregate: events::aggregate(&letter.context, &letter.aggregate),
        number: letter.number,
        event_time: Some(letter.event_time.to_timestamp()),
        trace_id: events::trace_id(letter.traceparent.as_deref()),
        payload: events::payload(&letter.context, &letter.kind, &letter.payload),
    }
}

fn name(context: &str, seq: i64) -> String {
    format!("deadLetters/{context}-{seq}")
}

/// Parses `deadLetters/{context}-{number}`.
fn parse_name(name: &str) -> Option<(&str, i64)> {
    let (context, seq) = name.strip_prefix("deadLetters/")?.rsplit_once('-')?;
    Some((context, seq.parse().ok()?))
}

/// Parses `{outbox}-{number}`: the page begins after this dead letter of the outbox with this index.
fn read_position(position: &str) -> Option<(usize, i64)> {
    let (outbox, seq) = position.split_once('-')?;
    Some((outbox.parse().ok()?, seq.parse().ok()?))
}
