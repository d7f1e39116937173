//! Order to payment: one binary, any set of contexts.

mod cli;
mod config;
mod contexts;
mod dlq;
mod errors;
mod events;
mod health;
mod operator;
#[cfg(test)]
mod reference;
mod serve;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::run().await {
        Ok(code) => code,
        Err(error) => {
            // The whole error chain in one line.
            eprintln!("jumun: {error:#}");
            ExitCode::FAILURE
        }
    }
}
