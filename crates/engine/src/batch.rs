//! One transaction: what many jobs read, decide and write.

use std::{
    collections::{HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use jumun_core::{Envelope, Error, EventKind as _, Time, name::new_id, reasons};
use prost::Message as _;

use crate::{
    Decision, Stored,
    job::{Arrival, Decide, Done, Job},
    outbox::{self, Committed},
    request_key::{Pairing, RequestKey},
    row::{Revision, columns, read_stored, row, select},
    rows::{DeadLetter, InboxRow, RequestRow},
    storage::{self, Connection, Record, StorageError, differing, insert_rows, update_rows},
};

/// Aggregates that were written lately, as they were committed. A decision that saves may start from one, because the
/// save finds out when somebody else wrote meanwhile; no other decision may.
pub(crate) struct Recent<A>(HashMap<String, (Arc<A>, Revision)>);

/// Aggregates remembered at most; beyond, all are forgotten.
const MAX_RECENT: usize = 8192;

impl<A> Recent<A> {
    pub(crate) fn new() -> Self {
        Self(HashMap::new())
    }

    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    pub(crate) fn remember(&mut self, written: impl ExactSizeIterator<Item = (String, (Arc<A>, Revision))>) {
        if self.0.len() + written.len() > MAX_RECENT {
            self.forget();
        }
        self.0.extend(written);
    }
}

/// Aggregates as they were committed, by id.
pub(crate) type Written<A> = Vec<(String, (Arc<A>, Revision))>;

/// One aggregate while the batch works on it.
struct Slot<A> {
    state: Option<Arc<A>>,
    /// Not read: it was written lately, or it is taken to be not there.
    assumed: bool,
    /// As it is stored; None, and version 0: it is not.
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

/// How far a consumer has come with one aggregate.
#[derive(Clone, Copy, Default)]
struct Gate {
    /// As it is stored; 0: it is not.
    version: i64,
    last_event: i64,
    /// Dead letters that later events wait behind.
    parked: i64,
    touched: bool,
}

/// The rows that jobs name, and those they leave to be written.
pub(crate) struct Batch<A: Stored> {
    schema: String,
    now: Time,
    slots: HashMap<String, Slot<A>>,
    gates: HashMap<String, Gate>,
    /// First answers: those stored before, then those of this batch.
    replies: HashMap<String, (String, Vec<u8>)>,
    new_requests: Vec<RequestRow>,
    dead_letters: Vec<DeadLetter>,
    new_parked: Vec<Parked>,
    /// Dead letters that jobs try again and that are still there.
    parked: HashSet<i64>,
    redriven: Vec<i64>,
    messages: Vec<Envelope>,
    /// Something was decided without a save from a state that may not be the present one.
    doubtful: bool,
}

/// What is told once the transaction is committed.
pub(crate) struct Outcome<A: Stored> {
    pub(crate) answers: Vec<Result<Done<A>, Error>>,
    pub(crate) written: Written<A>,
    pub(crate) events: Committed,
    pub(crate) parked: Vec<Parked>,
}

/// An event that became a dead letter, for the log.
pub(crate) struct Parked {
    pub(crate) event: String,
    pub(crate) consumer: String,
    pub(crate) reason: String,
}

impl<A: Stored> Outcome<A> {
    /// Answers, and nothing written.
    pub(crate) fn nothing(answers: Vec<Result<Done<A>, Error>>) -> Self {
        Self { answers, written: Vec::new(), events: Committed::default(), parked: Vec::new() }
    }
}

impl<A: Stored> Batch<A> {
    /// Reads everything that the jobs name: one query per table. When it is `trusting`, what a job is to begin is taken to
    /// be not there: where that is wrong, an insert fails as stale.
    pub(crate) fn load(
        connection: &mut Connection,
        schema: &str,
        now: Time,
        jobs: &[Job<A>],
        recent: &Recent<A>,
        trusting: bool,
    ) -> Result<Self, StorageError> {
        // The aggregates last: they are then at least as new as the gates and replies that say what was done to them.
        let replies = load_replies(connection, jobs, trusting)?;
        let gates = load_gates(connection, jobs)?;
        let parked = load_parked(connection, jobs)?;
        Ok(Self {
            doubtful: false,
            schema: schema.to_owned(),
            now,
            slots: load_slots(connection, jobs, &replies, recent, trusting)?,
            gates,
            replies,
            new_requests: Vec::new(),
            dead_letters: Vec::new(),
            new_parked: Vec::new(),
            parked,
            redriven: Vec::new(),
            messages: Vec::new(),
        })
    }

    /// Decides one job in memory.
    pub(crate) fn decide(&mut self, job: &mut Job<A>) -> Result<Done<A>, Error> {
        match &job.arrival {
            Some(_) => self.decide_event(job),
            None => self.decide_command(job),
        }
    }

    fn decide_command(&mut self, job: &mut Job<A>) -> Result<Done<A>, Error> {
        if let Some(key) = &job.request {
            self.refuse_released(key)?;
        }
        if let Some(key) = &job.request
            && let Some((fingerprint, reply)) = self.replies.get(&key.id)
        {
            if *fingerprint != key.fingerprint {
                return Err(key.performed_differently());
            }
            if !key.creates {
                return Ok(Done { state: None, replay: Some(reply.clone()) });
            }
            return Ok(Done { state: self.apply(job, None)?, replay: None });
        }
        if let Some(key) = &job.request
            && !self.is_there_to_release(key)?
        {
            return Ok(self.forbid(key, job.target.as_deref()));
        }
        let state = self.apply(job, None)?;
        if let (Some(key), Some(state)) = (&job.request, &state) {
            let reply = if key.creates { state.id().as_bytes().to_vec() } else { state.resource().encode_to_vec() };
            self.remember(key, reply);
        }
        Ok(Done { state, replay: None })
    }

    /// Applies the next event of an aggregate, once; keeps a later one waiting; puts one aside that cannot be applied,
    /// and those that follow it.
    fn decide_event(&mut self, job: &mut Job<A>) -> Result<Done<A>, Error> {
        let Some(arrival) = job.arrival.take() else { return Err(Error::internal("no event arrived")) };
        let result = self.pass_gate(job, &arrival);
        job.arrival = Some(arrival);
        result
    }

    fn pass_gate(&mut self, job: &mut Job<A>, arrival: &Arrival) -> Result<Done<A>, Error> {
        let done = Ok(Done { state: None, replay: None });
        let gate = self.gates.get(&arrival.inbox_id()).copied().unwrap_or_default();
        let number = arrival.message.number;
        if let Some(dead_letter) = arrival.redriven {
            // Two redrives at once: the other one was first.
            if !self.parked.contains(&dead_letter) || self.redriven.contains(&dead_letter) {
                return done;
            }
        } else {
            if number <= gate.last_event {
                return done;
            }
            if number > gate.last_event + 1 {
                return Err(Error::new(
                    &reasons::EARLIER_EVENT_MISSING,
                    format!("{} waits for number {}", arrival.message.id(), gate.last_event + 1),
                ));
            }
            if gate.parked > 0 {
                self.park(arrival, "waits behind an earlier dead letter");
                return done;
            }
        }
        let causation = Some(arrival.message.id());
        let applied = match &arrival.poison {
            Some(error) => Err(error.clone()),
            None => self.apply(job, causation.as_deref()),
        };
        match (applied, arrival.redriven) {
            // Not now; a dead letter that fails again stays where it is.
            (Err(error), redriven) if redriven.is_some() || error.is_transient() => return Err(error),
            (Err(error), _) => self.park(arrival, &error.to_string()),
            (Ok(_), Some(dead_letter)) => {
                self.redriven.push(dead_letter);
                let gate = self.gates.entry(arrival.inbox_id()).or_default();
                gate.parked -= 1;
                gate.touched = true;
            }
            (Ok(_), None) => {
                let gate = self.gates.entry(arrival.inbox_id()).or_default();
                gate.last_event = number;
                gate.touched = true;
            }
        }
        done
    }

    /// Runs the job's rule; returns the state after it.
    fn apply(&mut self, job: &mut Job<A>, causation: Option<&str>) -> Result<Option<Arc<A>>, Error> {
        let Some(id) = job.target(&self.replies) else { return Ok(None) };
        let slot = self.slots.entry(id.clone()).or_default();
        let decision = decide(&mut job.decide, slot.state.as_deref());
        let saves = matches!(decision, Ok(Decision::Save(..)));
        // What this batch wrote itself is as good as the save it comes with.
        self.doubtful |= slot.assumed && !saves && slot.now.version == slot.stored.version;
        match decision? {
            Decision::Leave => {}
            Decision::Save(state, events) => {
                debug_assert_eq!(state.id(), id.as_str(), "a decision keeps the aggregate's id");
                slot.now.version = slot.stored.version + 1;
                for event in events {
                    slot.now.last_event += 1;
                    self.messages.push(Envelope {
                        context: self.schema.clone(),
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

    /// The first answer to a request, and what tells the request from others.
    pub(crate) fn reply(&self, id: &str) -> Option<&(String, Vec<u8>)> {
        self.replies.get(id)
    }

    /// An aggregate as the batch has it.
    pub(crate) fn state(&self, id: &str) -> Option<Arc<A>> {
        self.slots.get(id)?.state.clone()
    }

    pub(crate) fn remember(&mut self, key: &RequestKey, reply: Vec<u8>) {
        self.new_requests.push(RequestRow {
            id: key.id.clone(),
            fingerprint: key.fingerprint.clone(),
            reply: reply.clone(),
            time: self.now,
        });
        self.replies.insert(key.id.clone(), (key.fingerprint.clone(), reply));
    }

    fn park(&mut self, arrival: &Arrival, reason: &str) {
        let message = &arrival.message;
        self.new_parked.push(Parked {
            event: message.id(),
            consumer: arrival.consumer.clone(),
            reason: reason.to_owned(),
        });
        self.dead_letters.push(DeadLetter {
            seq: 0,
            inbox_id: arrival.inbox_id(),
            consumer: arrival.consumer.clone(),
            event: message.id(),
            context: message.context.clone(),
            aggregate: message.aggregate.clone(),
            number: message.number,
            kind: message.kind.clone(),
            payload: message.payload.clone(),
            event_time: message.time,
            traceparent: message.traceparent.clone(),
            reason: reason.to_owned(),
            time: self.now,
        });
        let gate = self.gates.entry(arrival.inbox_id()).or_default();
        gate.last_event = message.number;
        gate.parked += 1;
        gate.touched = true;
    }

    /// Writes everything that the decisions left: one statement per table.
    pub(crate) fn save(
        mut self,
        connection: &mut Connection,
        answers: Vec<Result<Done<A>, Error>>,
    ) -> Result<Outcome<A>, StorageError> {
        if self.doubtful {
            return Err(StorageError::Stale("memory"));
        }
        let written = self.save_aggregates(connection)?;
        let events = self.save_events(connection)?;
        self.save_gates(connection)?;
        storage::insert(connection, &self.new_requests)?;
        storage::insert(connection, &self.dead_letters)?;
        for dead_letter in self.redriven {
            connection.execute("DELETE FROM dead_letters WHERE seq = ?", &[dead_letter.into()])?;
        }
        Ok(Outcome { answers, written, events, parked: self.new_parked })
    }

    /// The events, which stay as they are, and a note that they wait for the bus.
    fn save_events(&mut self, connection: &mut Connection) -> Result<Committed, StorageError> {
        let events = Committed { batch: new_id().into(), messages: std::mem::take(&mut self.messages) };
        storage::insert(connection, &events.messages)?;
        outbox::note(connection, &events.batch, events.messages.iter().map(Envelope::key), self.now)?;
        Ok(events)
    }

    fn save_gates(&mut self, connection: &mut Connection) -> Result<(), StorageError> {
        let (mut created, mut updated) = (Vec::new(), Vec::new());
        for (id, gate) in in_order(self.gates.drain().filter(|(_, gate)| gate.touched)) {
            let row = InboxRow { id, version: gate.version + 1, last_event: gate.last_event, parked: gate.parked };
            if gate.version == 0 { created.push(row) } else { updated.push(row) }
        }
        storage::insert(connection, &created)?;
        let saved = storage::update(connection, &updated)?;
        // Another replica heard the same: run again, from how far it came.
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
        // SQLite writes the index of every column that is set, whether it differs or not.
        let (columns, updated) = differing(columns::<A>(), &before, updated);
        let saved = update_rows(connection, A::TABLE.name, &columns, updated)?;
        if saved != before.len() {
            return Err(StorageError::Stale(A::TABLE.name));
        }
        Ok(changed.into_iter().filter_map(|(id, slot)| Some((id, (slot.state?, slot.now)))).collect())
    }
}

/// Rows in the order of their ids: replicas that write the same rows wait for each other, and never in a circle.
fn in_order<T>(rows: impl Iterator<Item = (String, T)>) -> Vec<(String, T)> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    rows
}

/// Runs a rule. One that panics is a fault of ours, and fails alone.
fn decide<A: Stored>(rule: &mut Decide<A>, state: Option<&A>) -> Result<Decision<A>, Error> {
    catch_unwind(AssertUnwindSafe(|| rule(state))).unwrap_or_else(|_| Err(Error::internal("a rule panicked")))
}

impl<A: Stored> Job<A> {
    /// The aggregate that the job is about: of a repeated creation, what the first one created.
    fn target(&self, replies: &HashMap<String, (String, Vec<u8>)>) -> Option<String> {
        let key = self.request.as_ref().filter(|key| key.creates);
        match key.and_then(|key| replies.get(&key.id)) {
            Some((_, id)) => Some(String::from_utf8_lossy(id).into_owned()),
            None => self.target.clone(),
        }
    }
}

impl Arrival {
    /// The gate that the event passes: one per consumer and aggregate.
    fn inbox_id(&self) -> String {
        format!("{}/{}", self.consumer, self.message.aggregate)
    }
}

fn load_slots<A: Stored>(
    connection: &mut Connection,
    jobs: &[Job<A>],
    replies: &HashMap<String, (String, Vec<u8>)>,
    recent: &Recent<A>,
    trusting: bool,
) -> Result<HashMap<String, Slot<A>>, StorageError> {
    let mut slots = HashMap::with_capacity(jobs.len());
    let mut unknown = HashSet::new();
    for job in jobs {
        let Some(id) = job.target(replies) else { continue };
        if let Some((state, revision)) = recent.0.get(&id) {
            slots.insert(id, Slot::of(state.clone(), *revision, true));
        } else if trusting && job.begins {
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

fn load_gates<A: Stored>(connection: &mut Connection, jobs: &[Job<A>]) -> Result<HashMap<String, Gate>, StorageError> {
    let ids: Vec<String> = jobs.iter().filter_map(|job| job.arrival.as_ref()).map(Arrival::inbox_id).collect();
    let ids = distinct(ids.iter().map(String::as_str));
    let mut gates = HashMap::with_capacity(ids.len());
    if !ids.is_empty() {
        for mut row in connection.query_any(&storage::select::<InboxRow>(&[]), "id", &ids)? {
            let InboxRow { id, version, last_event, parked } = InboxRow::from_row((), &mut row)?;
            gates.insert(id, Gate { version, last_event, parked, touched: false });
        }
    }
    Ok(gates)
}

fn load_parked<A: Stored>(connection: &mut Connection, jobs: &[Job<A>]) -> Result<HashSet<i64>, StorageError> {
    let mut parked = HashSet::new();
    for dead_letter in jobs.iter().filter_map(|job| job.arrival.as_ref()?.redriven) {
        for mut row in connection.query("SELECT seq FROM dead_letters WHERE seq = ?", &[dead_letter.into()])? {
            parked.insert(row.int()?);
        }
    }
    Ok(parked)
}

fn load_replies<A: Stored>(
    connection: &mut Connection,
    jobs: &[Job<A>],
    trusting: bool,
) -> Result<HashMap<String, (String, Vec<u8>)>, StorageError> {
    let read = jobs.iter().filter(|job| !(trusting && job.begins));
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
impl<A: Stored> Batch<A> {
    fn refuse_released(&self, key: &RequestKey) -> Result<(), Error> {
        match &key.pairing {
            Pairing::UnlessReleasedBy(back) if self.reply(back).is_some() => {
                Err(Error::new(&reasons::TAKEN_BACK, "this was taken back before; it never happens any more"))
            }
            _ => Ok(()),
        }
    }

    /// Whether there is something to decide: not, when something is to be taken back that did not happen.
    fn is_there_to_release(&self, key: &RequestKey) -> Result<bool, Error> {
        let Pairing::Releases(taken) = &key.pairing else { return Ok(true) };
        match self.reply(taken) {
            None => Ok(false),
            Some((fingerprint, _)) if *fingerprint == key.fingerprint => Ok(true),
            Some(_) => Err(key.performed_differently()),
        }
    }

    /// Remembers that something is taken back which did not happen; answers with the aggregate as it is, if it is.
    fn forbid(&mut self, key: &RequestKey, target: Option<&str>) -> Done<A> {
        let state = target.and_then(|id| self.state(id));
        let reply = state.as_ref().map(|state| state.resource().encode_to_vec()).unwrap_or_default();
        if let Pairing::Releases(taken) = &key.pairing {
            self.remember(&RequestKey { id: taken.clone(), ..key.clone() }, reply.clone());
        }
        self.remember(key, reply);
        // Of what is not there, there is nothing to show.
        let replay = state.is_none().then(Vec::new);
        Done { state, replay }
    }
}
