//! The metrics of a process, and the catalogue of all that the page shows.

use jumun_core::Metric;

jumun_core::metrics! {
    BUILD_INFO: Gauge "jumun_build_info" in "processes" [version, service_version], "Always 1.";
    CALLS_LIMIT: Gauge "jumun_calls_limit" in "calls" [rpc_method], "Calls of a method that may be under way.";
    CALLS_UNDER_WAY: Gauge "jumun_calls_under_way" in "calls" [rpc_method], "Calls of a method that are under way.";
    CALLS_REFUSED: Counter "jumun_calls_refused_total" in "calls" [rpc_method], "Calls refused at the edge.";
    CIRCUIT_STATE: Gauge "jumun_circuit_state" in "circuits" [circuit, state], "1 for the state that a circuit is in.";
    CIRCUIT_WITHHELD: Counter "jumun_circuit_withheld_total" in "calls" [circuit], "Calls that were not sent.";
    RETRIES: Counter "jumun_retries_total" in "calls" [circuit], "Calls that were sent again.";
    RETRIES_LEFT: Gauge "jumun_retries_left" in "calls" [circuit], "Retries that the budget has left.";
    BULKHEAD_CALLS: Gauge "jumun_bulkhead_calls" in "calls" [bulkhead, kind], "Calls to a provider.";
    BULKHEAD_REFUSED: Counter "jumun_bulkhead_refused_total" in "calls" [bulkhead], "Rejected calls.";
    ENGINE_QUEUE_LENGTH: Gauge "jumun_engine_queue_length" in "jobs" [context, kind],
        "Jobs that wait for a transaction.";
    OUTBOX_UNPUBLISHED: Gauge "jumun_outbox_unpublished" in "events" [context], "Events that wait for the bus.";
    OUTBOX_OLDEST_AGE_SECONDS: Gauge "jumun_outbox_oldest_age_seconds" in "seconds" [context],
        "How long the oldest of them has waited.";
    RELAY_STALLED_SECONDS: Gauge "jumun_relay_stalled_seconds" in "seconds" [context],
        "How long events have waited with none acknowledged; 0: the relay makes progress.";
    DEAD_LETTERS: Gauge "jumun_dead_letters" in "events" [context], "Events that could not be applied.";
    CONSUMER_LAG: Gauge "jumun_consumer_lag" in "events" [consumer], "Events that a consumer has not settled.";
    CONSUMER_STALLED_SECONDS: Gauge "jumun_consumer_stalled_seconds" in "seconds" [consumer],
        "How long events have waited with none applied; 0: the consumer makes progress.";
    CONNECTIONS: Gauge "jumun_connections" in "connections" [], "Connections that are open.";
    CONNECTIONS_REFUSED: Counter "jumun_connections_refused_total" in "connections" [], "Rejected connections.";
}

/// Every metric of the page, those of the crates below included.
pub fn catalogue() -> impl Iterator<Item = &'static Metric> {
    [rpc::metrics::ALL, engine::metrics::ALL, ALL].into_iter().flatten().copied()
}
