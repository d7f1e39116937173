-- What the context announced: its history. A row never changes.
CREATE TABLE events (
    aggregate TEXT NOT NULL,
    number BIGINT NOT NULL,
    kind TEXT NOT NULL,
    payload BLOB NOT NULL,
    time BIGINT NOT NULL,
    traceparent TEXT,
    causation TEXT,
    PRIMARY KEY (aggregate, number)
) WITHOUT ROWID;

-- The events that wait for the bus.
CREATE TABLE unpublished (
    aggregate TEXT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (aggregate, number)
) WITHOUT ROWID;

-- The last event that each consumer applied of each aggregate, as "consumer/aggregate".
CREATE TABLE inbox (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    parked BIGINT NOT NULL
) WITHOUT ROWID;

-- The first answer to each request_id; of a creation, the id of what was created.
CREATE TABLE requests (
    id TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    reply BLOB NOT NULL,
    time BIGINT NOT NULL
) WITHOUT ROWID;

-- Events that could not be applied, each with everything that is needed to apply it again.
CREATE TABLE dead_letters (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    inbox_id TEXT NOT NULL,
    consumer TEXT NOT NULL,
    event TEXT NOT NULL,
    context TEXT NOT NULL,
    aggregate TEXT NOT NULL,
    number BIGINT NOT NULL,
    kind TEXT NOT NULL,
    payload BLOB NOT NULL,
    event_time BIGINT NOT NULL,
    traceparent TEXT,
    reason TEXT NOT NULL,
    time BIGINT NOT NULL
);

-- The bus that the events were last published on: another one gets all events again.
CREATE TABLE bus_identity (
    id TEXT PRIMARY KEY,
    identity TEXT NOT NULL
);
