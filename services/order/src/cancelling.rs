//! Order → kitchen: what is fetched at the counter is cancelled only when the kitchen has not started it, and agrees.
//!
//! The kitchen decides first, and announces what it decided. So whatever happens after its yes, to the answer or to this
//! process, its event cancels the order; and without its yes nothing changes here.

use contracts::kitchen::v1::{CancelProductionRequest, kitchen_service_client::KitchenServiceClient};
use engine::{CommandOutcome, Engine, RequestKey};
use jumun_core::Error;
use payment_saga::Payable;
use rpc::Channel;
use tonic::{Code, Status};

use crate::{domain::Order, reasons};

/// Brings customers' cancellations to the kitchen, where it is up to it.
#[derive(Clone)]
pub(crate) struct Cancelling {
    pub(crate) orders: Engine<Order>,
    /// None: nobody said where it is.
    pub(crate) kitchen: Option<KitchenServiceClient<Channel>>,
}

impl Cancelling {
    /// Cancels an order; a repetition gets the first answer, and asks nobody.
    pub(crate) async fn cancel(&self, name: &str, key: Option<RequestKey>) -> Result<CommandOutcome<Order>, Error> {
        let is_repeated = match &key {
            Some(key) => self.orders.remembers(key).await?,
            None => false,
        };
        let order = self.orders.get_named(name).await?;
        let agreed = !is_repeated && order.is_up_to_the_kitchen();
        if agreed {
            self.ask_kitchen(&order).await?;
        }
        let now = self.orders.now();
        let rule = move |order: &Order| {
            // It was not placed yet when it was looked at.
            if order.is_up_to_the_kitchen() && !agreed {
                return Err(Error::new(
                    &jumun_core::reasons::CONCURRENT_CHANGE,
                    "the order was just placed; repeat the request",
                ));
            }
            order.cancel(now)
        };
        self.orders.command(name, key, rule).await
    }

    /// The kitchen's yes; its no and its silence are errors.
    async fn ask_kitchen(&self, order: &Order) -> Result<(), Error> {
        let Some(kitchen) = &self.kitchen else {
            return Err(unavailable(order, &Status::unavailable("nobody said where the kitchen is")));
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
    tracing::debug!(order = order.id, %status, "the kitchen cannot be asked");
    let message = "the kitchen cannot be asked whether the order can still be cancelled; repeat the request";
    Error::new(&reasons::KITCHEN_UNAVAILABLE, message).with("order", order.name())
}
