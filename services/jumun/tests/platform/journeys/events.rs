//! AdminService.ListEvents: the history of every context.

use std::collections::BTreeSet;

use contracts::admin::v1::{Event, ListEventsRequest, ListEventsResponse, admin_service_client::AdminServiceClient};
use testkit::TestCluster;
use tonic::{Code, Status};

use super::food::{Food, inner, payment_name, wrong_fields};

async fn page(
    cluster: &TestCluster,
    page_size: i32,
    page_token: &str,
    filter: &str,
) -> Result<ListEventsResponse, Status> {
    let request = ListEventsRequest { page_size, page_token: page_token.to_owned(), filter: filter.to_owned() };
    inner(AdminServiceClient::new(cluster.channel()).list_events(request).await)
}

/// The events on every page of this size.
async fn walk(cluster: &TestCluster, page_size: i32, filter: &str) -> Vec<Event> {
    let (mut events, mut token) = (Vec::new(), String::new());
    loop {
        let page = page(cluster, page_size, &token, filter).await.expect("a page");
        assert!(i32::try_from(page.events.len()).expect("a page") <= page_size);
        events.extend(page.events);
        assert!(events.len() < 1000, "the pages have no end");
        token = page.next_page_token;
        if token.is_empty() {
            return events;
        }
    }
}

fn kinds(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

#[tokio::test]
async fn the_events_of_a_resource_are_listed_in_order_with_their_content_and_cause() {
    let food = Food::open().await;
    let order = food.place("1").await.name;
    food.place("2").await;
    food.accept(&order).await.expect("an open ticket");
    food.reject(&order).await.expect_err("it is accepted");
    food.cancel(&order).await.expect("not cooking");
    food.cluster.settle().await;

    let of_order = format!("aggregate = \"{order}\"");
    let events = walk(&food.cluster, 1, &of_order).await;
    assert_eq!(kinds(&events), ["OrderPlaced", "OrderCancelled"]);
    let placed = &events[0];
    assert_eq!((placed.context.as_str(), placed.number), ("order", 1));
    assert_eq!((placed.aggregate.as_str(), placed.causation.as_str()), (order.as_str(), ""));
    assert_eq!(placed.event, format!("{}/1", order.replace("orders/", "order/")));
    assert!(placed.create_time.is_some());
    let content = placed.payload.as_ref().expect("a known type").fields["placed"].kind.as_ref().expect("a value");
    let prost_types::value::Kind::StructValue(content) = content else { panic!("{content:?}") };
    let named = prost_types::value::Kind::StringValue(order.clone());
    assert_eq!(content.fields["order"].kind, Some(named));

    let payment = walk(&food.cluster, 100, &format!("aggregate = {}", payment_name(&order))).await;
    assert_eq!(kinds(&payment), ["PaymentAuthorized", "PaymentCaptured", "PaymentRefunded"]);
    assert_eq!(payment[1].causation, placed.event);
    let cancelled = walk(&food.cluster, 100, &format!("{of_order} AND kind = OrderCancelled")).await;
    assert_eq!(cancelled, events[1..]);
    assert!(walk(&food.cluster, 100, "aggregate = orders/unknown").await.is_empty());
    food.close().await;
}

#[tokio::test]
async fn a_list_without_a_resource_has_each_event_of_every_context_once() {
    let food = Food::open().await;
    for request in ["1", "2", "3"] {
        food.place(request).await;
    }
    let events = walk(&food.cluster, 2, "").await;
    assert_eq!(events, walk(&food.cluster, 100, "").await);
    let ids: BTreeSet<_> = events.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(ids.len(), events.len(), "{events:?}");
    let contexts: BTreeSet<_> = events.iter().map(|event| event.context.as_str()).collect();
    assert_eq!(contexts, BTreeSet::from(["order", "payment", "store"]));
    assert_eq!(events.len(), 12, "of each order: placed, authorized, captured, opened");
    assert_eq!(walk(&food.cluster, 2, "kind = TicketOpened").await.len(), 3);
    assert!(walk(&food.cluster, 2, "kind = TicketLost").await.is_empty());
    food.close().await;
}

#[tokio::test]
async fn a_list_of_events_that_cannot_be_read_is_refused_with_the_field() {
    let food = Food::open().await;
    let order = food.place("1").await.name;
    let filter = format!("aggregate = {}", payment_name(&order));
    let token = page(&food.cluster, 1, "", &filter).await.expect("a page").next_page_token;
    assert!(page(&food.cluster, 5, &token, &filter).await.is_ok());
    for (filter, token, field) in [
        ("", token.as_str(), "page_token"),
        (filter.as_str(), "made-up", "page_token"),
        ("aggregate = orders", "", "filter"),
        ("aggregate = orderViews/a", "", "filter"),
        ("aggregate = ordr/a", "", "filter"),
        ("number = 1", "", "filter"),
        ("kind = A AND kind = B", "", "filter"),
    ] {
        let status = page(&food.cluster, 1, token, filter).await.expect_err("refused");
        assert_eq!((status.code(), wrong_fields(&status)), (Code::InvalidArgument, vec![field.to_owned()]), "{filter}");
    }
    food.close().await;
}

#[tokio::test]
async fn a_process_lists_the_events_of_its_own_contexts_only() {
    let cluster = TestCluster::new(admin::platform(), vec![store::context()]).await;
    assert!(page(&cluster, 1, "", "aggregate = tickets/a").await.expect("a page").events.is_empty());
    let status = page(&cluster, 1, "", "aggregate = orders/a").await.expect_err("order does not run there");
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(status.message(), "order does not run in this process");
    cluster.finish().await;
}
