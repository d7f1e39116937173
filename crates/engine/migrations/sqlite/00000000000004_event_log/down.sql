DROP INDEX inbox_retrying;
ALTER TABLE inbox DROP COLUMN retrying;
DROP TABLE positions;
CREATE TABLE events_by_aggregate (
    aggregate TEXT NOT NULL,
    number BIGINT NOT NULL,
    kind TEXT NOT NULL,
    payload BLOB NOT NULL,
    time BIGINT NOT NULL,
    traceparent TEXT,
    causation TEXT,
    PRIMARY KEY (aggregate, number)
) WITHOUT ROWID;
INSERT INTO events_by_aggregate
SELECT aggregate, number, kind, payload, time, traceparent, causation FROM events;
DROP TABLE events;
ALTER TABLE events_by_aggregate RENAME TO events;
