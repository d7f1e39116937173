//! The platform in a mesh: Envoys that istiod's own code configures from the chart as it is, in front of real
//! processes.
//!
//! Each replica has a sidecar with a certificate of its own, so mTLS, scopes and policies are those of a cluster. What
//! a cluster adds (pods, endpoints, DNS, iptables) is replaced by the program in the folder `mesh`.
//!
//! Measurements are printed. `make test-mesh`, or `scripts/servers.sh cargo test -p jumun --test platform mesh:: --
//! --ignored`.

#![expect(clippy::print_stdout, reason = "a test that measures shows what it measured")]

mod crowd;
mod envoy;
mod istiod;
pub(super) mod setup;

mod canary;
mod errors;
mod rolling;
mod routes;
mod trouble;

use contracts::order::v1::Order;

use super::processes::clients;
use clients::new_id;

/// Two bibimbap by a good card.
fn wish() -> Order {
    clients::wish("tok_visa")
}
