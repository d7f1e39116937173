//! The gRPC API of the dashboard context.

use std::{pin::Pin, sync::Arc};

use contracts::dashboard::v1::{
    GetOrderViewRequest, ListCustomerViewsRequest, ListCustomerViewsResponse, ListEnrollmentViewsRequest,
    ListEnrollmentViewsResponse, ListOrderViewsRequest, ListOrderViewsResponse, OrderView as OrderViewResource,
    WatchViewsRequest, WatchViewsResponse, dashboard_service_server::DashboardService,
    watch_views_response::View as ViewResource,
};
use engine::{Aggregate, Engine, FilterField, page_request};
use futures::{Stream, StreamExt, stream};
use jumun_core::{Caller, Error, request_context::caller};
use tokio::sync::{
    Semaphore,
    broadcast::{self, error::RecvError},
};
use tonic::{Request, Response, Status};

use crate::{
    domain::{OrderView, State},
    enrollment::{EnrollmentState, EnrollmentView},
    reasons,
    registration::{CustomerState, CustomerView},
    view::View,
};

/// Callers that may watch at the same time.
const MAX_WATCHERS: usize = 1000;

const ORDER_FILTER: &[FilterField] =
    &[FilterField::name("customer"), FilterField::name("store"), FilterField::state::<State>()];
const ENROLLMENT_FILTER: &[FilterField] =
    &[FilterField::name("learner"), FilterField::name("course"), FilterField::state::<EnrollmentState>()];
const CUSTOMER_FILTER: &[FilterField] = &[FilterField::name("account"), FilterField::state::<CustomerState>()];

/// Serves `jumun.dashboard.v1.DashboardService`.
pub(crate) struct DashboardApi {
    orders: Engine<OrderView>,
    enrollments: Engine<EnrollmentView>,
    customers: Engine<CustomerView>,
    /// One permit for each caller that may watch.
    watchers: Arc<Semaphore>,
}

impl DashboardApi {
    pub(crate) fn new(
        orders: Engine<OrderView>,
        enrollments: Engine<EnrollmentView>,
        customers: Engine<CustomerView>,
    ) -> Self {
        Self { orders, enrollments, customers, watchers: Arc::new(Semaphore::new(MAX_WATCHERS)) }
    }
}

#[tonic::async_trait]
impl DashboardService for DashboardApi {
    async fn get_order_view(
        &self,
        request: Request<GetOrderViewRequest>,
    ) -> Result<Response<OrderViewResource>, Status> {
        let name = request.into_inner().name;
        Ok(Response::new(self.orders.get_named(&name).await?.resource()))
    }

    async fn list_order_views(
        &self,
        request: Request<ListOrderViewsRequest>,
    ) -> Result<Response<ListOrderViewsResponse>, Status> {
        let request = request.into_inner();
        let page = page_request!(request);
        let (views, next_page_token) = self.orders.list(page, ORDER_FILTER).await?;
        let order_views = views.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListOrderViewsResponse { order_views, next_page_token }))
    }

    async fn list_enrollment_views(
        &self,
        request: Request<ListEnrollmentViewsRequest>,
    ) -> Result<Response<ListEnrollmentViewsResponse>, Status> {
        let request = request.into_inner();
        let page = page_request!(request);
        let (views, next_page_token) = self.enrollments.list(page, ENROLLMENT_FILTER).await?;
        let enrollment_views = views.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListEnrollmentViewsResponse { enrollment_views, next_page_token }))
    }

    async fn list_customer_views(
        &self,
        request: Request<ListCustomerViewsRequest>,
    ) -> Result<Response<ListCustomerViewsResponse>, Status> {
        let request = request.into_inner();
        let page = page_request!(request);
        let (views, next_page_token) = self.customers.list(page, CUSTOMER_FILTER).await?;
        let customer_views = views.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListCustomerViewsResponse { customer_views, next_page_token }))
    }

    type WatchViewsStream = Pin<Box<dyn Stream<Item = Result<WatchViewsResponse, Status>> + Send>>;

    async fn watch_views(&self, _: Request<WatchViewsRequest>) -> Result<Response<Self::WatchViewsStream>, Status> {
        let permit = self.watchers.clone().try_acquire_owned();
        let permit =
            permit.map_err(|_| Error::new(&jumun_core::reasons::TOO_MANY_WATCHERS, "too many callers are watching"))?;
        let changes = stream::select(
            changes(&self.orders, ViewResource::OrderView),
            changes(&self.enrollments, ViewResource::EnrollmentView),
        );
        let changes = stream::select(changes, self::changes(&self.customers, ViewResource::CustomerView));
        // The permit is released with the stream.
        Ok(Response::new(Box::pin(changes.inspect(move |_| _ = &permit))))
    }
}

/// The changes of the views of one kind that this caller may see. An error ends the stream.
fn changes<V: View>(
    views: &Engine<V>,
    wrap: fn(V::Resource) -> ViewResource,
) -> impl Stream<Item = Result<WatchViewsResponse, Status>> + Send + use<V> {
    stream::unfold((views.changes(), caller()), move |(mut changes, caller)| async move {
        let change = next_for(&mut changes, &caller).await?;
        let change = change.map(|view| WatchViewsResponse { view: Some(wrap(view.resource())) });
        Some((change.map_err(Status::from), (changes, caller)))
    })
}

async fn next_for<V: View>(
    changes: &mut broadcast::Receiver<Arc<V>>,
    caller: &Caller,
) -> Option<Result<Arc<V>, Error>> {
    loop {
        match changes.recv().await {
            Ok(view) if !engine::may_see(caller, &*view) => {}
            Ok(view) => return Some(Ok(view)),
            Err(RecvError::Lagged(missed)) => return Some(Err(too_slow(missed))),
            Err(RecvError::Closed) => return None,
        }
    }
}

fn too_slow(missed: u64) -> Error {
    let message = format!("{missed} changes were missed; list the views and watch again");
    Error::new(&reasons::WATCHER_TOO_SLOW, message)
}
