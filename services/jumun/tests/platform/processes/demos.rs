//! The demos are played against every way of running the platform.

use super::fleet::{COFFEE_ALONE, EACH_ALONE, Fleet, RECOVERY, text};

async fn demos_pass(fleet: &mut Fleet) {
    pass(fleet, &["food-delivery", "education"]).await;
}

async fn pass(fleet: &mut Fleet, demos: &[&str]) {
    fleet.start().await;
    for demo in demos {
        let played = fleet.run(&["demo", demo, "--addr", &fleet.url("order")]).await;
        assert!(played.status.success(), "{}", text(&played));
    }
    fleet.becomes_clean(RECOVERY).await;
}

#[tokio::test]
async fn demos_pass_in_one_process() {
    demos_pass(&mut Fleet::whole()).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn demos_pass_split_on_postgres_and_jetstream() {
    demos_pass(&mut Fleet::split(EACH_ALONE).await).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn demos_pass_with_the_dashboard_on_sqlite() {
    let mut fleet = Fleet::split(EACH_ALONE).await;
    let file = fleet.place.path("dashboard.db");
    fleet.set_database("dashboard", &format!("sqlite://{}", file.display()));
    demos_pass(&mut fleet).await;
    assert!(file.exists(), "the dashboard's file");
}

#[tokio::test]
async fn the_coffee_shop_passes_in_one_process() {
    pass(&mut Fleet::whole(), &["coffee-shop"]).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn the_coffee_shop_passes_split_with_databases_of_both_kinds() {
    let mut fleet = Fleet::split(COFFEE_ALONE).await;
    let file = fleet.place.path("warehouse.db");
    fleet.set_database("warehouse", &format!("sqlite://{}", file.display()));
    pass(&mut fleet, &["coffee-shop"]).await;
    assert!(file.exists(), "the warehouse's file");
}
