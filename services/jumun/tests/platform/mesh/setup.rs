//! The platform in a mesh: processes with sidecars behind an ingress gateway, on real servers.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicU8, Ordering::Relaxed},
    time::Duration,
};

use serde_json::{Value as Json, json};

use super::{
    super::processes::{
        clients::Clients,
        cluster::{RECOVERY, text},
        program::{JUMUN, Program, bare},
        temp_env::{TempEnv, eventually, free_address, given, new_databases, tool},
    },
    envoy::Envoy,
    istiod::{GATEWAY, Istiod, NAMESPACE, gateway},
};

/// The port of every service of the chart.
const PORT: u16 = 8080;
/// Values for the chart, in addition to those of a test.
const VALUES: &[&str] = &[
    "mode=mesh",
    "auth.mode=off",
    "istio.enabled=true",
    "defaults.database.secret=database",
    "nats.url=nats://nats.nats:4222",
];
/// food-delivery, with payment three times.
pub(crate) const FOOD: &[(&str, usize)] =
    &[("order", 1), ("payment", 3), ("store", 1), ("delivery", 1), ("dashboard", 1)];
/// The contexts that call payment.
const CALLS_PAYMENT: &[&str] = &["order"];
/// Thousands of calls are made, so only warnings and a few crates are logged.
const LOG: &str = "warn,jumun=info,payment_saga=debug";
/// How long `jumun check` may take.
const CHECK_BOUND: Duration = Duration::from_secs(100);

/// Replicas behind a gateway. They are dropped before the folder of their logs.
pub(crate) struct Mesh {
    pub(crate) replicas: Vec<Replica>,
    pub(crate) gateway: Envoy,
    pub(crate) address: SocketAddr,
    pub(crate) istiod: Istiod,
    /// The environment of each process: the databases, and what the test adds.
    variables: BTreeMap<String, String>,
    /// The first three bytes of the pods' addresses.
    network: [u8; 3],
    made: u8,
    pub(crate) temp_env: TempEnv,
}

/// A process and its sidecar.
pub(crate) struct Replica {
    /// The pod's, e.g. `payment-2`.
    pub(crate) name: String,
    deployment: &'static str,
    pub(crate) program: Program,
    sidecar: Option<Envoy>,
    /// Where the sidecar is called: the pod's address.
    pub(crate) address: Ipv4Addr,
    /// Where the sidecar accepts the outgoing calls of the process.
    pub(crate) egress: Ipv4Addr,
    is_ready: bool,
}

impl Mesh {
    /// Starts this number of replicas of each Deployment, and waits until they serve.
    pub(crate) async fn start(deployments: &[(&'static str, usize)], values: &[&str]) -> Self {
        Self::start_with(deployments, values, &[]).await
    }

    /// The same, with these variables for each process.
    pub(crate) async fn start_with(
        deployments: &[(&'static str, usize)],
        values: &[&str],
        settings: &[(&str, String)],
    ) -> Self {
        let temp_env = TempEnv::new();
        let mut variables = databases(&temp_env, deployments).await;
        variables.extend(settings.iter().map(|(variable, value)| ((*variable).to_owned(), value.clone())));
        let address = free_address();
        let istiod = Istiod::start(&temp_env, &with_usual(values), &gateway(address), &json!([])).await;
        let gateway = Envoy::spawn(&temp_env, &istiod, "router", GATEWAY, address.ip());
        let network = next_network();
        let mut mesh = Self { replicas: Vec::new(), gateway, address, istiod, variables, network, made: 0, temp_env };
        for (deployment, count) in deployments {
            for _ in 0..*count {
                mesh.add(deployment).await;
            }
        }
        for replica in &mut mesh.replicas {
            replica.program.until_ready().await;
            replica.is_ready = true;
        }
        mesh.istiod.serve(&mesh.pods()).await;
        mesh.is_configured().await;
        mesh
    }

    /// Starts another replica, without waiting until it serves; it gets no calls yet. Returns its index.
    async fn add(&mut self, deployment: &'static str) -> usize {
        self.made += 1;
        let [first, second, third] = self.network;
        let [address, egress] = [self.made, 128 + self.made].map(|last| Ipv4Addr::new(first, second, third, last));
        let name = format!("{deployment}-{}", self.made);
        let program = self.program(deployment, &name, egress);
        self.replicas.push(Replica { name, deployment, program, sidecar: None, address, egress, is_ready: false });
        // Istiod must know the pod before its Envoy connects.
        self.istiod.serve(&self.pods()).await;
        let replica = self.replicas.last_mut().expect("the new one");
        let pod = (replica.name.as_str(), NAMESPACE);
        replica.sidecar = Some(Envoy::spawn(&self.temp_env, &self.istiod, "sidecar", pod, address.into()));
        self.replicas.len() - 1
    }

    fn program(&self, deployment: &str, name: &str, egress: Ipv4Addr) -> Program {
        let mut program = Program::new(self.temp_env.folder(), name, &["serve", context(deployment)]);
        for (variable, value) in &self.variables {
            program.set(variable, value);
        }
        program.set("JUMUN_NATS_URL", given("JUMUN_TEST_NATS_URL"));
        program.set("JUMUN_NATS_PREFIX", &self.temp_env.unique_name);
        program.set("JUMUN_PAYMENT_ADDR", format!("http://{egress}:{PORT}"));
        program.set("JUMUN_SERVICE_VERSION", if deployment.ends_with("-canary") { "canary" } else { "stable" });
        program.set("JUMUN_DRILLS", "true");
        program.set("RUST_LOG", LOG);
        program.spawn();
        program
    }

    fn pods(&self) -> Json {
        let pod = |replica: &Replica| {
            let calls = if CALLS_PAYMENT.contains(&context(replica.deployment)) { "payment" } else { "" };
            json!({"name": replica.name, "deployment": replica.deployment, "address": replica.address,
                "port": replica.program.address.port(), "egress": replica.egress, "calls": calls,
                "ready": replica.is_ready})
        };
        self.replicas.iter().map(pod).collect()
    }

    /// Waits until every Envoy has its configuration, and an order can be placed through the gateway.
    async fn is_configured(&self) {
        for envoy in self.envoys() {
            envoy.until_ready().await;
        }
        let clients = self.clients();
        let ask = async || clients.order(&super::wish(), &super::new_id()).await;
        eventually("an order to be placed", RECOVERY, ask).await;
    }

    /// Serves the chart with other values, while everything runs.
    pub(crate) async fn upgrade(&mut self, values: &[&str]) {
        self.istiod.upgrade(&with_usual(values)).await;
    }

    /// Replaces a replica as a rolling update does: starts the new one, then sends SIGTERM to the old one.
    pub(crate) async fn roll(&mut self, number: usize) {
        let new = self.add(self.replicas[number].deployment).await;
        self.replicas[new].program.until_ready().await;
        self.replicas[new].sidecar().until_ready().await;
        self.replicas[new].is_ready = true;
        self.replicas[number].is_ready = false;
        self.istiod.serve(&self.pods()).await;
        // As long as `preStop` of the chart: until callers have the new endpoints.
        tokio::time::sleep(PRE_STOP).await;
        let mut old = self.replicas.remove(number);
        old.program.terminate();
        assert!(old.program.until_ended().await.success(), "{} ends well", old.name);
        self.istiod.serve(&self.pods()).await;
    }

    pub(crate) fn envoys(&self) -> impl Iterator<Item = &Envoy> {
        self.replicas.iter().map(Replica::sidecar).chain([&self.gateway])
    }

    /// Clients of every context, through the gateway.
    pub(crate) fn clients(&self) -> Clients {
        Clients::new(|_| self.url())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The replicas of a Deployment.
    pub(crate) fn of(&self, deployment: &str) -> Vec<&Replica> {
        self.replicas.iter().filter(|replica| replica.deployment == deployment).collect()
    }

    /// The index of the first replica of a Deployment.
    pub(crate) fn place_of(&self, deployment: &str) -> usize {
        let found = self.replicas.iter().position(|replica| replica.deployment == deployment);
        found.unwrap_or_else(|| panic!("no replica of {deployment}"))
    }

    pub(crate) fn first(&self, deployment: &str) -> &Replica {
        &self.replicas[self.place_of(deployment)]
    }

    /// The result of a query for one number, in the schema of a context.
    pub(crate) async fn count(&self, schema: &str, query: &str) -> usize {
        let context = schema.split('_').next().unwrap_or(schema);
        let mut psql = tokio::process::Command::new(tool("psql"));
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", &self.variables[&variable(context)]]);
        psql.args(["-c", &format!("SET search_path = \"{schema}\""), "-c", query]);
        let done = psql.output().await.expect("psql runs");
        text(&done).trim().parse().unwrap_or_else(|_| panic!("{query}: {}", text(&done)))
    }

    /// Waits until no rule is violated.
    pub(crate) async fn becomes_clean(&self) {
        eventually("jumun check to be clean", RECOVERY, async || {
            let mut command = bare(JUMUN);
            command.args(["check", "--grace-seconds", "0"]).envs(&self.variables);
            for replica in &self.replicas {
                let address = format!("http://{}", replica.program.address);
                command.env(format!("JUMUN_{}_ADDR", context(replica.deployment).to_uppercase()), address);
            }
            let running = tokio::process::Command::from(command).kill_on_drop(true).output();
            let done = tokio::time::timeout(CHECK_BOUND, running).await.expect("it ends").expect("jumun runs");
            if done.status.success() { Ok(()) } else { Err(text(&done)) }
        })
        .await;
    }
}

impl Replica {
    pub(crate) fn sidecar(&self) -> &Envoy {
        self.sidecar.as_ref().expect("it was started with its process")
    }
}

/// How long the chart's pods serve after they were removed from the endpoints.
const PRE_STOP: Duration = Duration::from_secs(5);

async fn databases(temp_env: &TempEnv, deployments: &[(&'static str, usize)]) -> BTreeMap<String, String> {
    let mut contexts: Vec<_> = deployments.iter().map(|(deployment, _)| context(deployment)).collect();
    contexts.dedup();
    let names: Vec<_> = contexts.iter().map(|context| format!("{}_{context}", temp_env.unique_name)).collect();
    let urls = new_databases(&names).await;
    contexts.iter().zip(urls).map(|(context, url)| (variable(context), url)).collect()
}

fn variable(context: &str) -> String {
    format!("JUMUN_{}_DATABASE_URL", context.to_uppercase())
}

fn context(deployment: &str) -> &str {
    deployment.trim_end_matches("-canary")
}

fn with_usual<'a>(values: &[&'a str]) -> Vec<&'a str> {
    VALUES.iter().chain(values).copied().collect()
}

/// Addresses that no other test uses: not of this process, and hardly of another.
fn next_network() -> [u8; 3] {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let own = u8::try_from(std::process::id() % 200).unwrap_or_default();
    [127, 16 + own, NEXT.fetch_add(1, Relaxed)]
}
