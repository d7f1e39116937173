DROP TABLE unpublished;
CREATE TABLE unpublished (
    aggregate TEXT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (aggregate, number)
);
-- Whatever is published once more is known by its number.
INSERT INTO unpublished SELECT aggregate, number FROM events;
