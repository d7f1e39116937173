//! The demos are played against every way of running the platform.

use super::cluster::{ProcessCluster, RECOVERY, text};

async fn demos_pass(cluster: &mut ProcessCluster) {
    // So that coffee-delivery also plays its drill.
    cluster.set("JUMUN_DRILLS", "true");
    cluster.start().await;
    let played = cluster.run(&["demo", "all", "--addr", &cluster.url("order")]).await;
    assert!(played.status.success(), "{}", text(&played));
    assert!(text(&played).contains("The drill is over"), "{}", text(&played));
    cluster.becomes_clean(RECOVERY).await;
}

#[tokio::test]
async fn demos_pass_in_one_process() {
    demos_pass(&mut ProcessCluster::whole()).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn demos_pass_split_on_postgres_and_jetstream() {
    demos_pass(&mut ProcessCluster::each_alone().await).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn demos_pass_with_databases_of_both_kinds() {
    let mut cluster = ProcessCluster::each_alone().await;
    let files = ["dashboard", "warehouse"].map(|context| (context, cluster.temp_env.path(&format!("{context}.db"))));
    for (context, file) in &files {
        cluster.set_database(context, &format!("sqlite://{}", file.display()));
    }
    demos_pass(&mut cluster).await;
    for (context, file) in files {
        assert!(file.exists(), "the {context}'s file");
    }
}
