//! The one place that spawns tasks and threads. A platform that runs on one thread replaces these functions.

#![allow(clippy::disallowed_methods, reason = "it is the one place")]

use std::{io, thread};

pub use tokio::task::JoinSet;
use tokio::{runtime::Handle, task::JoinHandle};

/// Runs a future in a task of its own.
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}

/// Runs a future in a task of this runtime: for what may be called outside of it.
pub fn spawn_on<T: Send + 'static>(
    runtime: &Handle,
    future: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    runtime.spawn(future)
}

/// Runs blocking work on a thread that is kept for it.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    tokio::task::spawn_blocking(work)
}

/// Runs blocking work on the present thread; other tasks move to another one.
pub fn block_in_place<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

/// Starts a named thread for as long as `work` runs.
pub fn spawn_thread(name: String, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name).spawn(work).map(drop)
}
