CREATE TABLE counters (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    value BIGINT NOT NULL,
    note TEXT
);
CREATE INDEX counters_by_note ON counters (note, id);
