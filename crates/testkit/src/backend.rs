//! The backend of a test: temporary databases and a bus, embedded or on servers.

use std::{env, time::Duration};

use engine::storage::{Database, DatabaseUrl, StorageError};
use eventing::{Bus, JetStreamBus, JetStreamSettings, LocalBus};
use jumun_core::name;
use runtime::{Context, Topology};

/// The resources of one test, which [`Backend::clear`] removes.
pub(crate) enum Backend {
    Embedded { _directory: tempfile::TempDir },
    Servers { database: String, nats_url: String, prefix: String },
}

/// Creates databases and a bus for these contexts.
pub(crate) async fn prepare(contexts: &[Context]) -> (Backend, Topology, Bus) {
    if on_servers() { new_on_servers(contexts).await } else { embedded(contexts) }
}

/// Whether tests run on PostgreSQL and JetStream (`JUMUN_TEST_BACKEND=servers`) instead of SQLite and the local bus.
pub fn on_servers() -> bool {
    match env::var("JUMUN_TEST_BACKEND").as_deref() {
        Ok("servers") => true,
        Ok("embedded") | Err(_) => false,
        Ok(other) => panic!("JUMUN_TEST_BACKEND is embedded or servers, not {other:?}"),
    }
}

fn embedded(contexts: &[Context]) -> (Backend, Topology, Bus) {
    let directory = tempfile::tempdir().expect("a folder");
    let file = |context: &Context| DatabaseUrl::Sqlite(directory.path().join(format!("{}.db", context.name)));
    let databases = contexts.iter().map(|context| (context.name.to_owned(), file(context))).collect();
    let bus = Bus::Local(LocalBus::default());
    (Backend::Embedded { _directory: directory }, Topology { databases, ..Topology::default() }, bus)
}

async fn new_on_servers(contexts: &[Context]) -> (Backend, Topology, Bus) {
    let prefix = format!("test-{}", name::new_id());
    execute_on_server(&format!("CREATE DATABASE \"{prefix}\" TEMPLATE template0")).expect("it can be created");
    let url = server_url("JUMUN_TEST_POSTGRES_URL");
    let (server, _) = url.rsplit_once('/').expect("a URL with a database");
    let url = DatabaseUrl::Postgres(format!("{server}/{prefix}"));
    let databases = contexts.iter().map(|context| (context.name.to_owned(), url.clone())).collect();
    let nats_url = server_url("JUMUN_TEST_NATS_URL");
    let settings = JetStreamSettings {
        url: nats_url.clone(),
        prefix: prefix.clone(),
        replicas: 1,
        max_age: Duration::ZERO,
        trust: Default::default(),
    };
    let bus = JetStreamBus::connect(settings).await.expect("the broker of JUMUN_TEST_NATS_URL");
    let backend = Backend::Servers { database: prefix.clone(), nats_url, prefix };
    (backend, Topology { databases, ..Topology::default() }, Bus::JetStream(bus.into()))
}

fn execute_on_server(sql: &str) -> Result<(), StorageError> {
    let url = DatabaseUrl::Postgres(server_url("JUMUN_TEST_POSTGRES_URL"));
    Database::new("public", url).connect()?.batch(sql)
}

fn server_url(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run `make test`, which starts the servers"))
}

impl Backend {
    /// Deletes the streams and the database on the servers.
    pub(crate) async fn clear(&self, contexts: &[Context]) {
        self.lose_streams(contexts).await;
        if let Self::Servers { database, .. } = self {
            execute_on_server(&format!("DROP DATABASE \"{database}\" WITH (FORCE)")).expect("it can be dropped");
        }
    }

    /// Deletes the streams.
    pub(crate) async fn lose_streams(&self, contexts: &[Context]) {
        let Self::Servers { nats_url, prefix, .. } = self else { return };
        let client = async_nats::connect(nats_url).await.expect("the broker of JUMUN_TEST_NATS_URL");
        let streams = async_nats::jetstream::new(client);
        for (schema, _) in contexts.iter().flat_map(|context| &context.databases) {
            // A context that never ran, or has no events, has no stream.
            let _ = streams.delete_stream(format!("{prefix}-{schema}")).await;
        }
    }
}
