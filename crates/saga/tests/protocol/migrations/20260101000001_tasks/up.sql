CREATE TABLE tasks (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    state TEXT NOT NULL,
    update_time BIGINT NOT NULL
);
