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
CREATE INDEX tickets_by_time ON tickets (create_time, id);
CREATE INDEX tickets_by_store ON tickets (store, create_time, id);
CREATE INDEX tickets_by_state ON tickets (state, create_time, id);
