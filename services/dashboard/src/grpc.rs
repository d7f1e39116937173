//! Who may ask the dashboard context for what.

use std::{pin::Pin, sync::Arc};

use contracts::dashboard::v1::{
    GetOrderViewRequest, ListOrderViewsRequest, ListOrderViewsResponse, OrderView as OrderViewResource,
    WatchViewsRequest, WatchViewsResponse, dashboard_service_server::DashboardService, watch_views_response::View,
};
use futures::{Stream, stream};
use kit::{Aggregate, Caller, Engine, Error, FilterField, PageRequest, ambient::caller};
use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    broadcast::{self, error::RecvError},
};
use tonic::{Request, Response, Status};

use crate::{
    domain::{OrderView, State},
    reasons,
};

/// Callers that watch at once.
const MAX_WATCHERS: usize = 1000;

const FILTER: &[FilterField] =
    &[FilterField::name("customer"), FilterField::name("store"), FilterField::state::<State>()];

/// Serves `jumun.dashboard.v1.DashboardService`.
pub(crate) struct DashboardApi {
    views: Engine<OrderView>,
    /// One permit for each caller that may watch.
    places: Arc<Semaphore>,
}

impl DashboardApi {
    pub(crate) fn new(views: Engine<OrderView>) -> Self {
        Self { views, places: Arc::new(Semaphore::new(MAX_WATCHERS)) }
    }
}

#[tonic::async_trait]
impl DashboardService for DashboardApi {
    async fn get_order_view(
        &self,
        request: Request<GetOrderViewRequest>,
    ) -> Result<Response<OrderViewResource>, Status> {
        let name = request.into_inner().name;
        Ok(Response::new(self.views.get_named(&name).await?.resource()))
    }

    async fn list_order_views(
        &self,
        request: Request<ListOrderViewsRequest>,
    ) -> Result<Response<ListOrderViewsResponse>, Status> {
        let request = request.into_inner();
        let page = PageRequest {
            page_size: request.page_size,
            page_token: &request.page_token,
            filter: &request.filter,
            order_by: &request.order_by,
        };
        let (views, next_page_token) = self.views.list(page, FILTER).await?;
        let order_views = views.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListOrderViewsResponse { order_views, next_page_token }))
    }

    type WatchViewsStream = Pin<Box<dyn Stream<Item = Result<WatchViewsResponse, Status>> + Send>>;

    async fn watch_views(&self, _: Request<WatchViewsRequest>) -> Result<Response<Self::WatchViewsStream>, Status> {
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| Error::new(&kit::reasons::TOO_MANY_WATCHERS, "too many callers are watching"))?;
        let watcher = Watcher { changes: self.views.changes(), caller: caller(), _place: place };
        let changes = stream::unfold(Some(watcher), |watcher| async { watcher?.next().await });
        Ok(Response::new(Box::pin(changes)))
    }
}

/// A caller that follows every view that it may see.
struct Watcher {
    changes: broadcast::Receiver<Arc<OrderView>>,
    caller: Caller,
    /// Given back when the caller is gone.
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    /// The next change; after an error there is none.
    async fn next(mut self) -> Option<(Result<WatchViewsResponse, Status>, Option<Self>)> {
        loop {
            match self.changes.recv().await {
                Ok(view) if !self.caller.may_see(&*view) => {}
                Ok(view) => {
                    let view = Some(View::OrderView(view.resource()));
                    return Some((Ok(WatchViewsResponse { view }), Some(self)));
                }
                Err(RecvError::Lagged(missed)) => return Some((Err(too_slow(missed).into()), None)),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

fn too_slow(missed: u64) -> Error {
    let message = format!("{missed} changes were missed; list the views and watch again");
    Error::new(&reasons::WATCHER_TOO_SLOW, message)
}
