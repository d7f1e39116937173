ALTER TABLE inbox DROP COLUMN retrying;
DROP TABLE positions;
ALTER TABLE events DROP COLUMN seq;
