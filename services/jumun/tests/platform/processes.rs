//! Real processes: one or many, on real servers, stopped, frozen and killed.
//!
//! Tests that need servers are ignored without them: `make test`, or `scripts/servers.sh cargo test -p jumun --test
//! platform processes -- --include-ignored`.

mod broker;
pub(super) mod clients;
pub(super) mod cluster;
mod issuer;
mod load;
pub(super) mod program;
pub(super) mod protocol;
mod proxy;
mod router;
pub(super) mod temp_env;
mod trace;

mod access;
mod bench;
mod broker_loss;
mod broker_outage;
mod coffee_kills;
mod command_line;
mod dead_collector;
mod demos;
mod documents;
mod edges;
mod grpcurl;
mod late_contexts;
mod payment_trouble;
mod random_kills;
mod repeats;
mod restarts;
mod roles;
mod school;
mod secrets;
mod tls;
mod traces;
mod upgrades;
mod versions;
