//! The validation of requests in the codec, by every kind of rule that the protos use.

use contracts::{
    Money,
    admin::v1::{DiscardDeadLettersRequest, ListDeadLettersRequest, RedriveDeadLettersRequest},
    order::v1::{CancelOrderRequest, CreateOrderRequest, ListOrdersRequest, Order, order::Item},
    validation::{CheckingCodec, Received, UNREADABLE_REQUEST},
};
use http::StatusCode;
use http_body_util::Full;
use jumun_core::{ERROR_DOMAIN, reason_of};
use prost::Message;
use tonic::{Code, Status, Streaming, codec::Codec};
use tonic_types::StatusExt;

use super::counter::{admin, counting_cluster};

/// A gRPC frame.
fn framed(message: &[u8]) -> Full<prost::bytes::Bytes> {
    let length = u32::try_from(message.len()).expect("small").to_be_bytes();
    Full::new([&[0], length.as_slice(), message].concat().into())
}

/// Decodes a request as a server does.
async fn received<M: Received + Send + 'static>(bytes: &[u8]) -> Result<M, Status> {
    let decoder = CheckingCodec::<(), M>::default().decoder();
    let message = Streaming::new_request(decoder, framed(bytes), None, None).message().await?;
    Ok(message.expect("a message"))
}

/// Decodes a response as a client does.
async fn answered<M: Received + Send + 'static>(bytes: &[u8]) -> Result<M, Status> {
    let decoder = CheckingCodec::<(), M>::default().decoder();
    let message = Streaming::new_response(decoder, framed(bytes), StatusCode::OK, None, None).message().await?;
    Ok(message.expect("a message"))
}

/// The violations of a request, as `field: description`.
async fn wrong<M: Received + Send + 'static>(request: &M) -> Vec<String> {
    let Err(status) = received::<M>(&request.encode_to_vec()).await else { return Vec::new() };
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!((status.code(), info.reason.as_str()), (Code::InvalidArgument, "INVALID_ARGUMENT"));
    assert_eq!(info.domain, ERROR_DOMAIN);
    let violations = status.get_details_bad_request().expect("a BadRequest").field_violations;
    let described: Vec<_> = violations.iter().map(|wrong| format!("{}: {}", wrong.field, wrong.description)).collect();
    assert_eq!(status.message(), described.join("; "));
    described
}

fn right() -> CreateOrderRequest {
    let price = Money { currency_code: "KRW".to_owned(), units: 1, nanos: 0 };
    let item = Item { item: "items/bibimbap".to_owned(), quantity: 1, unit_price: Some(price) };
    let order = Order {
        customer: "customers/mina".to_owned(),
        store: "stores/gangnam".to_owned(),
        items: vec![item; 3],
        payment_method: "tok_visa".to_owned(),
        ..Order::default()
    };
    CreateOrderRequest { order: Some(order), request_id: "first".to_owned() }
}

#[tokio::test]
async fn every_violation_is_named_at_once_by_its_path() {
    assert_eq!(wrong(&right()).await, Vec::<String>::new());
    let mut request = right();
    request.request_id = "a b".to_owned();
    let order = request.order.as_mut().expect("an order");
    order.store = "stores/Gangnam".to_owned();
    order.items[0].item = "a".repeat(129);
    order.items[1].item = "a\u{85}b".to_owned();
    order.items[1].unit_price = None;
    order.items[2].quantity = 1001;
    order.fulfillment = 3;
    order.payment_method = "4242424242424242".to_owned();
    let name = "where id is 1 to 63 of a-z, 0-9 and -, and begins and ends with a letter or digit";
    assert_eq!(
        wrong(&request).await,
        [
            &format!("order.store: must be stores/{{id}}, {name}"),
            "order.items[0].item: must be 1 to 128 bytes",
            "order.items[1].item: must not contain control characters",
            "order.items[1].unit_price: is required",
            "order.items[2].quantity: must be 1 to 1000",
            "order.fulfillment: must be DELIVERY or COUNTER",
            "order.payment_method: must be 1 of A-Z a-z and then 0 to 63 of A-Z a-z 0-9 _ -",
            "request_id: must be 1 to 64 of A-Z a-z 0-9 . _ -",
        ]
    );
    request.order = None;
    request.request_id = "second".to_owned();
    assert_eq!(wrong(&request).await, ["order: is required"]);
}

#[tokio::test]
async fn a_list_of_the_wrong_length_is_one_violation() {
    let names = |count| DiscardDeadLettersRequest { names: vec!["x".to_owned(); count] };
    assert_eq!(wrong(&names(0)).await, ["names: must be 1 to 1000 items"]);
    assert_eq!(wrong(&names(1001)).await, ["names: must be 1 to 1000 items"]);
    let mixed = ["deadLetters/order-1", "deadLetters/order-", "deadLetters/order-12", "orders/1"].map(str::to_owned);
    let wrong = wrong(&DiscardDeadLettersRequest { names: mixed.to_vec() }).await;
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].starts_with("names[1]: must match ") && wrong[1].starts_with("names[3]: "), "{wrong:?}");
}

#[tokio::test]
async fn no_more_violations_are_reported_than_fit_into_headers() {
    let request = DiscardDeadLettersRequest { names: vec!["x".to_owned(); 1000] };
    let error = received::<DiscardDeadLettersRequest>(&request.encode_to_vec()).await.expect_err("no names");
    assert_eq!(error.get_details_bad_request().expect("a BadRequest").field_violations.len(), 16);
    assert!(error.message().ends_with("; and 984 more"), "{}", error.message());
    let headers = error.into_http::<()>().into_parts().0.headers;
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    assert!(bytes < 8 * 1024, "{bytes} bytes of headers");
}

#[tokio::test]
async fn an_optional_field_is_checked_when_it_is_set() {
    let cancel =
        |request_id: &str| CancelOrderRequest { name: "orders/1".to_owned(), request_id: request_id.to_owned() };
    assert!(wrong(&cancel("")).await.is_empty());
    assert!(wrong(&cancel(&"a".repeat(64))).await.is_empty());
    for id in ["a".repeat(65), "é".to_owned(), "a\n".to_owned(), " ".to_owned()] {
        assert_eq!(wrong(&cancel(&id)).await, ["request_id: must be 1 to 64 of A-Z a-z 0-9 . _ -"], "{id:?}");
    }
    let list = |page_size| ListDeadLettersRequest { page_size, page_token: String::new() };
    assert!(
        wrong(&list(0)).await.is_empty() && wrong(&list(i32::MAX)).await.is_empty(),
        "a page size above the limit is reduced, not refused"
    );
    assert_eq!(wrong(&list(-1)).await, ["page_size: must not be negative"]);
    let ordered = |by: &str| ListOrdersRequest { order_by: by.to_owned(), ..Default::default() };
    assert!(wrong(&ordered("create_time")).await.is_empty() && wrong(&ordered("")).await.is_empty());
    for by in ["name", "create_time asc", "create_time desc, name", "id; DROP TABLE orders"] {
        assert_eq!(wrong(&ordered(by)).await, ["order_by: must be create_time or create_time desc"]);
    }
}

#[tokio::test]
async fn bytes_that_cannot_be_decoded_are_an_invalid_argument() {
    let error = received::<CreateOrderRequest>(&[0xff; 8]).await.expect_err("no message");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::InvalidArgument, UNREADABLE_REQUEST));
}

#[tokio::test]
async fn responses_of_other_services_are_not_checked() {
    let nothing = Order::default();
    assert!(!wrong(&CreateOrderRequest { order: Some(nothing), ..right() }).await.is_empty());
    answered::<Order>(&[]).await.expect("an answer with nothing in it");
    assert_eq!(answered::<Order>(&[0xff; 8]).await.expect_err("no message").code(), Code::Internal);
}

#[tokio::test]
async fn a_service_refuses_before_its_handler_runs() {
    let (cluster, _) = counting_cluster().await;
    let request = RedriveDeadLettersRequest { context: "No Such Context".to_owned(), ..Default::default() };
    let error = admin(&cluster).redrive_dead_letters(request).await.expect_err("no context's name");
    // The handler itself would return NOT_FOUND.
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::InvalidArgument, "INVALID_ARGUMENT"));
    cluster.finish().await;
}
