//! The commands for operators where tokens are required.

use super::super::processes::{
    cluster::{ProcessCluster, text},
    program::{JUMUN, bare},
};

#[tokio::test]
async fn only_operators_may_run_the_commands() {
    let mut cluster = ProcessCluster::whole();
    cluster.set("JUMUN_AUTH", "required");
    cluster.start().await;
    let (url, data) = (cluster.url("order"), cluster.temp_env.path("data").display().to_string());
    let token = |role: &str, subject: &str| {
        let issue = ["token", "--role", role, "--subject", subject, "--data-dir", &data];
        text(&bare(JUMUN).args(issue).output().expect("jumun runs")).trim().to_owned()
    };
    let (customer, operator) = (token("customer", "customers/mina"), token("operator", "operators/root"));
    for (command, code, words) in [
        (&["events", "orders/a"][..], 1, "orders/a has no events"),
        (&["dlq", "list"], 0, ""),
        (&["dlq", "show", "deadLetters/store-1"], 1, "NOT_FOUND"),
        (&["dlq", "redrive", "--all"], 0, "0 dead letters redriven"),
        (&["dlq", "discard", "--all"], 0, "0 dead letters discarded"),
    ] {
        let run = async |token: &str| cluster.run(&[command, &["--addr", &url, "--token", token]].concat()).await;
        let denied = run(&customer).await;
        assert_eq!(denied.status.code(), Some(1), "{command:?}");
        assert!(text(&denied).contains("PERMISSION_DENIED"), "{command:?}: {}", text(&denied));
        let done = run(&operator).await;
        assert_eq!(done.status.code(), Some(code), "{command:?}: {}", text(&done));
        assert!(text(&done).contains(words), "{command:?}: {}", text(&done));
    }
}
