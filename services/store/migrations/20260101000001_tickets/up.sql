CREATE TABLE tickets (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    store TEXT NOT NULL,
    items TEXT NOT NULL,
    state TEXT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);
CREATE INDEX tickets_by_store ON tickets (store, id);
CREATE INDEX tickets_by_state ON tickets (state, id);
