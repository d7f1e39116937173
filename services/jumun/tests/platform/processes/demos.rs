//! The demos are played against every way of running the platform.

use super::fleet::{EACH_ALONE, Fleet, RECOVERY, text};

async fn demos_pass(fleet: &mut Fleet) {
    // Then coffee-delivery plays its drill, too.
    fleet.set("JUMUN_DRILLS", "true");
    fleet.start().await;
    let played = fleet.run(&["demo", "all", "--addr", &fleet.url("order")]).await;
    assert!(played.status.success(), "{}", text(&played));
    assert!(text(&played).contains("The drill is over"), "{}", text(&played));
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
async fn demos_pass_with_databases_of_both_kinds() {
    let mut fleet = Fleet::split(EACH_ALONE).await;
    let files = ["dashboard", "warehouse"].map(|context| (context, fleet.place.path(&format!("{context}.db"))));
    for (context, file) in &files {
        fleet.set_database(context, &format!("sqlite://{}", file.display()));
    }
    demos_pass(&mut fleet).await;
    for (context, file) in files {
        assert!(file.exists(), "the {context}'s file");
    }
}
