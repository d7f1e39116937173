CREATE TABLE mirrors (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    heard TEXT NOT NULL
);
