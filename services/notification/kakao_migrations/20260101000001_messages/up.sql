-- The simulated Kakao's ledger: one row per idempotency key.
CREATE TABLE messages (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    recipient TEXT NOT NULL,
    text TEXT NOT NULL,
    state TEXT NOT NULL,
    create_time BIGINT NOT NULL
);
CREATE INDEX messages_by_recipient ON messages (recipient, id);
