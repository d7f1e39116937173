CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    store TEXT NOT NULL,
    rider TEXT NOT NULL,
    state TEXT NOT NULL,
    -- 0 or 1.
    ready BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);
CREATE INDEX deliveries_by_rider ON deliveries (rider, id);
CREATE INDEX deliveries_by_store ON deliveries (store, id);
CREATE INDEX deliveries_by_state ON deliveries (state, id);
