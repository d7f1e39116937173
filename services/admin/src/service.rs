//! AdminService: lets operators inspect and change a running process: events, dead letters, outboxes, limits and
//! faults.

use std::{collections::HashSet, sync::Arc};

use contracts::admin::v1::{
    ClearFaultsRequest, ClearFaultsResponse, DeadLetter as DeadLetterWire, DiscardDeadLettersRequest,
    DiscardDeadLettersResponse, Fault as FaultWire, GetOutboxStatusRequest, GetOutboxStatusResponse,
    GetOverloadStatusRequest, GetOverloadStatusResponse, ListDeadLettersRequest, ListDeadLettersResponse,
    ListEventsRequest, ListEventsResponse, ListFaultsRequest, ListFaultsResponse, RedriveDeadLettersRequest,
    RedriveDeadLettersResponse, SetFaultRequest,
    admin_service_server::{AdminService, AdminServiceServer},
    get_outbox_status_response,
};
use engine::{
    PageTokens,
    dead_letters::{self, DeadLetter},
    outbox, page_size,
};
use jumun_core::{Error, Time, Violations, declared};
use rpc::{Faults, MAX_REQUEST_BYTES};
use runtime::Operations;
use tonic::{Request, Response, Status};

use crate::{events, faults, overload_status};

/// The dead letters of each engine that one call redrives at most.
const MAX_REDRIVEN: usize = 1000;

/// Serves `jumun.admin.v1.AdminService`.
pub(crate) struct Admin(Operations);

impl Admin {
    pub(crate) fn service(operations: Operations) -> AdminServiceServer<Self> {
        AdminServiceServer::new(Self(operations)).max_decoding_message_size(MAX_REQUEST_BYTES)
    }

    /// The faults of the process. Fails with DRILLS_OFF when drills are off.
    fn faults(&self) -> Result<&Faults, Error> {
        self.0.faults.as_deref().ok_or_else(faults::off)
    }
}

fn to_wire(letter: &DeadLetter, context: &str) -> DeadLetterWire {
    DeadLetterWire {
        name: format!("deadLetters/{context}-{}", letter.seq),
        context: context.to_owned(),
        consumer: letter.consumer.clone(),
        event: letter.event.clone(),
        kind: letter.kind.clone(),
        reason: letter.reason.clone(),
        create_time: Some(letter.time.to_timestamp()),
    }
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

#[tonic::async_trait]
impl AdminService for Admin {
    async fn list_dead_letters(
        &self,
        request: Request<ListDeadLettersRequest>,
    ) -> Result<Response<ListDeadLettersResponse>, Status> {
        let request = request.into_inner();
        let mut response = ListDeadLettersResponse::default();
        let Some(first) = self.0.engines.first() else { return Ok(Response::new(response)) };
        // A token contains the index of an outbox of this process, so it is bound to the list of outboxes.
        let contexts: Vec<_> = self.0.engines.iter().map(|outbox| outbox.database().schema()).collect();
        let tokens = PageTokens::of(first.database(), &contexts).await?;
        let mut violations = Violations::default();
        let position = violations.take("page_token", tokens.read(&request.page_token)).flatten();
        violations.into_result()?;
        let (first, mut after) = position.as_deref().and_then(read_position).unwrap_or_default();
        let size = page_size(request.page_size);
        for (index, outbox) in self.0.engines.iter().enumerate().skip(first) {
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
        Ok(Response::new(response))
    }

    async fn redrive_dead_letters(
        &self,
        request: Request<RedriveDeadLettersRequest>,
    ) -> Result<Response<RedriveDeadLettersResponse>, Status> {
        let context = request.into_inner().context;
        if !context.is_empty() && self.0.engine(&context).is_none() {
            return Err(Error::not_found(&context).into());
        }
        let mut response = RedriveDeadLettersResponse::default();
        for outbox in self.0.engines.iter().filter(|outbox| context.is_empty() || outbox.database().schema() == context)
        {
            // A dead letter that fails again blocks the later ones of its consumer and aggregate.
            let mut blocked = HashSet::new();
            for letter in dead_letters::list(outbox.database(), 0, MAX_REDRIVEN).await? {
                let sequence = (letter.consumer.clone(), letter.aggregate.clone());
                let subscription =
                    self.0.subscriptions.iter().find(|subscription| subscription.name() == letter.consumer);
                let applied = match subscription {
                    Some(subscription) if !blocked.contains(&sequence) => {
                        let seq = letter.seq;
                        subscription.redrive(Arc::new(letter.into_envelope()), seq).await.is_ok()
                    }
                    _ => false,
                };
                if !applied {
                    blocked.insert(sequence);
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
            if let Some(outbox) = self.0.engine(context)
                && dead_letters::discard(outbox.as_ref(), seq).await?
            {
                response.discarded_count += 1;
            }
        }
        Ok(Response::new(response))
    }

    async fn list_events(&self, request: Request<ListEventsRequest>) -> Result<Response<ListEventsResponse>, Status> {
        Ok(Response::new(events::list(&self.0, request.get_ref()).await?))
    }

    async fn get_outbox_status(
        &self,
        _: Request<GetOutboxStatusRequest>,
    ) -> Result<Response<GetOutboxStatusResponse>, Status> {
        let mut response = GetOutboxStatusResponse::default();
        for engine in &self.0.engines {
            let status = outbox::status(engine.database()).await?;
            response.outboxes.push(get_outbox_status_response::Outbox {
                context: engine.database().schema().to_owned(),
                unpublished_count: status.unpublished,
                oldest_time: status.oldest.map(Time::to_timestamp),
                stalled_since_time: engine.stalled_since().map(Time::to_timestamp),
            });
        }
        Ok(Response::new(response))
    }

    async fn get_overload_status(
        &self,
        _: Request<GetOverloadStatusRequest>,
    ) -> Result<Response<GetOverloadStatusResponse>, Status> {
        Ok(Response::new(overload_status::of(&self.0.overload)))
    }

    async fn set_fault(&self, request: Request<SetFaultRequest>) -> Result<Response<FaultWire>, Status> {
        let faults = self.faults()?;
        let fault = faults.set(faults::read(declared(request.into_inner().fault)?, faults)?)?;
        tracing::warn!(?fault, "a fault was set for a drill");
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
