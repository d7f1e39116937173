//! The grpcurl commands of the documents work with the real grpcurl.

use std::process::Output;

use serde_json::Value as Json;

use super::{
    cluster::{ProcessCluster, RECOVERY, text},
    program::Program,
    temp_env::{TempEnv, tool},
};

const ORDERS: &str = "jumun.order.v1.OrderService";
const ORDER: &str = r#"{"request_id":"first","order":{"customer":"customers/mina","store":"stores/gangnam","items":[{"item":"items/bibimbap","quantity":2,"unit_price":{"currency_code":"KRW","units":9000}}],"payment_method":"tok_visa"}}"#;
/// grpcurl exits with this and the code of the status.
const STATUS: i32 = 64;
const DEADLINE_EXCEEDED: i32 = 4;
const FAILED_PRECONDITION: i32 = 9;

struct Grpcurl(String);

impl Grpcurl {
    async fn run(&self, options: &[&str], words: &[&str]) -> Output {
        let mut command = tokio::process::Command::new(tool("grpcurl"));
        command.arg("-plaintext").args(options).arg(&self.0).args(words);
        command.kill_on_drop(true).output().await.expect("grpcurl runs")
    }

    async fn prints(&self, options: &[&str], words: &[&str]) -> String {
        let output = self.run(options, words).await;
        assert!(output.status.success(), "{words:?}: {}", text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Calls a method; returns what it answers.
    async fn call(&self, method: &str, message: &str) -> Json {
        let printed = self.prints(&["-d", message], &[method]).await;
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }
}

fn method(name: &str) -> String {
    format!("{ORDERS}/{name}")
}

async fn up() -> (ProcessCluster, Grpcurl) {
    let mut cluster = ProcessCluster::whole();
    cluster.start().await;
    let address = cluster.program("order").address.to_string();
    (cluster, Grpcurl(address))
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn grpcurl_lists_and_describes_every_service() {
    let (_fleet, grpcurl) = up().await;
    let services = grpcurl.prints(&[], &["list"]).await;
    for context in ["order", "payment", "store", "delivery", "kitchen", "warehouse", "dashboard", "admin"] {
        let capital = context[..1].to_uppercase() + &context[1..];
        let service = format!("jumun.{context}.v1.{capital}Service");
        assert!(services.lines().any(|line| line == service), "{service} is not in: {services}");
        let described = grpcurl.prints(&[], &["describe", &service]).await;
        assert!(described.contains("rpc ") && described.contains("google.api.http"), "{described}");
    }
    assert!(services.contains("grpc.health.v1.Health"), "{services}");
    let health = grpcurl.call("grpc.health.v1.Health/Check", "{}").await;
    assert_eq!(health["status"], "SERVING");
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn grpcurl_orders_watches_and_cancels() {
    let (cluster, grpcurl) = up().await;
    let order = grpcurl.call(&method("CreateOrder"), ORDER).await;
    assert_eq!(order["state"], "PLACED");
    let named = format!(r#"{{"name":{}}}"#, order["name"]);
    assert_eq!(grpcurl.call(&method("GetOrder"), &named).await["name"], order["name"]);

    let watched = grpcurl.run(&["-max-time", "1", "-d", &named], &[&method("WatchOrder")]).await;
    assert_eq!(watched.status.code(), Some(STATUS + DEADLINE_EXCEEDED), "{}", text(&watched));
    assert!(text(&watched).contains("PLACED"), "{}", text(&watched));

    assert_eq!(grpcurl.call(&method("CancelOrder"), &named).await["state"], "CANCELLED");
    // The stream of a final order ends by itself.
    let watched = grpcurl.prints(&["-max-time", "5", "-d", &named], &[&method("WatchOrder")]).await;
    assert!(watched.contains("CANCELLED"), "{watched}");
    let views = grpcurl.call("jumun.dashboard.v1.DashboardService/ListOrderViews", "{}").await;
    assert_eq!(views["orderViews"].as_array().map(Vec::len), Some(1), "{views}");
    cluster.becomes_clean(RECOVERY).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn grpcurl_shows_why_an_order_is_refused() {
    let (_fleet, grpcurl) = up().await;
    let declined = ORDER.replace("tok_visa", "tok_declined");
    let refused = grpcurl.run(&["-d", &declined], &[&method("CreateOrder")]).await;
    assert_eq!(refused.status.code(), Some(STATUS + FAILED_PRECONDITION), "{}", text(&refused));
    for word in ["the payment was declined", "PAYMENT_DECLINED", "INSUFFICIENT_FUNDS"] {
        assert!(text(&refused).contains(word), "{word} is not in: {}", text(&refused));
    }
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_process_on_any_free_port_prints_which_and_keeps_it() {
    let temp_env = TempEnv::new();
    let mut program = Program::new(temp_env.folder(), "up", &["up"]);
    program.set("JUMUN_DATA_DIR", temp_env.path("data").display().to_string());
    program.address.set_port(0);
    program.set("JUMUN_LISTEN", "127.0.0.1:0");
    program.start().await;
    let grpcurl = Grpcurl(program.address.to_string());
    assert!(grpcurl.prints(&[], &["list"]).await.contains(ORDERS));
    program.terminate();
    assert!(program.until_ended().await.success());
    program.start().await;
    assert!(grpcurl.prints(&[], &["list"]).await.contains(ORDERS));
}
