//! One transaction of the writer: loads the rows of many jobs, runs their rules in memory, and saves the results.

use std::{
    collections::{HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use jumun_core::{Envelope, Error, EventKind as _, Time, name::new_id, reasons};
use prost::Message as _;

use crate::{
    Decision, Stored,
    event_log::{self, Step},
    job::{Arrival, CommandOutcome, Decide, InboxEvent, Job},
    outbox::{self, CommittedEvents},
    request_key::{RequestKey, ReservationStep},
    row::{Revision, columns, read_stored, row, select},
    rows::{DeadLetter, InboxRow, RequestRow},
    storage::{self, Connection, Record, StorageError, differing, insert_rows, update_rows},
};

/// A cache of aggregates as this writer last committed them. Only a decision that saves may start from a cached state,
/// because the save detects a concurrent change; any other decision is repeated from storage.
///
/// It has two generations: when the younger one is full, it replaces the older one.
pub(crate) struct StateCache<A> {
    young: HashMap<String, (Arc<A>, Revision)>,
    old: HashMap<String, (Arc<A>, Revision)>,
}

/// Maximum number of cached aggregates of one generation, apart from those of the last transaction.
const MAX_CACHED: usize = 1024;

impl<A> StateCache<A> {
    pub(crate) fn new() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }

    fn get(&self, id: &str) -> Option<&(Arc<A>, Revision)> {
        self.young.get(id).or_else(|| self.old.get(id))
    }

    pub(crate) fn insert(&mut self, written: impl Iterator<Item = (String, (Arc<A>, Revision))>) {
        if self.young.len() >= MAX_CACHED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.extend(written);
    }
}

/// Aggregates as they were committed, by id.
pub(crate) type Written<A> = Vec<(String, (Arc<A>, Revision))>;

/// One aggregate during the batch.
struct Slot<A> {
    state: Option<Arc<A>>,
    /// The state was not read: it comes from the cache, or the aggregate is assumed not to exist.
    assumed: bool,
    /// The stored state; None, with version 0, if the aggregate is not stored.
    before: Option<Arc<A>>,
    stored: Revision,
    now: Revision,
}

impl<A> Slot<A> {
    fn of(state: Arc<A>, revision: Revision, assumed: bool) -> Self {
        Self { before: Some(state.clone()), state: Some(state), assumed, stored: revision, now: revision }
    }
}

impl<A> Default for Slot<A> {
    fn default() -> Self {
        Self { state: None, assumed: false, before: None, stored: Revision::default(), now: Revision::default() }
    }
}

/// The inbox gate of one consumer and one aggregate, which each event passes once and in order.
#[derive(Clone, Copy, Default)]
struct Gate {
    /// The version of the stored row; 0 if there is none.
    version: i64,
    last_event: i64,
    /// Dead letters of the aggregate; while there are any, its later events become dead letters, too.
    parked: i64,
    /// Whether events that the consumer has read wait for a retry; later ones wait behind them.
    retrying: bool,
    changed: bool,
}

/// What the writer knows of a consumer, from its first event on.
#[derive(Clone, Copy, Default)]
pub(crate) struct KnownConsumer {
    /// Whether it has gates: if not, they are not read for events that arrive in sequence.
    has_gates: bool,
    /// How far it has read the history, before it received events from a broker.
    position: i64,
}

/// The consumers that the writer knows, by name.
pub(crate) type KnownConsumers = HashMap<String, KnownConsumer>;

/// The rows that the jobs need, and the rows to write.
pub(crate) struct Batch<'a, A: Stored> {
    schema: String,
    now: Time,
    slots: HashMap<String, Slot<A>>,
    gates: HashMap<String, Gate>,
    consumers: &'a mut KnownConsumers,
    /// Fingerprints and first replies of requests, by id: those stored before, and those of this batch.
    replies: HashMap<String, (String, Vec<u8>)>,
    new_requests: Vec<RequestRow>,
    dead_letters: Vec<DeadLetter>,
    new_parked: Vec<Parked>,
    /// Dead letters that jobs redrive and that still exist.
    redrivable: HashSet<i64>,
    redriven: Vec<i64>,
    events: Vec<Envelope>,
    /// A decision without a save was based on an assumed state, which may be outdated.
    unverified: bool,
}

/// The results of a transaction, for the callers, the watchers and the relay.
pub(crate) struct BatchOutcome<A: Stored> {
    pub(crate) answers: Vec<Result<CommandOutcome<A>, Error>>,
    pub(crate) written: Written<A>,
    pub(crate) events: CommittedEvents,
    pub(crate) parked: Vec<Parked>,
}

/// An event that became a dead letter, for the log.
pub(crate) struct Parked {
    pub(crate) event: String,
    pub(crate) consumer: String,
    pub(crate) reason: String,
}

impl<A: Stored> BatchOutcome<A> {
    /// Answers of a transaction that wrote nothing.
    pub(crate) fn without_writes(answers: Vec<Result<CommandOutcome<A>, Error>>) -> Self {
        Self { answers, written: Vec::new(), events: CommittedEvents::default(), parked: Vec::new() }
    }
}

impl<'a, A: Stored> Batch<'a, A> {
    /// Reads all rows that the jobs need, with one query per table. If `optimistic`, targets that are likely new are
    /// assumed not to exist and are not read; if that is wrong, an INSERT fails as stale.
    pub(crate) fn load(
        connection: &mut Connection,
        schema: &str,
        now: Time,
        jobs: &[Job<A>],
        cache: &StateCache<A>,
        consumers: &'a mut KnownConsumers,
        optimistic: bool,
    ) -> Result<Self, StorageError> {
        // Aggregates are read last, so that they are at least as recent as the gates and replies that refer to them.
        let replies = load_replies(connection, jobs, optimistic)?;
        let gates = load_gates(connection, jobs, consumers)?;
        let redrivable = load_redrivable(connection, jobs)?;
        Ok(Self {
            unverified: false,
            schema: schema.to_owned(),
            now,
            slots: load_slots(connection, jobs, &replies, cache, optimistic)?,
            gates,
            consumers,
            replies,
            new_requests: Vec::new(),
            dead_letters: Vec::new(),
            new_parked: Vec::new(),
            redrivable,
            redriven: Vec::new(),
            events: Vec::new(),
        })
    }

    /// Runs the rule of one job in memory.
    pub(crate) fn decide(&mut self, job: &mut Job<A>) -> Result<CommandOutcome<A>, Error> {
        match &job.event {
            Some(_) => self.decide_event(job),
            None => self.decide_command(job),
        }
    }

    fn decide_command(&mut self, job: &mut Job<A>) -> Result<CommandOutcome<A>, Error> {
        if let Some(key) = &job.request {
            self.reject_if_released(key)?;
        }
        if let Some(key) = &job.request
            && let Some((fingerprint, reply)) = self.replies.get(&key.id)
        {
            if *fingerprint != key.fingerprint {
                return Err(key.parameters_differ());
            }
            if !key.creates {
                return Ok(CommandOutcome { state: None, replay: Some(reply.clone()) });
            }
            return Ok(CommandOutcome { state: self.apply(job, None)?, replay: None });
        }
        if let Some(key) = &job.request
            && !self.needs_rule(key)?
        {
            return Ok(self.prevent_reservation(key, job.target.as_deref()));
        }
        let state = self.apply(job, None)?;
        if let (Some(key), Some(state)) = (&job.request, &state) {
            let reply = if key.creates { state.id().as_bytes().to_vec() } else { state.resource().encode_to_vec() };
            self.record_reply(key, reply);
        }
        Ok(CommandOutcome { state, replay: None })
    }

    /// Applies an event once and in order: skips a duplicate, rejects an event whose predecessor is missing, and turns
    /// an event that cannot be applied, and its successors, into dead letters.
    fn decide_event(&mut self, job: &mut Job<A>) -> Result<CommandOutcome<A>, Error> {
        let Some(event) = job.event.take() else { return Err(Error::internal("the job has no event")) };
        let result = self.pass_gate(job, &event);
        job.event = Some(event);
        result
    }

    fn pass_gate(&mut self, job: &mut Job<A>, event: &InboxEvent) -> Result<CommandOutcome<A>, Error> {
        let done = Ok(CommandOutcome { state: None, replay: None });
        let known = self.gates.get(&event.inbox_id()).copied();
        let gate = known.unwrap_or_default();
        let number = event.envelope.number;
        if let Some(dead_letter) = event.redriven {
            // A concurrent redrive was faster.
            if !self.redrivable.contains(&dead_letter) || self.redriven.contains(&dead_letter) {
                return done;
            }
        } else {
            let waits_for_retry = gate.retrying && event.arrival == Arrival::InSequence;
            if number <= gate.last_event || waits_for_retry {
                return done;
            }
            if event.arrival == Arrival::Broker && known.is_none() && self.has_read(event) {
                self.record(event, |gate| gate.last_event = number);
                return done;
            }
            if event.arrival == Arrival::Broker && number > gate.last_event + 1 {
                return Err(Error::new(
                    &reasons::EARLIER_EVENT_MISSING,
                    format!("{} waits for event {}", event.envelope.id(), gate.last_event + 1),
                ));
            }
            if gate.parked > 0 {
                self.park(event, "waits behind an earlier dead letter");
                return done;
            }
        }
        let causation = Some(event.envelope.id());
        let applied = match &event.poison {
            Some(error) => Err(error.clone()),
            None => self.apply(job, causation.as_deref()),
        };
        match (applied, event.redriven) {
            // It is retried; a redriven dead letter that fails again stays a dead letter.
            (Err(error), redriven) if redriven.is_some() || error.is_transient() => {
                if event.arrival == Arrival::InSequence {
                    self.record(event, |gate| (gate.last_event, gate.retrying) = (number - 1, true));
                }
                return Err(error);
            }
            (Err(error), _) => self.park(event, &error.to_string()),
            (Ok(_), Some(dead_letter)) => {
                self.redriven.push(dead_letter);
                self.record(event, |gate| gate.parked -= 1);
            }
            // The position of the consumer records it.
            (Ok(_), None) if event.arrival == Arrival::InSequence && known.is_none() => {}
            (Ok(_), None) => self.record(event, |gate| gate.last_event = number),
        }
        done
    }

    /// Changes the gate of an event's consumer and aggregate.
    fn record(&mut self, event: &InboxEvent, change: impl FnOnce(&mut Gate)) {
        let gate = self.gates.entry(event.inbox_id()).or_default();
        change(gate);
        if let Arrival::Retry { more } = event.arrival {
            gate.retrying = more;
        }
        gate.changed = true;
        if let Some(consumer) = self.consumers.get_mut(&event.consumer) {
            consumer.has_gates = true;
        }
    }

    /// Whether the consumer has read the event in the history, before it received events from a broker.
    fn has_read(&self, event: &InboxEvent) -> bool {
        let sequence = event.envelope.sequence;
        sequence > 0 && self.consumers.get(&event.consumer).is_some_and(|consumer| sequence <= consumer.position)
    }

    /// Runs the job's rule; returns the state after it.
    fn apply(&mut self, job: &mut Job<A>, causation: Option<&str>) -> Result<Option<Arc<A>>, Error> {
        let Some(id) = job.target(&self.replies) else { return Ok(None) };
        let slot = self.slots.entry(id.clone()).or_default();
        let decision = decide(&mut job.decide, slot.state.as_deref());
        let saves = matches!(decision, Ok(Decision::Save(..)));
        // A state that this batch wrote is verified by the save that it is part of.
        self.unverified |= slot.assumed && !saves && slot.now.version == slot.stored.version;
        match decision? {
            Decision::Leave => {}
            Decision::Save(state, events) => {
                debug_assert_eq!(state.id(), id.as_str(), "a decision keeps the aggregate's id");
                slot.now.version = slot.stored.version + 1;
                for event in events {
                    slot.now.last_event += 1;
                    self.events.push(Envelope {
                        context: self.schema.clone(),
                        sequence: 0,
                        aggregate: id.clone(),
                        number: slot.now.last_event,
                        kind: event.kind().to_owned(),
                        payload: event.encode_to_vec(),
                        time: self.now,
                        traceparent: job.traceparent.clone(),
                        causation: causation.map(str::to_owned),
                    });
                }
                slot.state = Some(Arc::new(state));
            }
        }
        Ok(slot.state.clone())
    }

    /// The fingerprint and the first reply of a request.
    pub(crate) fn reply(&self, id: &str) -> Option<&(String, Vec<u8>)> {
        self.replies.get(id)
    }

    /// The state of an aggregate in this batch.
    pub(crate) fn state(&self, id: &str) -> Option<Arc<A>> {
        self.slots.get(id)?.state.clone()
    }

    pub(crate) fn record_reply(&mut self, key: &RequestKey, reply: Vec<u8>) {
        self.new_requests.push(RequestRow {
            id: key.id.clone(),
            fingerprint: key.fingerprint.clone(),
            reply: reply.clone(),
            time: self.now,
        });
        self.replies.insert(key.id.clone(), (key.fingerprint.clone(), reply));
    }

    fn park(&mut self, event: &InboxEvent, reason: &str) {
        let envelope = &event.envelope;
        self.new_parked.push(Parked {
            event: envelope.id(),
            consumer: event.consumer.clone(),
            reason: reason.to_owned(),
        });
        self.dead_letters.push(DeadLetter {
            seq: 0,
            inbox_id: event.inbox_id(),
            consumer: event.consumer.clone(),
            event: envelope.id(),
            context: envelope.context.clone(),
            aggregate: envelope.aggregate.clone(),
            number: envelope.number,
            kind: envelope.kind.clone(),
            payload: envelope.payload.clone(),
            event_time: envelope.time,
            traceparent: envelope.traceparent.clone(),
            reason: reason.to_owned(),
            time: self.now,
        });
        let number = envelope.number;
        self.record(event, |gate| {
            gate.last_event = number;
            gate.parked += 1;
        });
    }

    /// Writes the results of all decisions, with one statement per table.
    pub(crate) fn save(
        mut self,
        connection: &mut Connection,
        answers: Vec<Result<CommandOutcome<A>, Error>>,
        steps: &[Step],
        is_relayed: bool,
    ) -> Result<BatchOutcome<A>, StorageError> {
        if self.unverified {
            return Err(StorageError::Stale("cached state"));
        }
        let written = self.save_aggregates(connection)?;
        let events = self.save_events(connection, is_relayed)?;
        self.save_gates(connection)?;
        for step in steps {
            step.save(connection)?;
        }
        storage::insert(connection, &self.new_requests)?;
        storage::insert(connection, &self.dead_letters)?;
        for dead_letter in self.redriven {
            connection.execute("DELETE FROM dead_letters WHERE seq = ?", &[dead_letter.into()])?;
        }
        Ok(BatchOutcome { answers, written, events, parked: self.new_parked })
    }

    /// Inserts the events and, if a relay publishes them, the outbox entry that marks them as unpublished.
    fn save_events(&mut self, connection: &mut Connection, is_relayed: bool) -> Result<CommittedEvents, StorageError> {
        let events = std::mem::take(&mut self.events);
        if events.is_empty() {
            return Ok(CommittedEvents::default());
        }
        let committed = CommittedEvents { batch: new_id().into(), events };
        if is_relayed {
            let keys = committed.events.iter().map(Envelope::key);
            outbox::insert_unpublished(connection, &committed.batch, keys, self.now)?;
        }
        storage::insert(connection, &committed.events)?;
        Ok(committed)
    }

    fn save_gates(&mut self, connection: &mut Connection) -> Result<(), StorageError> {
        let (mut created, mut updated) = (Vec::new(), Vec::new());
        for (id, gate) in in_order(self.gates.drain().filter(|(_, gate)| gate.changed)) {
            let Gate { version, last_event, parked, retrying, .. } = gate;
            let row = InboxRow { id, version: version + 1, last_event, parked, retrying: retrying.into() };
            if gate.version == 0 { created.push(row) } else { updated.push(row) }
        }
        storage::insert(connection, &created)?;
        let saved = storage::update(connection, &updated)?;
        // Another replica applied the same event: the batch runs again from the stored gates.
        if saved == updated.len() { Ok(()) } else { Err(StorageError::Stale("inbox")) }
    }

    fn save_aggregates(&mut self, connection: &mut Connection) -> Result<Written<A>, StorageError> {
        let changed = in_order(self.slots.drain().filter(|(_, slot)| slot.now.version > slot.stored.version));
        let (mut created, mut before, mut updated) = (Vec::new(), Vec::new(), Vec::new());
        for (id, slot) in &changed {
            let Some(state) = &slot.state else { continue };
            match &slot.before {
                None => created.push(row(id, slot.now, &**state)),
                Some(state_before) => {
                    before.push(row(id, slot.stored, &**state_before));
                    updated.push(row(id, slot.now, &**state));
                }
            }
        }
        if let Some(index) = A::DEFERRED_INDEX {
            index.add(connection, &columns::<A>(), &created)?;
        }
        insert_rows(connection, A::TABLE.name, &columns::<A>(), created)?;
        // SQLite updates the index of every assigned column, even if its value stays the same.
        let (columns, updated) = differing(columns::<A>(), &before, updated);
        let saved = update_rows(connection, A::TABLE.name, &columns, updated)?;
        if saved != before.len() {
            return Err(StorageError::Stale(A::TABLE.name));
        }
        Ok(changed.into_iter().filter_map(|(id, slot)| Some((id, (slot.state?, slot.now)))).collect())
    }
}

/// Rows in the order of their ids, so that replicas that write the same rows cannot deadlock.
fn in_order<T>(rows: impl Iterator<Item = (String, T)>) -> Vec<(String, T)> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    rows
}

/// Runs a rule. A rule that panics fails only its own job, as INTERNAL.
fn decide<A: Stored>(rule: &mut Decide<A>, state: Option<&A>) -> Result<Decision<A>, Error> {
    catch_unwind(AssertUnwindSafe(|| rule(state))).unwrap_or_else(|_| Err(Error::internal("a rule panicked")))
}

impl<A: Stored> Job<A> {
    /// The aggregate of the job; for a repeated creation, the aggregate that the first one created.
    fn target(&self, replies: &HashMap<String, (String, Vec<u8>)>) -> Option<String> {
        let key = self.request.as_ref().filter(|key| key.creates);
        match key.and_then(|key| replies.get(&key.id)) {
            Some((_, id)) => Some(String::from_utf8_lossy(id).into_owned()),
            None => self.target.clone(),
        }
    }
}

impl InboxEvent {
    /// The id of the inbox gate: one per consumer and aggregate.
    fn inbox_id(&self) -> String {
        format!("{}/{}", self.consumer, self.envelope.aggregate)
    }
}

fn load_slots<A: Stored>(
    connection: &mut Connection,
    jobs: &[Job<A>],
    replies: &HashMap<String, (String, Vec<u8>)>,
    cache: &StateCache<A>,
    optimistic: bool,
) -> Result<HashMap<String, Slot<A>>, StorageError> {
    let mut slots = HashMap::with_capacity(jobs.len());
    let mut unknown = HashSet::new();
    for job in jobs {
        let Some(id) = job.target(replies) else { continue };
        if let Some((state, revision)) = cache.get(&id) {
            slots.insert(id, Slot::of(state.clone(), *revision, true));
        } else if optimistic && job.likely_new {
            slots.insert(id, Slot { assumed: true, ..Slot::default() });
        } else {
            unknown.insert(id);
        }
    }
    if !unknown.is_empty() {
        let unknown: Vec<&str> = unknown.iter().map(String::as_str).collect();
        for mut row in connection.query_any(&select::<A>(), "id", &unknown)? {
            let (state, revision): (A, Revision) = read_stored(&mut row)?;
            slots.insert(state.id().to_owned(), Slot::of(Arc::new(state), revision, false));
        }
    }
    Ok(slots)
}

fn load_gates<A: Stored>(
    connection: &mut Connection,
    jobs: &[Job<A>],
    consumers: &mut KnownConsumers,
) -> Result<HashMap<String, Gate>, StorageError> {
    let mut ids = Vec::new();
    for event in jobs.iter().filter_map(|job| job.event.as_ref()) {
        let consumer = match consumers.get(&event.consumer) {
            Some(consumer) => *consumer,
            None => {
                let consumer = load_consumer(connection, &event.consumer)?;
                consumers.insert(event.consumer.clone(), consumer);
                consumer
            }
        };
        if consumer.has_gates || event.arrival != Arrival::InSequence {
            ids.push(event.inbox_id());
        }
    }
    let ids = distinct(ids.iter().map(String::as_str));
    let mut gates = HashMap::with_capacity(ids.len());
    if !ids.is_empty() {
        for mut row in connection.query_any(&storage::select::<InboxRow>(&[]), "id", &ids)? {
            let InboxRow { id, version, last_event, parked, retrying } = InboxRow::from_row((), &mut row)?;
            gates.insert(id, Gate { version, last_event, parked, retrying: retrying > 0, changed: false });
        }
    }
    Ok(gates)
}

fn load_consumer(connection: &mut Connection, consumer: &str) -> Result<KnownConsumer, StorageError> {
    let prefix = format!("{consumer}/");
    let length = i64::try_from(prefix.len()).unwrap_or(i64::MAX);
    let sql = "SELECT 1 FROM inbox WHERE SUBSTR(id, 1, CAST(? AS INTEGER)) = ? LIMIT 1";
    let has_gates = !connection.query(sql, &[length.into(), prefix.into()])?.is_empty();
    let position = event_log::stored_position(connection, consumer)?.unwrap_or_default();
    Ok(KnownConsumer { has_gates, position })
}

fn load_redrivable<A: Stored>(connection: &mut Connection, jobs: &[Job<A>]) -> Result<HashSet<i64>, StorageError> {
    let mut redrivable = HashSet::new();
    for dead_letter in jobs.iter().filter_map(|job| job.event.as_ref()?.redriven) {
        for mut row in connection.query("SELECT seq FROM dead_letters WHERE seq = ?", &[dead_letter.into()])? {
            redrivable.insert(row.int()?);
        }
    }
    Ok(redrivable)
}

fn load_replies<A: Stored>(
    connection: &mut Connection,
    jobs: &[Job<A>],
    optimistic: bool,
) -> Result<HashMap<String, (String, Vec<u8>)>, StorageError> {
    let read = jobs.iter().filter(|job| !(optimistic && job.likely_new));
    let ids = distinct(read.filter_map(|job| job.request.as_ref()).flat_map(RequestKey::ids));
    let mut replies = HashMap::with_capacity(ids.len());
    if !ids.is_empty() {
        for mut row in connection.query_any(&storage::select::<RequestRow>(&[]), "id", &ids)? {
            let request = RequestRow::from_row((), &mut row)?;
            replies.insert(request.id, (request.fingerprint, request.reply));
        }
    }
    Ok(replies)
}

fn distinct<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    ids.collect::<HashSet<_>>().into_iter().collect()
}

/// Reservations and their releases; see [`RequestKey`].
impl<A: Stored> Batch<'_, A> {
    fn reject_if_released(&self, key: &RequestKey) -> Result<(), Error> {
        match &key.step {
            ReservationStep::Reserve(release) if self.reply(release).is_some() => Err(Error::new(
                &reasons::TAKEN_BACK,
                "the reservation was already released, and can never be made again",
            )),
            _ => Ok(()),
        }
    }

    /// Whether a rule has to run: not for the release of a reservation that was not made.
    fn needs_rule(&self, key: &RequestKey) -> Result<bool, Error> {
        let ReservationStep::Release(reservation) = &key.step else { return Ok(true) };
        match self.reply(reservation) {
            None => Ok(false),
            Some((fingerprint, _)) if *fingerprint == key.fingerprint => Ok(true),
            Some(_) => Err(key.parameters_differ()),
        }
    }

    /// Releases a reservation that was not made: records it as made and released, so that it never will be. Answers
    /// with the current aggregate, if it exists.
    fn prevent_reservation(&mut self, key: &RequestKey, target: Option<&str>) -> CommandOutcome<A> {
        let state = target.and_then(|id| self.state(id));
        let reply = state.as_ref().map(|state| state.resource().encode_to_vec()).unwrap_or_default();
        if let ReservationStep::Release(reservation) = &key.step {
            self.record_reply(&RequestKey { id: reservation.clone(), ..key.clone() }, reply.clone());
        }
        self.record_reply(key, reply);
        // Without an aggregate the reply is empty.
        let replay = state.is_none().then(Vec::new);
        CommandOutcome { state, replay }
    }
}
