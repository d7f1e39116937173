//! The cluster that tests run in: contexts in one process, on databases and a bus of their own, with a clock that tests move.

#![allow(clippy::disallowed_methods, reason = "a test waits by the machine's clock")]

mod backend;
mod test_cluster;

pub use backend::on_servers;
pub use test_cluster::TestCluster;
