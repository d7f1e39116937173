CREATE TABLE mirrors (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    applied TEXT NOT NULL
);
