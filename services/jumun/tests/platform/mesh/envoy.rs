//! An Envoy that istiod configures: the ingress gateway, or the sidecar of a replica.

use std::{
    collections::BTreeMap,
    fs::File,
    net::{IpAddr, SocketAddr},
    process::{Child, Stdio},
    time::Duration,
};

use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use prost::bytes::Bytes;
use serde_json::{Value as Json, json};

use super::{
    super::processes::{
        program::bare,
        temp_env::{TempEnv, eventually, free_address, tool},
    },
    istiod::{Istiod, NAMESPACE},
};

/// How long the configuration may take on a busy machine.
const START_BOUND: Duration = Duration::from_secs(60);

/// A running Envoy. Dropped, it is killed.
pub(crate) struct Envoy {
    pub(crate) name: String,
    admin: SocketAddr,
    child: Child,
}

impl Envoy {
    /// Starts it for a pod, as a `sidecar` or a `router`. It also ends with the thread that starts it.
    pub(crate) fn spawn(
        temp_env: &TempEnv,
        istiod: &Istiod,
        kind: &str,
        (pod, namespace): (&str, &str),
        address: IpAddr,
    ) -> Self {
        let admin = free_address();
        let node = json!({
            "id": format!("{kind}~{address}~{pod}.{namespace}~{namespace}.svc.cluster.local"),
            "cluster": format!("{pod}.{namespace}"),
            "metadata": {"NAME": pod, "NAMESPACE": namespace, "CLUSTER_ID": "Kubernetes", "ISTIO_VERSION": "1.31.1",
                "INTERCEPTION_MODE": "NONE"},
        });
        let file = temp_env.path(&format!("{pod}.envoy.json"));
        std::fs::write(&file, bootstrap(&node, admin, istiod).to_string()).expect("a file");
        let log = File::create(temp_env.path(&format!("{pod}.envoy.log"))).expect("a log file");
        let mut command = bare(tool("envoy"));
        command.arg("-c").arg(file).args(["--use-dynamic-base-id", "--concurrency", "1", "-l", "error"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("envoy starts");
        Self { name: pod.to_owned(), admin, child }
    }

    /// Waits until it has all of its configuration.
    pub(crate) async fn until_ready(&self) {
        eventually(&format!("{} to be configured", self.name), START_BOUND, async || {
            let stats = self.try_get("/stats?format=text&filter=listener_manager.workers_started").await?;
            if stats.trim().ends_with(": 1") { Ok(()) } else { Err(stats) }
        })
        .await;
    }

    /// The numbers whose names match a regular expression.
    pub(crate) async fn stats(&self, names: &str) -> BTreeMap<String, u64> {
        let text = self.get(&format!("/stats?format=text&filter={names}")).await;
        let lines = text.lines().filter_map(|line| line.rsplit_once(": "));
        lines.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
    }

    /// The sum of the numbers whose names match.
    pub(crate) async fn count(&self, names: &str) -> u64 {
        self.stats(names).await.values().sum()
    }

    /// The addresses of a service that outlier detection has ejected.
    pub(crate) async fn ejected(&self, service: &str) -> Vec<String> {
        let text = self.get("/clusters").await;
        let of = format!("|{service}.{NAMESPACE}.");
        let lines = text.lines().filter(|line| line.contains(&of) && line.contains("/failed_outlier_check"));
        lines.filter_map(|line| line.split("::").nth(1).map(str::to_owned)).collect()
    }

    /// A page of its admin interface.
    pub(crate) async fn get(&self, path: &str) -> String {
        self.try_get(path).await.unwrap_or_else(|error| panic!("{}: {path}: {error}", self.name))
    }

    async fn try_get(&self, path: &str) -> Result<String, String> {
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let url = format!("http://{}{path}", self.admin).parse().expect("a URL");
        let answer = client.get(url).await.map_err(|error| error.to_string())?;
        let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bootstrap configuration that Istio's agent writes: where configuration and certificates come from.
fn bootstrap(node: &Json, admin: SocketAddr, istiod: &Istiod) -> Json {
    let address =
        |address: SocketAddr| json!({"socket_address": {"address": address.ip(), "port_value": address.port()}});
    let server = |name: &str, at: SocketAddr| {
        let http2 = json!({"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}}});
        json!({"name": name, "type": "STATIC", "connect_timeout": "5s",
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(at)}}]}]}})
    };
    let ads = json!({"ads": {}, "resource_api_version": "V3"});
    json!({
        "node": node,
        "admin": {"address": address(admin)},
        "dynamic_resources": {"lds_config": ads, "cds_config": ads, "ads_config": {"api_type": "GRPC",
            "transport_api_version": "V3", "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}]}},
        "static_resources": {"clusters": [server("xds-grpc", istiod.xds), server("sds-grpc", istiod.sds)]},
    })
}
