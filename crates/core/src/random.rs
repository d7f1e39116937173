//! The one place that reads entropy, for keys.

/// The source of randomness for cryptographic keys.
pub fn secure() -> ring::rand::SystemRandom {
    ring::rand::SystemRandom::new()
}
