//! `jumun bench` against a running instance.

use contracts::admin::v1::{Fault, SetFaultRequest, admin_service_client::AdminServiceClient};
use serde_json::{Value, json};

use super::{
    clients::channel,
    cluster::{ProcessCluster, text},
    program::{JUMUN, bare},
};

/// Of arguments that make no sense together.
const CLAP_USAGE: i32 = 2;

async fn bench(cluster: &ProcessCluster, arguments: &[&str]) -> Value {
    let common = ["bench", "--format", "json", "--warm-up-seconds", "0", "--connections", "2"];
    let done = cluster.run(&[&common, arguments].concat()).await;
    assert!(done.status.success(), "{}", text(&done));
    serde_json::from_slice(&done.stdout).expect("JSON")
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number at {path}: {value}"))
}

#[tokio::test]
async fn bench_follows_orders_from_their_intended_start_until_they_are_carried_on() {
    let mut cluster = ProcessCluster::whole();
    cluster.start().await;
    let pid = cluster.program("order").pid().to_string();
    let load = ["--rate", "50", "--seconds", "2", "--mix", "create-order=4,get-order=1"];
    let report = bench(&cluster, &[&load[..], &["--until-settled", "--probe-age", "--pid", &pid]].concat()).await;
    let run = &report["runs"][0];
    let number = |path| number(run, path);
    assert_eq!((&report["rate"], &report["callers"], &run["method"]), (&50.into(), &Value::Null, &"mix".into()));

    // Each call that was due was answered, refused, failed or could not be started.
    let (placed, read) = (number("/whole/orders") - number("/order_age/placed"), number("/methods/get-order/correct"));
    let lost = number("/not_started") + number("/refused/count");
    assert_eq!(number("/whole/calls") + lost, 100.0, "{run}");
    assert!(read > 0.0 && number("/methods/create-order/correct") > 2.0 * read, "{run}");
    // Those that were answered after the end are no reads within the measured time.
    assert!((0.0..=5.0).contains(&(number("/whole/calls") - placed - read)), "{run}");
    assert!(number("/latency_ms/p50") > 0.0 && number("/latency_ms/max") >= number("/latency_ms/p99"), "{run}");

    assert_eq!(run["settled"]["is_settled"], true, "{run}");
    assert_eq!(number("/settled/dead_letters"), 0.0, "{run}");
    let seconds = number("/measured_seconds") + number("/settled/settle_seconds");
    assert!((number("/settled/carried_per_second") - number("/whole/orders") / seconds).abs() < 0.5, "{run}");
    assert!(number("/settled/samples") > 0.0 && number("/settled/lag_events/store-on-order/max") >= 0.0, "{run}");

    assert!(number("/order_age/placed") >= 15.0 && number("/order_age/ms/p50") > 0.0, "{run}");
    assert_eq!(number("/order_age/seen"), number("/order_age/placed"), "{run}");
    assert_eq!(number("/order_age/never_seen"), 0.0, "{run}");

    for measured in ["/whole/peak_rss_bytes", "/whole/cpu_us_per_call", "/whole/stored_bytes_per_call"] {
        assert!(number(measured) > 0.0, "{measured}: {run}");
    }
    cluster.check().await.expect("nothing is open, and no rule is violated");
}

#[tokio::test]
async fn bench_counts_what_the_server_refuses_apart_from_errors() {
    let mut cluster = ProcessCluster::whole();
    cluster.set("JUMUN_DRILLS", "true");
    cluster.start().await;
    let fault = |code: &str, every| {
        let target = "jumun.bench.v1.BenchService/Echo".to_owned();
        let fault = Some(Fault { target, code: code.to_owned(), every, ..Fault::default() });
        let mut operator = AdminServiceClient::new(channel(&cluster.url("order")));
        async move { operator.set_fault(SetFaultRequest { fault }).await.expect("drills are on") }
    };
    fault("RESOURCE_EXHAUSTED", 2).await;
    let report = bench(&cluster, &["--method", "echo", "--callers", "2", "--seconds", "1"]).await;
    let run = &report["runs"][0];
    let (refused, explained) = (number(run, "/refused/count"), number(run, "/refused/with_retry_info"));
    assert!(refused > 1.0 && explained == refused && run["errors"] == json!({}), "{run}");
    assert!((number(run, "/correct") - refused).abs() <= 3.0, "{run}");
    assert_eq!((&run["not_started"], &run["settled"], &run["order_age"]), (&Value::Null, &Value::Null, &Value::Null));

    fault("INTERNAL", 2).await;
    let failed = cluster.run(&["bench", "--method", "echo", "--callers", "2", "--seconds", "1"]).await;
    assert!(!failed.status.success() && text(&failed).contains("INTERNAL"), "{}", text(&failed));
}

#[test]
fn arguments_of_bench_that_make_no_sense_together_are_explained() {
    for (arguments, word) in [
        (&["--rate", "10", "--method", "both"][..], "--method both"),
        (&["--method", "echo", "--until-settled"], "create-order is not measured"),
        (&["--mix", "create-order"], "METHOD=WEIGHT"),
        (&["--pid", "4194305"], "/proc"),
    ] {
        let done = bare(JUMUN).arg("bench").args(arguments).output().expect("jumun runs");
        assert_eq!(done.status.code(), Some(CLAP_USAGE), "{}", text(&done));
        assert!(text(&done).contains(word), "{}", text(&done));
    }
}
