//! AdminService: lets operators inspect and change a running process: events, dead letters, outboxes, limits and
//! faults.

use contracts::admin::v1::{
    ClearFaultsRequest, ClearFaultsResponse, DeadLetter as DeadLetterWire, DiscardDeadLettersRequest,
    DiscardDeadLettersResponse, Fault as FaultWire, GetDeadLetterRequest, GetOutboxStatusRequest,
    GetOutboxStatusResponse, GetOverloadStatusRequest, GetOverloadStatusResponse, ListDeadLettersRequest,
    ListDeadLettersResponse, ListEventsRequest, ListEventsResponse, ListFaultsRequest, ListFaultsResponse,
    RedriveDeadLettersRequest, RedriveDeadLettersResponse, SetFaultRequest,
    admin_service_server::{AdminService, AdminServiceServer},
    get_outbox_status_response,
};
use engine::outbox;
use jumun_core::{Error, Time, declared};
use rpc::{Faults, MAX_REQUEST_BYTES};
use runtime::Operations;
use tonic::{Request, Response, Status};

use crate::{dead_letters, events, faults, overload_status};

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

#[tonic::async_trait]
impl AdminService for Admin {
    async fn list_dead_letters(
        &self,
        request: Request<ListDeadLettersRequest>,
    ) -> Result<Response<ListDeadLettersResponse>, Status> {
        Ok(Response::new(dead_letters::list(&self.0, request.get_ref()).await?))
    }

    async fn get_dead_letter(
        &self,
        request: Request<GetDeadLetterRequest>,
    ) -> Result<Response<DeadLetterWire>, Status> {
        Ok(Response::new(dead_letters::get(&self.0, &request.get_ref().name).await?))
    }

    async fn redrive_dead_letters(
        &self,
        request: Request<RedriveDeadLettersRequest>,
    ) -> Result<Response<RedriveDeadLettersResponse>, Status> {
        Ok(Response::new(dead_letters::redrive(&self.0, request.get_ref()).await?))
    }

    async fn discard_dead_letters(
        &self,
        request: Request<DiscardDeadLettersRequest>,
    ) -> Result<Response<DiscardDeadLettersResponse>, Status> {
        Ok(Response::new(dead_letters::discard(&self.0, &request.get_ref().names).await?))
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
