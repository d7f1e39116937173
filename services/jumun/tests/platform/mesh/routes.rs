//! What leads where, and what does not.

use super::{
    setup::{FOOD, Mesh},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers, Envoy and Go: make test-mesh"]
async fn envoy_takes_everything_that_istiod_makes_of_the_chart() {
    let mesh = Mesh::start(FOOD, &["contexts.payment.canary.enabled=true"]).await;
    for envoy in mesh.envoys() {
        let rejected = envoy.stats("update_rejected").await;
        println!("{} {rejected:?}", envoy.name);
        assert!(rejected.len() > 3, "{}: {rejected:?}", envoy.name);
        assert!(rejected.values().all(|count| *count == 0), "{}: {rejected:?}", envoy.name);
    }
}
