//! The cluster that tests run in: contexts in one process, with their own databases, bus and clock.

#![allow(clippy::disallowed_methods, reason = "a test waits by the system clock")]

mod backend;
mod test_cluster;

pub use backend::on_servers;
pub use test_cluster::TestCluster;
