//! The one place that reads entropy, for keys.

#![allow(clippy::disallowed_methods, reason = "it is the one place")]

/// The source of randomness for cryptographic keys.
pub fn secure() -> ring::rand::SystemRandom {
    ring::rand::SystemRandom::new()
}
