-- Customers that are notified of order changes: one row per registration.
CREATE TABLE subscribers (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    account TEXT NOT NULL,
    is_listening BIGINT NOT NULL,
    heard BIGINT NOT NULL
);
CREATE INDEX subscribers_listening ON subscribers (account) WHERE is_listening = 1;
