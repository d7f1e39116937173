-- The history in the order of its commits, `seq`: consumers of the same process read it from where they stopped.
ALTER TABLE events ADD COLUMN seq BIGINT GENERATED ALWAYS AS IDENTITY;
ALTER TABLE events ADD CONSTRAINT events_seq UNIQUE (seq);

-- How far each consumer has read the history of another context: what it has applied, decided to ignore, or keeps in
-- `inbox` as retrying or parked. `version` counts the changes of any of these.
CREATE TABLE positions (
    consumer TEXT COLLATE "C" PRIMARY KEY,
    position BIGINT NOT NULL,
    version BIGINT NOT NULL
);

ALTER TABLE inbox ADD COLUMN retrying BIGINT NOT NULL DEFAULT 0;
CREATE INDEX inbox_retrying ON inbox (id) WHERE retrying > 0;
