//! No token, payment method or personal data reaches a log, trace or event that does not need it (rule S11): every
//! demo, with all logging and tracing switched on, and a search through all of the output.

use engine::{storage::Database, storage::DatabaseUrl};
use serde_json::json;

use super::{
    super::contexts::names,
    access::{guarded, method},
    cluster::{ProcessCluster, RECOVERY, text},
    issuer::{Flaw, Issuer},
    protocol::PROTOCOLS,
    temp_env::eventually,
    trace::Sink,
};

/// How tokens, payment methods and personal data look; a JSON object in base64 begins with `eyJ`.
const SECRETS: [&str; 8] = ["eyJ", "Bearer", "tok_", "customers/", "riders/", "learners/", "010-1234", "Gangnam-daero"];
/// The events that need it: the dashboard shows who ordered, enrolled or registered, and who
/// delivers; notification sends to them.
const NEEDED: [(&str, &str); 13] = [
    ("OrderPlaced", "customers/"),
    ("OrderRejected", "customers/"),
    ("OrderCancelled", "customers/"),
    ("OrderCompleted", "customers/"),
    ("CustomerRegistered", "customers/"),
    ("CustomerRejected", "customers/"),
    ("CustomerCancelled", "customers/"),
    ("NotificationDelivered", "customers/"),
    ("NotificationFailed", "customers/"),
    ("NotificationWithdrawn", "customers/"),
    ("DeliveryStarted", "riders/"),
    ("LearnerEnrolled", "learners/"),
    ("EnrollmentRejected", "learners/"),
];

fn found_in(text: &str) -> Vec<&'static str> {
    SECRETS.into_iter().filter(|secret| text.contains(secret)).collect()
}

/// The events of a context: kind and payload.
fn announced(cluster: &ProcessCluster, context: &str) -> Vec<(String, String)> {
    let file = cluster.temp_env.path("data").join(format!("{context}.db"));
    let mut connection = Database::new(context, DatabaseUrl::Sqlite(file)).connect().expect("a database");
    let rows = connection.query("SELECT kind, payload FROM events", &[]).expect("events");
    let read = |mut row: engine::storage::Row| {
        let (kind, payload) = (row.text().expect("a kind"), row.bytes().expect("a payload"));
        (kind, String::from_utf8_lossy(&payload).into_owned())
    };
    rows.into_iter().map(read).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_and_personal_data_reach_only_where_they_are_needed() {
    let (issuer, sink) = (Issuer::new("first"), Sink::start().await);
    let mut cluster = guarded(&issuer).await;
    cluster.program("order").kill();
    for (variable, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
        ("RUST_LOG", "debug".to_owned()),
    ] {
        cluster.set(variable, &value);
    }
    cluster.start().await;
    let (url, token) = (cluster.url("order"), issuer.token("operators/root", "operator"));
    for demo in ["food-delivery", "education"] {
        let played = cluster.run(&["demo", demo, "--addr", &url, "--token", &token]).await;
        assert!(played.status.success(), "{}", text(&played));
    }
    let list = method("order.v1.OrderService/ListOrders");
    let mina = PROTOCOLS[0].connect(&url, Some(issuer.token("customers/mina", "customer")));
    mina.call(&list, &json!({})).await.expect("her orders");
    mina.call(&list, &json!({"filter": "customer = tok_visa"})).await.expect_err("a wrong filter");
    for flaw in Flaw::ALL {
        mina.with_token(issuer.flawed(flaw)).call(&list, &json!({})).await.expect_err("no token");
    }
    eventually("the spans", RECOVERY, || async {
        sink.texts().into_iter().find(|span| span.contains("ListOrders")).ok_or("none")
    })
    .await;
    cluster.program("order").terminate();
    cluster.program("order").until_ended().await;

    let logged = cluster.program("order").logged();
    assert!(logged.lines().count() > 10, "{logged}");
    for line in logged.lines() {
        assert_eq!(found_in(line), [""; 0], "in a log: {line}");
    }
    for span in sink.texts() {
        assert_eq!(found_in(&span), [""; 0], "in a span: {span}");
    }
    let mut needed = 0;
    for context in names() {
        for (kind, payload) in announced(&cluster, context) {
            let found = found_in(&payload);
            let is_needed = |secret: &&str| NEEDED.contains(&(kind.as_str(), *secret));
            needed += found.iter().filter(|secret| is_needed(secret)).count();
            let others: Vec<_> = found.into_iter().filter(|secret| !is_needed(secret)).collect();
            assert_eq!(others, [""; 0], "in {kind} of {context}: {payload}");
        }
    }
    assert!(needed > 0, "the search does not even find what is needed");
}
