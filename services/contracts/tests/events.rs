//! The kinds of events are stored, and are part of the bus's subjects, so none may change.

use jumun_core::EventKind;

macro_rules! kinds {
    ($found:ident, $context:ident::$event:ident, $module:ident { $($case:ident => $stored:literal,)+ }) => {$(
        let kind = Some(contracts::$context::v1::$module::Kind::$case(Default::default()));
        let event = contracts::$context::v1::$event { kind, ..Default::default() };
        assert_eq!(EventKind::kind(&event), $stored);
        $found += 1;
    )+};
}

#[test]
#[allow(clippy::needless_update)]
fn every_event_has_the_kind_that_is_stored() {
    let mut found = 0;
    kinds!(found, customer::CustomerEvent, customer_event {
        Registered => "CustomerRegistered",
        Rejected => "CustomerRejected",
        Cancelled => "CustomerCancelled",
    });
    kinds!(found, delivery::DeliveryEvent, delivery_event {
        Scheduled => "DeliveryScheduled",
        Started => "DeliveryStarted",
        PickedUp => "DeliveryPickedUp",
        Completed => "DeliveryCompleted",
        Cancelled => "DeliveryCancelled",
    });
    kinds!(found, education::RegistrationEvent, registration_event {
        Registered => "LearnerRegistered",
        Completed => "CourseCompleted",
        Cancelled => "RegistrationCancelled",
    });
    kinds!(found, enrollment::EnrollmentEvent, enrollment_event {
        Enrolled => "LearnerEnrolled",
        Rejected => "EnrollmentRejected",
        Cancelled => "EnrollmentCancelled",
        Completed => "EnrollmentCompleted",
    });
    kinds!(found, kitchen::ProductionEvent, production_event {
        Opened => "ProductionOpened",
        OutOfStock => "ProductionOutOfStock",
        Started => "ProductionStarted",
        Completed => "ProductionCompleted",
        Cancelled => "ProductionCancelled",
        Failed => "ProductionFailed",
    });
    kinds!(found, notification::NotificationEvent, notification_event {
        Delivered => "NotificationDelivered",
        Failed => "NotificationFailed",
        Withdrawn => "NotificationWithdrawn",
    });
    kinds!(found, order::OrderEvent, order_event {
        Placed => "OrderPlaced",
        Rejected => "OrderRejected",
        Cancelled => "OrderCancelled",
        Completed => "OrderCompleted",
    });
    kinds!(found, payment::PaymentEvent, payment_event {
        Authorized => "PaymentAuthorized",
        Declined => "PaymentDeclined",
        Captured => "PaymentCaptured",
        Voided => "PaymentVoided",
        Refunded => "PaymentRefunded",
    });
    kinds!(found, store::TicketEvent, ticket_event {
        Opened => "TicketOpened",
        Accepted => "TicketAccepted",
        Rejected => "TicketRejected",
        CookingStarted => "CookingStarted",
        CookingFinished => "CookingFinished",
        Cancelled => "TicketCancelled",
    });
    kinds!(found, warehouse::StockItemEvent, stock_item_event {
        Created => "StockItemCreated",
        Restocked => "StockRestocked",
        Reduced => "StockReduced",
        Released => "StockReleased",
    });
    assert_eq!(found, declared(), "the list above must have every event");
}

#[test]
fn an_event_whose_kind_is_not_set_has_an_empty_kind() {
    assert_eq!(EventKind::kind(&contracts::order::v1::OrderEvent::default()), "");
    assert_eq!(EventKind::kind(&()), "");
}

/// The number of event kinds that the protos declare.
fn declared() -> usize {
    let pool = prost_reflect::DescriptorPool::decode(contracts::DESCRIPTORS).expect("the build made it");
    let files = pool.files().filter(|file| file.name().ends_with("_event.proto"));
    let messages = files.flat_map(|file| file.messages().collect::<Vec<_>>());
    messages.flat_map(|message| message.oneofs().collect::<Vec<_>>()).map(|oneof| oneof.fields().len()).sum()
}
