-- What page tokens are signed with: made once, so that every replica has it and it outlives them.
CREATE TABLE page_key (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    key BLOB NOT NULL
);
INSERT INTO page_key (id, key) VALUES (1, randomblob(32));
