//! Spawns tasks and threads. No other module does, so a single-threaded target has to replace only these functions.

use std::{io, thread};

use tokio::task::JoinHandle;
pub use tokio::task::{JoinSet, block_in_place};

/// Runs a future in a new task.
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}

/// Runs blocking work on a thread of the blocking pool.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    tokio::task::spawn_blocking(work)
}

/// Runs `work` on a new thread with this name.
pub fn spawn_thread(name: String, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name).spawn(work).map(drop)
}
