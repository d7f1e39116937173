//! The platform's mechanism from outside, through two contexts of its own: `counter` counts, and `mirror` writes down what it hears of
//! that. Every test runs on SQLite and the local bus, and again on PostgreSQL and JetStream (see `testkit`).

#![allow(clippy::disallowed_methods, reason = "tests may sleep and spawn as they like")]

mod mechanism {
    mod bus;
    mod counter;
    mod drills;
    mod engine;
    mod errors;
    mod hops;
    mod inbox;
    mod lists;
    mod once;
    mod outbox;
    mod relays;
    mod replicas;
    mod storage;
    mod validation;
    mod world;
}
