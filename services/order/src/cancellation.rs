//! Order → kitchen: a counter order is cancelled only when the kitchen has not started it, and agrees.
//!
//! The kitchen decides first, and publishes its decision as an event. After it has agreed, this event cancels the order
//! even when its answer is lost or this process crashes. Without its agreement nothing changes here.

use contracts::kitchen::v1::{CancelProductionRequest, kitchen_service_client::KitchenServiceClient};
use engine::{CommandOutcome, Engine, RequestKey};
use jumun_core::Error;
use payment_saga::Payable;
use rpc::Channel;
use tonic::{Code, Status};

use crate::{domain::Order, reasons};

/// Cancels orders for customers, with the kitchen's consent where it is needed.
#[derive(Clone)]
pub(crate) struct Cancellation {
    pub(crate) orders: Engine<Order>,
    /// None: the address of the kitchen is not configured.
    pub(crate) kitchen: Option<KitchenServiceClient<Channel>>,
}

impl Cancellation {
    /// Cancels an order. A repeated request returns the first answer, without a call to the kitchen.
    pub(crate) async fn cancel(&self, name: &str, key: Option<RequestKey>) -> Result<CommandOutcome<Order>, Error> {
        let is_repeated = match &key {
            Some(key) => self.orders.remembers(key).await?,
            None => false,
        };
        let order = self.orders.get_named(name).await?;
        let has_consent = !is_repeated && order.needs_kitchen_consent();
        if has_consent {
            self.ask_kitchen(&order).await?;
        }
        let now = self.orders.now();
        let rule = move |order: &Order| {
            // It was placed after it was read above.
            if order.needs_kitchen_consent() && !has_consent {
                return Err(Error::new(
                    &jumun_core::reasons::CONCURRENT_CHANGE,
                    "the order was just placed; repeat the request",
                ));
            }
            order.cancel(now)
        };
        self.orders.command(name, key, rule).await
    }

    /// Cancels the order's production. Anything but the kitchen's consent is an error.
    async fn ask_kitchen(&self, order: &Order) -> Result<(), Error> {
        let Some(kitchen) = &self.kitchen else {
            return Err(unavailable(order, &Status::unavailable("the address of the kitchen is not configured")));
        };
        let request = CancelProductionRequest { name: format!("productions/{}", order.id), request_id: String::new() };
        match kitchen.clone().cancel_production(request).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::FailedPrecondition => Err(Error::new(
                &reasons::ORDER_NOT_CANCELLABLE,
                format!("{} is being made and can no longer be cancelled", order.name()),
            )
            .with("state", "PRODUCING")),
            Err(status) => Err(unavailable(order, &status)),
        }
    }
}

fn unavailable(order: &Order, status: &Status) -> Error {
    tracing::debug!(order = order.id, %status, "no answer from the kitchen");
    let message = "the kitchen did not answer whether the order can still be cancelled; repeat the request";
    Error::new(&reasons::KITCHEN_UNAVAILABLE, message).with("order", order.name())
}
