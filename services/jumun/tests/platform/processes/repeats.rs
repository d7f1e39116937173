//! The same request again and again, to different replicas.

use std::collections::BTreeMap;

use contracts::order::v1::{ListOrdersRequest, Order};
use futures::future::join_all;
use tonic::Code;

use super::{
    clients::{Clients, new_id, wish},
    cluster::{ProcessCluster, RECOVERY},
};

const REPETITIONS: usize = 50;

/// Two processes that serve the same contexts on the same databases.
async fn two_order_replicas() -> (ProcessCluster, [Clients; 2]) {
    let mut cluster = ProcessCluster::split(&[&["payment", "store", "delivery", "dashboard"], &["order"]]).await;
    cluster.add(&["order"]);
    cluster.start().await;
    let urls: Vec<_> = cluster.programs().skip(1).map(|program| program.url()).collect();
    let clients = [0, 1].map(|replica: usize| Clients::new(|_| urls[replica].clone()));
    (cluster, clients)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn the_same_request_fifty_times_at_once_to_two_replicas_is_one_order_with_one_answer() {
    let (cluster, replicas) = two_order_replicas().await;
    for card in ["tok_visa", "tok_declined"] {
        let (wish, request_id) = (wish(card), new_id());
        let asked = (0..REPETITIONS).map(|turn| replicas[turn % 2].order(&wish, &request_id));
        let mut answers = BTreeMap::<String, usize>::new();
        for answer in join_all(asked).await {
            *answers.entry(one_line(answer.map_err(|refusal| refusal.to_string()))).or_default() += 1;
        }
        assert_eq!(answers.len(), 1, "one answer, {REPETITIONS} times: {answers:#?}");
    }
    let listed = replicas[0].orders.clone().list_orders(ListOrdersRequest::default()).await.expect("a list");
    assert_eq!(listed.into_inner().orders.len(), 2, "one order for each request");
    cluster.becomes_clean(RECOVERY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn the_same_request_id_with_another_body_is_refused_by_the_other_replica() {
    let (cluster, [first, second]) = two_order_replicas().await;
    let request_id = new_id();
    let placed = first.order(&wish("tok_visa"), &request_id).await.expect("an order");
    let other = Order { customer: "customers/joon".to_owned(), ..wish("tok_visa") };
    let refusal = second.order(&other, &request_id).await.expect_err("another body");
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::FailedPrecondition, "REQUEST_ID_REUSED"), "{refusal}");
    assert_eq!(second.order(&wish("tok_visa"), &request_id).await.expect("the first body"), placed);
    cluster.becomes_clean(RECOVERY).await;
}

fn one_line(answer: Result<Order, String>) -> String {
    answer.map_or_else(|refusal| refusal, |order| format!("{order:?}"))
}
