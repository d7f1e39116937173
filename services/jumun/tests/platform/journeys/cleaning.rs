//! Steps of the cleaning-service journeys: people register, and are notified on their phones.

use contracts::{
    customer::v1::{
        CancelCustomerRequest, CreateCustomerRequest, Customer, GetCustomerRequest,
        customer_service_client::CustomerServiceClient,
    },
    dashboard::v1::{CustomerView, ListCustomerViewsRequest, dashboard_service_client::DashboardServiceClient},
    notification::v1::{
        GetNotificationRequest, InboxMessage, ListInboxMessagesRequest, Notification,
        notification_service_client::NotificationServiceClient,
    },
};
use jumun_core::reason_of;
use rpc::GrpcStack;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::food::{Food, inner};

/// A customer; the first word of the account selects how the simulated Kakao behaves.
pub(crate) fn person(account: &str) -> Customer {
    Customer {
        display_name: "Kim Mina".to_owned(),
        address: "Gangnam-daero 1".to_owned(),
        age: 29,
        phone: "010-1234-5678".to_owned(),
        account: format!("customers/{account}"),
        ..Customer::default()
    }
}

impl Food {
    pub(super) fn customers(&self) -> CustomerServiceClient<GrpcStack> {
        CustomerServiceClient::new(self.cluster.channel())
    }

    pub(crate) async fn register(&self, request_id: &str, customer: &Customer) -> Result<Customer, Status> {
        let request = CreateCustomerRequest { customer: Some(customer.clone()), request_id: request_id.to_owned() };
        inner(self.customers().create_customer(request).await)
    }

    pub(super) async fn customer(&self, name: &str) -> Customer {
        self.cluster.settle().await;
        inner(self.customers().get_customer(GetCustomerRequest { name: name.to_owned() }).await).expect("a customer")
    }

    pub(super) async fn unregister(&self, name: &str, request_id: &str) -> Result<Customer, Status> {
        let request = CancelCustomerRequest { name: name.to_owned(), request_id: request_id.to_owned() };
        let cancelled = inner(self.customers().cancel_customer(request).await);
        self.cluster.settle().await;
        cancelled
    }

    pub(super) fn notifications(&self) -> NotificationServiceClient<GrpcStack> {
        NotificationServiceClient::new(self.cluster.channel())
    }

    pub(super) async fn welcome(&self, customer: &Customer) -> Result<Notification, Status> {
        let request = GetNotificationRequest { name: customer.notification.clone() };
        inner(self.notifications().get_notification(request).await)
    }

    /// The texts on a customer's phone, oldest first.
    pub(super) async fn phone(&self, account: &str) -> Vec<String> {
        self.inbox(account).await.into_iter().map(|message| message.text).collect()
    }

    pub(super) async fn inbox(&self, account: &str) -> Vec<InboxMessage> {
        let filter = format!("recipient = customers/{account} AND state = DELIVERED");
        let request = ListInboxMessagesRequest {
            page_size: 100,
            filter,
            order_by: "create_time".to_owned(),
            ..ListInboxMessagesRequest::default()
        };
        inner(self.notifications().list_inbox_messages(request).await).expect("an inbox").inbox_messages
    }

    pub(super) async fn customer_views(&self, filter: &str) -> Vec<CustomerView> {
        self.cluster.settle().await;
        let request = ListCustomerViewsRequest { filter: filter.to_owned(), ..ListCustomerViewsRequest::default() };
        let mut dashboard = DashboardServiceClient::new(self.cluster.channel());
        inner(dashboard.list_customer_views(request).await).expect("views").customer_views
    }
}

/// The customer that an error names; the error must have RetryInfo.
pub(super) fn put_off(error: &Status, code: Code, reason: &str) -> String {
    assert_eq!((error.code(), reason_of(error).as_str()), (code, reason), "{error:?}");
    let retry = error.get_details_retry_info().and_then(|retry| retry.retry_delay).expect("RetryInfo");
    assert!((1..=10_000).contains(&retry.as_millis()), "{retry:?}");
    customer_named_by(error)
}

pub(super) fn customer_named_by(error: &Status) -> String {
    error
        .get_details_error_info()
        .expect("an ErrorInfo")
        .metadata
        .get("customer")
        .cloned()
        .expect("the customer's name")
}
