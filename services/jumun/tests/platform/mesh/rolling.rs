//! Every context is replaced, one after another, while customers order.

use super::{
    crowd::{Crowd, Manner},
    setup::{FOOD, Mesh},
};

/// Concurrent customers.
const CUSTOMERS: usize = 12;
/// Orders between two replacements.
const BETWEEN: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers, Envoy and Go: make test-mesh"]
async fn every_context_is_replaced_under_load_without_a_failed_call() {
    let mut mesh = Mesh::start(FOOD, &[]).await;
    let crowd = Crowd::start(&mesh.url(), CUSTOMERS, Manner::Once);
    for (context, replicas) in FOOD {
        for _ in 0..*replicas {
            crowd.until_asked(BETWEEN).await;
            let oldest = mesh.place_of(context);
            mesh.roll(oldest).await;
        }
    }
    crowd.until_asked(BETWEEN).await;
    let result = crowd.end().await;
    println!("{} replicas were replaced: {result}", mesh.replicas.len());
    result.all_succeeded();
    mesh.becomes_clean().await;
}
