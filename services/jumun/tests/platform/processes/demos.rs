//! The demo is played against every way of running the platform.

use super::fleet::{EACH_ALONE, Fleet, RECOVERY, text};

async fn demo_passes(fleet: &mut Fleet) {
    fleet.start().await;
    let played = fleet.run(&["demo", "food-delivery", "--addr", &fleet.url("order")]).await;
    assert!(played.status.success(), "{}", text(&played));
    fleet.becomes_clean(RECOVERY).await;
}

#[tokio::test]
async fn demo_passes_in_one_process() {
    demo_passes(&mut Fleet::whole()).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn demo_passes_split_on_postgres_and_jetstream() {
    demo_passes(&mut Fleet::split(EACH_ALONE).await).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn demo_passes_with_the_dashboard_on_sqlite() {
    let mut fleet = Fleet::split(EACH_ALONE).await;
    let file = fleet.place.path("dashboard.db");
    fleet.set_database("dashboard", &format!("sqlite://{}", file.display()));
    demo_passes(&mut fleet).await;
    assert!(file.exists(), "the dashboard's file");
}
