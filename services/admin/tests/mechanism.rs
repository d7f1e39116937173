//! Tests of the mechanism crates through two small contexts: `counter` adds numbers, and `mirror` applies its events.
//! Every test runs on SQLite and the local bus, and again on PostgreSQL and JetStream (see `testkit`).

#![allow(clippy::disallowed_methods, reason = "tests may sleep and spawn as they like")]

mod mechanism {
    mod bus;
    mod cluster;
    mod counter;
    mod drills;
    mod engine;
    mod errors;
    mod hops;
    mod inbox;
    mod lists;
    mod outbox;
    mod relays;
    mod replicas;
    mod reservations;
    mod retries;
    mod storage;
    mod validation;
}
