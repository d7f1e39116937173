//! The one place that spawns tasks and threads. A platform that runs on one thread replaces these functions.

use std::{io, thread};

use tokio::task::JoinHandle;
pub use tokio::task::{JoinSet, block_in_place};

/// Runs a future in a task of its own.
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}

/// Runs blocking work on a thread that is kept for it.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    tokio::task::spawn_blocking(work)
}

/// Starts a named thread for as long as `work` runs.
pub fn spawn_thread(name: String, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name).spawn(work).map(drop)
}
