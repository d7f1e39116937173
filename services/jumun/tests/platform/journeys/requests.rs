//! An invalid request is refused with the names of its fields, and nothing is stored.

use contracts::{
    Money,
    bench::v1::EchoResponse,
    order::v1::{CreateOrderRequest, GetOrderRequest, ListOrdersRequest, Order},
    validation::CheckingCodec,
};
use jumun_core::{ERROR_DOMAIN, reason_of};
use rpc::MAX_REQUEST_BYTES;
use tonic::{Code, Request, Status, client::Grpc};
use tonic_types::StatusExt;

use super::food::{Food, item, wish, won, wrong_fields};

/// The mistake, how to make it, and the fields that the error names.
type Wrong = (&'static str, fn(&mut CreateOrderRequest), &'static [&'static str]);

const WRONG: &[Wrong] = &[
    ("no request_id", |request| request.request_id.clear(), &["request_id"]),
    ("a request_id of 300", |request| request.request_id = "a".repeat(300), &["request_id"]),
    ("a request_id with a space", |request| request.request_id = "a b".to_owned(), &["request_id"]),
    ("no order", |request| request.order = None, &["order"]),
    ("no order and no request_id", |request| *request = CreateOrderRequest::default(), &["order", "request_id"]),
    ("no customer", |request| order(request).customer.clear(), &["order.customer"]),
    ("another's collection", |request| order(request).customer = "stores/mina".to_owned(), &["order.customer"]),
    ("an id in capitals", |request| order(request).store = "stores/Gangnam".to_owned(), &["order.store"]),
    ("a path", |request| order(request).store = "stores/../orders".to_owned(), &["order.store"]),
    ("no card", |request| order(request).payment_method.clear(), &["order.payment_method"]),
    (
        "a card number",
        |request| order(request).payment_method = "4242424242424242".to_owned(),
        &["order.payment_method"],
    ),
    ("an unknown enum number", |request| order(request).fulfillment = 7, &["order.fulfillment"]),
    ("no items", |request| order(request).items.clear(), &["order.items"]),
    ("10,000 items", |request| order(request).items = vec![item("a", 1, won(1)); 10_000], &["order.items"]),
    ("a nameless item", |request| order(request).items[1].item.clear(), &["order.items[1].item"]),
    ("a control character", |request| order(request).items[0].item = "a\nb".to_owned(), &["order.items[0].item"]),
    ("a negative quantity", |request| order(request).items[0].quantity = -1, &["order.items[0].quantity"]),
    ("a zero quantity", |request| order(request).items[1].quantity = 0, &["order.items[1].quantity"]),
    ("nothing but a zero quantity", |request| only(request, 0, won(9_000)), &["order.items[0].quantity"]),
    ("nothing but a negative quantity", |request| only(request, -2, won(9_000)), &["order.items[0].quantity"]),
    ("the largest quantity", |request| order(request).items[0].quantity = i32::MAX, &["order.items[0].quantity"]),
    ("no price", |request| order(request).items[1].unit_price = None, &["order.items[1].unit_price"]),
    ("a negative price", |request| only(request, 1, won(-1)), &["order.items[0].unit_price"]),
    ("a price of zero", |request| only(request, 1, won(0)), &["order.items"]),
    ("an overflowing line", |request| only(request, 2, won(i64::MAX)), &["order.items[0].unit_price"]),
    (
        "an overflowing total",
        |request| order(request).items[1].unit_price = Some(won(i64::MAX)),
        &["order.items[1].unit_price"],
    ),
    ("an unknown currency", |request| only(request, 1, money("XXX", 1, 0)), &["order.items[0].unit_price"]),
    ("a fraction too fine", |request| only(request, 1, money("KRW", 1, 500_000_000)), &["order.items[0].unit_price"]),
    ("nanos of another sign", |request| only(request, 1, money("EUR", 1, -10_000_000)), &["order.items[0].unit_price"]),
    (
        "two currencies",
        |request| order(request).items[1].unit_price = Some(money("EUR", 3, 0)),
        &["order.items[1].unit_price.currency_code"],
    ),
    ("a wrong total", |request| order(request).total = Some(won(21_999)), &["order.total"]),
    ("a total in another currency", |request| order(request).total = Some(money("EUR", 22_000, 0)), &["order.total"]),
    (
        "a total, and a wrong line",
        |request| {
            order(request).total = Some(won(22_000));
            order(request).items[0].quantity = -1;
        },
        &["order.items[0].quantity"],
    ),
    (
        "everything at once",
        |request| {
            *request = CreateOrderRequest {
                request_id: "!".to_owned(),
                order: Some(Order { fulfillment: -1, ..Order::default() }),
            };
        },
        &["order.customer", "order.fulfillment", "order.items", "order.payment_method", "order.store", "request_id"],
    ),
];

#[tokio::test]
async fn what_is_wrong_with_an_order_is_named_and_nothing_is_stored() {
    let food = Food::open().await;
    for (what, spoil, fields) in WRONG {
        let mut request = CreateOrderRequest { order: Some(wish("tok_visa")), request_id: "first".to_owned() };
        spoil(&mut request);
        let error = food.orders().create_order(request).await.expect_err(what);
        assert_eq!(error.code(), Code::InvalidArgument, "{what}: {error:?}");
        assert_eq!(wrong_fields(&error), *fields, "{what}");
    }
    assert!(food.states("order", "order", "orders").await.is_empty());
    assert!(food.states("payment", "payment", "payments").await.is_empty());
    assert!(food.states("payment", payment::PROVIDER_SCHEMA, "charges").await.is_empty());
    food.close().await;
}

#[tokio::test]
async fn values_at_the_limits_are_accepted() {
    let food = Food::open().await;
    let mut largest = wish("tok_visa");
    largest.items = vec![item(&"a".repeat(128), 1000, money("EUR", 0, 10_000_000)); 100];
    largest.total = Some(money("EUR", 1_000, 0));
    let order = food.order(&"a".repeat(64), &largest).await.expect("an order");
    assert_eq!((order.items, order.total), (largest.items, largest.total));
    food.close().await;
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_before_it_is_read() {
    let food = Food::open().await;
    let mut order = wish("tok_visa");
    order.items[0].item = "a".repeat(MAX_REQUEST_BYTES);
    let error = food.order("first", &order).await.expect_err("too large");
    // gRPC's own code for it is RESOURCE_EXHAUSTED, which suggests a retry.
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::OutOfRange, "MESSAGE_TOO_LARGE"));
    assert!(food.states("order", "order", "orders").await.is_empty());
    food.close().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_list_is_named() {
    let food = Food::open().await;
    let list = |request: ListOrdersRequest| async { food.orders().list_orders(request).await.expect_err("wrong") };
    let filter = |filter: &str| ListOrdersRequest { filter: filter.to_owned(), ..Default::default() };
    for wrong in ["state = NONE", "state = placed", "who = customers/mina", "customer = mina", "customer", "a OR b"] {
        assert_invalid(&list(filter(wrong)).await, &["filter"]);
    }
    assert_invalid(&list(ListOrdersRequest { page_size: -1, ..Default::default() }).await, &["page_size"]);
    for token in ["x", "a.b.c", "../..", "5f3759df-1.0.0"] {
        let request = ListOrdersRequest { page_token: token.to_owned(), ..Default::default() };
        assert_invalid(&list(request).await, &["page_token"]);
    }
    let declared = ListOrdersRequest {
        page_size: -1,
        page_token: "x".repeat(257),
        filter: "x".repeat(513),
        order_by: "name".to_owned(),
    };
    assert_invalid(&list(declared).await, &["filter", "order_by", "page_size", "page_token"]);
    let beyond = ListOrdersRequest { page_token: "x".to_owned(), filter: "x".to_owned(), ..Default::default() };
    assert_invalid(&list(beyond).await, &["filter", "page_token"]);
    food.close().await;
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_by_its_name() {
    let food = Food::open().await;
    let get = |name: &str| {
        let request = GetOrderRequest { name: name.to_owned() };
        async { food.orders().get_order(request).await.expect_err("no order") }
    };
    let error = get("orders/0190b6f0-0000-7000-8000-000000000000").await;
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::NotFound, "NOT_FOUND"));
    let info = error.get_details_error_info().expect("an ErrorInfo");
    assert_eq!(info.metadata["name"], "orders/0190b6f0-0000-7000-8000-000000000000");
    for wrong in ["", "orders", "orders/", "tickets/1", "orders/1/2", "orders/ä"] {
        assert_invalid(&get(wrong).await, &["name"]);
    }
    food.close().await;
}

#[tokio::test]
async fn no_method_refuses_without_a_reason() {
    let food = Food::open().await;
    let mut reasons: Vec<_> = jumun_core::reasons::ALL.to_vec();
    for context in [order::context(), payment::context(), store::context(), delivery::context(), dashboard::context()] {
        reasons.extend(context.reasons);
    }
    for method in contracts::methods() {
        // Field 1 with a value that no type accepts.
        for bytes in [vec![], vec![0xff]] {
            let codec = CheckingCodec::<Vec<u8>, EchoResponse>::default();
            let path = jumun_core::contracts::path(&method).parse().expect("a path");
            let mut client = Grpc::new(food.cluster.channel());
            client.ready().await.expect("ready");
            let Err(status) = client.server_streaming(Request::new(bytes), path, codec).await else { continue };
            let info = status.get_details_error_info().unwrap_or_else(|| panic!("{}: {status:?}", method.full_name()));
            let known = reasons.iter().any(|reason| (reason.name, reason.code) == (&info.reason, status.code()));
            assert!(known && info.domain == ERROR_DOMAIN, "{}: {status:?}", method.full_name());
        }
    }
    food.close().await;
}

fn assert_invalid(error: &Status, fields: &[&str]) {
    assert_eq!((error.code(), reason_of(error).as_str()), (Code::InvalidArgument, "INVALID_ARGUMENT"), "{error:?}");
    assert_eq!(wrong_fields(error), fields, "{error:?}");
}

fn order(request: &mut CreateOrderRequest) -> &mut Order {
    request.order.as_mut().expect("an order")
}

/// Leaves one line in the order.
fn only(request: &mut CreateOrderRequest, quantity: i32, price: Money) {
    order(request).items = vec![item("items/bibimbap", quantity, price)];
}

fn money(currency: &str, units: i64, nanos: i32) -> Money {
    Money { currency_code: currency.to_owned(), units, nanos }
}
