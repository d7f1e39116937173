//! Runs the program in the folder `mesh`, which serves the chart to Envoys as istiod and the controllers of Kubernetes
//! do.

use std::{net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::super::processes::{
    cluster::text,
    program::bare,
    temp_env::{TempEnv, free_address, tool},
};

pub(crate) const NAMESPACE: &str = "jumun";
/// The gateway's pod, and its namespace.
pub(crate) const GATEWAY: (&str, &str) = ("gateway", "istio-ingress");
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../helm/jumun");
/// The settings of istiod.
const MESH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../istio/mesh-config.yaml");
/// How long reading everything may take on a busy machine.
const BOUND: Duration = Duration::from_secs(60);

/// Serves the chart and the replicas. Dropped, it ends.
pub(crate) struct Istiod {
    pub(crate) xds: SocketAddr,
    pub(crate) sds: SocketAddr,
    chart: PathBuf,
    replicas: PathBuf,
    asks: ChildStdin,
    says: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Istiod {
    /// Starts with the chart as `helm template` renders it with these values, and with further objects of a cluster.
    pub(crate) async fn start(temp_env: &TempEnv, values: &[&str], besides: &[Json], replicas: &Json) -> Self {
        let [chart, others, pods] = ["chart.yaml", "besides.yaml", "replicas.json"].map(|name| temp_env.path(name));
        render(&chart, values).await;
        write(&others, &besides.iter().map(|object| format!("---\n{object}\n")).collect::<String>());
        write(&pods, &replicas.to_string());
        let [xds, sds] = [free_address(), free_address()];
        let log = std::fs::File::create(temp_env.path("istiod.log")).expect("a log file");
        let mut command = Command::from(bare(tool("mesh")));
        command.args(["serve", "-namespace", NAMESPACE, "-xds", &xds.to_string(), "-sds", &sds.to_string()]);
        command.arg("-mesh").arg(MESH).arg("-replicas").arg(&pods).arg(&chart).arg(others);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn().expect("mesh starts");
        let asks = child.stdin.take().expect("a pipe");
        let says = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut istiod = Self { xds, sds, chart, replicas: pods, asks, says, _child: child };
        istiod.expect_ok().await;
        istiod
    }

    /// Serves the chart with other values, while everything runs.
    pub(crate) async fn upgrade(&mut self, values: &[&str]) {
        render(&self.chart, values).await;
        self.reload().await;
    }

    /// Serves other replicas, while everything runs.
    pub(crate) async fn serve(&mut self, replicas: &Json) {
        write(&self.replicas, &replicas.to_string());
        self.reload().await;
    }

    async fn reload(&mut self) {
        self.asks.write_all(b"\n").await.expect("it reads");
        self.expect_ok().await;
    }

    async fn expect_ok(&mut self) {
        let said = tokio::time::timeout(BOUND, self.says.next_line()).await.expect("istiod answers");
        assert_eq!(said.expect("a line").as_deref(), Some("ok"), "istiod refuses the configuration");
    }
}

async fn render(chart: &PathBuf, values: &[&str]) {
    let mut helm = Command::from(bare(tool("helm")));
    helm.args(["template", "jumun", CHART, "--namespace", NAMESPACE]);
    for value in values {
        helm.args(["--set", value]);
    }
    let done = helm.output().await.expect("helm runs");
    assert!(done.status.success(), "helm template: {}", text(&done));
    std::fs::write(chart, done.stdout).expect("a file");
}

fn write(path: &PathBuf, text: &str) {
    std::fs::write(path, text).expect("a file");
}

/// The ingress gateway as the chart expects it, at this address.
pub(crate) fn gateway(address: SocketAddr) -> Vec<Json> {
    let labels = json!({"istio": "ingress", "app": "ingress"});
    let metadata = |name: &str| json!({"name": name, "namespace": GATEWAY.1, "labels": labels});
    let ports = json!([{"name": "http2", "port": 80, "targetPort": address.port()}]);
    let container = json!({"name": "istio-proxy", "ports": [{"containerPort": address.port()}]});
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": GATEWAY.1}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata("ingress"),
            "spec": {"clusterIP": "10.0.0.1", "selector": labels, "ports": ports}}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata(GATEWAY.0),
            "spec": {"serviceAccountName": "ingress", "containers": [container]},
            "status": {"phase": "Running", "podIP": address.ip(), "podIPs": [{"ip": address.ip()}],
                "conditions": [{"type": "Ready", "status": "True"}]}}),
        // It is private to the test.
        json!({"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter", "metadata": metadata("loopback"),
            "spec": {"workloadSelector": {"labels": labels}, "configPatches": [{"applyTo": "LISTENER",
                "match": {"context": "GATEWAY"}, "patch": {"operation": "MERGE",
                    "value": {"address": {"socket_address": {"address": address.ip()}}}}}]}}),
    ]
}
