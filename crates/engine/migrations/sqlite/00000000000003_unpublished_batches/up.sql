-- The events that wait for the bus: a row for each transaction that announced some, because one for each event would cost
-- as much as the event. `events` names them: [[aggregate, number], ...].
CREATE TABLE unpublished_batches (
    batch TEXT PRIMARY KEY,
    events TEXT NOT NULL,
    size BIGINT NOT NULL,
    time BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO unpublished_batches
SELECT aggregate || ' ' || number, '[["' || aggregate || '", ' || number || ']]', 1, time
FROM unpublished JOIN events USING (aggregate, number);
DROP TABLE unpublished;
ALTER TABLE unpublished_batches RENAME TO unpublished;
