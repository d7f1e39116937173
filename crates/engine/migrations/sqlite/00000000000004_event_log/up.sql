-- The history in the order of its commits, `seq`: consumers of the same process read it from where they stopped. Events of
-- an aggregate are in the order of their numbers.
CREATE TABLE event_log (
    seq INTEGER PRIMARY KEY,
    aggregate TEXT NOT NULL,
    number BIGINT NOT NULL,
    kind TEXT NOT NULL,
    payload BLOB NOT NULL,
    time BIGINT NOT NULL,
    traceparent TEXT,
    causation TEXT,
    UNIQUE (aggregate, number)
);
INSERT INTO event_log (aggregate, number, kind, payload, time, traceparent, causation)
SELECT aggregate, number, kind, payload, time, traceparent, causation FROM events ORDER BY aggregate, number;
DROP TABLE events;
ALTER TABLE event_log RENAME TO events;

-- How far each consumer has read the history of another context: what it has applied, decided to ignore, or keeps in
-- `inbox` as retrying or parked. `version` counts the changes of any of these.
CREATE TABLE positions (
    consumer TEXT PRIMARY KEY,
    position BIGINT NOT NULL,
    version BIGINT NOT NULL
) WITHOUT ROWID;

ALTER TABLE inbox ADD COLUMN retrying BIGINT NOT NULL DEFAULT 0;
CREATE INDEX inbox_retrying ON inbox (id) WHERE retrying > 0;
