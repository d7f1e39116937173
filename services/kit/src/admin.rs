//! The operator's door: dead letters and outboxes of every context of the process, what is too much for it, and what is
//! made to fail in it.

mod faults;
mod overload_status;

use std::{collections::HashSet, sync::Arc};

use contracts::admin::v1::{
    ClearFaultsRequest, ClearFaultsResponse, DeadLetter, DiscardDeadLettersRequest, DiscardDeadLettersResponse,
    Fault as FaultWire, GetOutboxStatusRequest, GetOutboxStatusResponse, GetOverloadStatusRequest,
    GetOverloadStatusResponse, ListDeadLettersRequest, ListDeadLettersResponse, ListFaultsRequest, ListFaultsResponse,
    RedriveDeadLettersRequest, RedriveDeadLettersResponse, SetFaultRequest,
    admin_service_server::{AdminService, AdminServiceServer},
    get_outbox_status_response,
};
use tonic::{Request, Response, Status};

use crate::{
    Error, Message, Time, declared,
    error::Violations,
    fault::Faults,
    host::{Hearer, Outbox},
    outbox,
    overload::Overload,
    page::{Tokens, page_size},
    server::MAX_REQUEST_BYTES,
    storage::{Database, Row, StorageError},
};

/// Dead letters that one call applies again.
const MAX_REDRIVEN: usize = 1000;

pub(crate) struct Admin {
    outboxes: Vec<Arc<dyn Outbox>>,
    hearers: Vec<Arc<dyn Hearer>>,
    overload: Arc<Overload>,
    faults: Option<Arc<Faults>>,
}

/// A dead letter, whole.
struct Stored {
    seq: i64,
    consumer: String,
    message: Message,
    reason: String,
    time: Time,
}

const SELECT: &str = "SELECT seq, consumer, context, aggregate, number, kind, payload, event_time, traceparent, reason, time FROM dead_letters";

impl Stored {
    fn read(row: &mut Row) -> Result<Self, StorageError> {
        Ok(Self {
            seq: row.int()?,
            consumer: row.text()?,
            message: Message {
                context: row.text()?,
                aggregate: row.text()?,
                number: row.int()?,
                kind: row.text()?,
                payload: row.bytes()?,
                time: Time(row.int()?),
                traceparent: row.optional_text()?,
                causation: None,
            },
            reason: row.text()?,
            time: Time(row.int()?),
        })
    }

    fn to_wire(&self, context: &str) -> DeadLetter {
        DeadLetter {
            name: format!("deadLetters/{context}-{}", self.seq),
            context: context.to_owned(),
            consumer: self.consumer.clone(),
            event: self.message.id(),
            kind: self.message.kind.clone(),
            reason: self.reason.clone(),
            create_time: Some(self.time.to_timestamp()),
        }
    }
}

impl Admin {
    pub(crate) fn new(
        outboxes: Vec<Arc<dyn Outbox>>,
        hearers: Vec<Arc<dyn Hearer>>,
        overload: Arc<Overload>,
        faults: Option<Arc<Faults>>,
    ) -> Self {
        Self { outboxes, hearers, overload, faults }
    }

    pub(crate) fn into_service(self) -> AdminServiceServer<Self> {
        AdminServiceServer::new(self).max_decoding_message_size(MAX_REQUEST_BYTES)
    }

    async fn dead_letters(database: &Database, after: i64, limit: usize) -> Result<Vec<Stored>, Error> {
        database
            .read(move |connection| {
                let sql = format!("{SELECT} WHERE seq > ? ORDER BY seq LIMIT {limit}");
                connection.query(&sql, &[after.into()])?.iter_mut().map(Stored::read).collect()
            })
            .await
    }

    /// Deletes a dead letter and lets the events behind it go on.
    async fn discard(outbox: &dyn Outbox, seq: i64) -> Result<bool, Error> {
        let found =
            Self::dead_letters(outbox.database(), seq - 1, 1).await?.first().is_some_and(|found| found.seq == seq);
        if found {
            outbox
                .maintain(Box::new(move |connection| {
                    connection.execute(
                        "UPDATE inbox SET version = version + 1, parked = parked - 1 WHERE id = (SELECT inbox_id FROM dead_letters WHERE seq = ?)",
                        &[seq.into()],
                    )?;
                    connection.execute("DELETE FROM dead_letters WHERE seq = ?", &[seq.into()]).map(drop)
                }))
                .await?;
        }
        Ok(found)
    }

    /// Fails in a process that was not started for drills.
    fn faults(&self) -> Result<&Faults, Error> {
        self.faults.as_deref().ok_or_else(faults::off)
    }

    fn outbox(&self, context: &str) -> Option<&Arc<dyn Outbox>> {
        self.outboxes.iter().find(|outbox| outbox.database().schema() == context)
    }
}

/// `deadLetters/{context}-{number}`.
fn parse_name(name: &str) -> Option<(&str, i64)> {
    let (context, seq) = name.strip_prefix("deadLetters/")?.rsplit_once('-')?;
    Some((context, seq.parse().ok()?))
}

/// `{outbox}-{number}`: the page begins after this dead letter of this outbox.
fn read_position(position: &str) -> Option<(usize, i64)> {
    let (outbox, seq) = position.split_once('-')?;
    Some((outbox.parse().ok()?, seq.parse().ok()?))
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn list_dead_letters(
        &self,
        request: Request<ListDeadLettersRequest>,
    ) -> Result<Response<ListDeadLettersResponse>, Status> {
        let request = request.into_inner();
        let mut response = ListDeadLettersResponse::default();
        let Some(first) = self.outboxes.first() else { return Ok(Response::new(response)) };
        // A position counts the outboxes of this process, so another process's token is none here.
        let contexts: Vec<_> = self.outboxes.iter().map(|outbox| outbox.database().schema()).collect();
        let tokens = Tokens::of(first.database(), &contexts).await?;
        let mut violations = Violations::default();
        let position = violations.take("page_token", tokens.read(&request.page_token)).flatten();
        violations.into_result()?;
        let (first, mut after) = position.as_deref().and_then(read_position).unwrap_or_default();
        let size = page_size(request.page_size);
        for (index, outbox) in self.outboxes.iter().enumerate().skip(first) {
            let room = size - response.dead_letters.len();
            // One more than there is room for tells whether there is another page.
            let found = Self::dead_letters(outbox.database(), after, room + 1).await?;
            let context = outbox.database().schema();
            response.dead_letters.extend(found.iter().take(room).map(|letter| letter.to_wire(context)));
            if found.len() > room {
                let last = room.checked_sub(1).map_or(after, |last| found[last].seq);
                response.next_page_token = tokens.write(&format!("{index}-{last}"));
                break;
            }
            after = 0;
        }
        Ok(Response::new(response))
    }

    async fn redrive_dead_letters(
        &self,
        request: Request<RedriveDeadLettersRequest>,
    ) -> Result<Response<RedriveDeadLettersResponse>, Status> {
        let context = request.into_inner().context;
        if !context.is_empty() && self.outbox(&context).is_none() {
            return Err(Error::not_found(&context).into());
        }
        let mut response = RedriveDeadLettersResponse::default();
        for outbox in self.outboxes.iter().filter(|outbox| context.is_empty() || outbox.database().schema() == context)
        {
            // What follows a dead letter that stays dead stays behind it.
            let mut stuck = HashSet::new();
            for letter in Self::dead_letters(outbox.database(), 0, MAX_REDRIVEN).await? {
                let gate = (letter.consumer.clone(), letter.message.aggregate.clone());
                let hearer = self.hearers.iter().find(|hearer| hearer.name() == letter.consumer);
                let applied = match hearer {
                    Some(hearer) if !stuck.contains(&gate) => {
                        hearer.redrive(Arc::new(letter.message), letter.seq).await.is_ok()
                    }
                    _ => false,
                };
                if !applied {
                    stuck.insert(gate);
                }
                *(if applied { &mut response.applied_count } else { &mut response.remaining_count }) += 1;
            }
        }
        Ok(Response::new(response))
    }

    async fn discard_dead_letters(
        &self,
        request: Request<DiscardDeadLettersRequest>,
    ) -> Result<Response<DiscardDeadLettersResponse>, Status> {
        let names = request.into_inner().names;
        let mut response = DiscardDeadLettersResponse::default();
        for (context, seq) in names.iter().filter_map(|name| parse_name(name)) {
            if let Some(outbox) = self.outbox(context)
                && Self::discard(outbox.as_ref(), seq).await?
            {
                response.discarded_count += 1;
            }
        }
        Ok(Response::new(response))
    }

    async fn get_outbox_status(
        &self,
        _: Request<GetOutboxStatusRequest>,
    ) -> Result<Response<GetOutboxStatusResponse>, Status> {
        let mut response = GetOutboxStatusResponse::default();
        for outbox in &self.outboxes {
            let status = outbox::status(outbox.database()).await?;
            response.outboxes.push(get_outbox_status_response::Outbox {
                context: outbox.database().schema().to_owned(),
                unpublished_count: status.unpublished,
                oldest_time: status.oldest.map(Time::to_timestamp),
                stalled_since_time: outbox.stalled_since().map(Time::to_timestamp),
            });
        }
        Ok(Response::new(response))
    }

    async fn get_overload_status(
        &self,
        _: Request<GetOverloadStatusRequest>,
    ) -> Result<Response<GetOverloadStatusResponse>, Status> {
        Ok(Response::new(overload_status::of(&self.overload)))
    }

    async fn set_fault(&self, request: Request<SetFaultRequest>) -> Result<Response<FaultWire>, Status> {
        let faults = self.faults()?;
        let fault = faults.set(faults::read(declared(request.into_inner().fault)?, faults)?)?;
        tracing::warn!(?fault, "a fault was set for a drill: calls of this process fail or wait");
        Ok(Response::new(faults::to_wire(&fault)))
    }

    async fn clear_faults(
        &self,
        request: Request<ClearFaultsRequest>,
    ) -> Result<Response<ClearFaultsResponse>, Status> {
        let cleared = self.faults()?.clear(&request.into_inner().target);
        tracing::info!(cleared, "faults were cleared");
        Ok(Response::new(ClearFaultsResponse { cleared_count: i32::try_from(cleared).unwrap_or(i32::MAX) }))
    }

    async fn list_faults(&self, _: Request<ListFaultsRequest>) -> Result<Response<ListFaultsResponse>, Status> {
        let faults = self.faults()?.list().iter().map(|fault| faults::to_wire(fault)).collect();
        Ok(Response::new(ListFaultsResponse { faults }))
    }
}
