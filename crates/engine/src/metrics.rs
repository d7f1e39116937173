//! The metrics of an engine.

jumun_core::metrics! {
    BATCH_SIZE: Histogram "jumun_engine_batch_size" in "jobs" [] constant [context], "Jobs that shared a transaction.";
}
