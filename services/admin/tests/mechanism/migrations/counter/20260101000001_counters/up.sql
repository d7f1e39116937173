CREATE TABLE counters (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    value BIGINT NOT NULL,
    note TEXT
);
CREATE TABLE counters_by_note_waiting (id TEXT NOT NULL, note TEXT);
CREATE TABLE counters_by_note (note TEXT, id TEXT NOT NULL);
CREATE INDEX counters_by_note_then_id ON counters_by_note (note, id);
