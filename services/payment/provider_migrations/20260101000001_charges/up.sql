-- The simulated provider's ledger: one row per idempotency key.
CREATE TABLE charges (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    currency TEXT,
    amount BIGINT,
    state TEXT NOT NULL,
    decline_reason TEXT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);
