//! Entropy for cryptographic keys. No other module reads it.

/// The source of randomness for cryptographic keys.
pub fn secure() -> ring::rand::SystemRandom {
    ring::rand::SystemRandom::new()
}
