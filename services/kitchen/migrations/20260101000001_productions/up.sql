CREATE TABLE productions (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    store TEXT NOT NULL,
    lines TEXT NOT NULL,
    state TEXT NOT NULL,
    missing TEXT NOT NULL,
    owes BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);
CREATE INDEX productions_by_store ON productions (store, id);
-- Productions that wait for a product, oldest first.
CREATE INDEX productions_waiting ON productions (missing, id) WHERE state = 'OUT_OF_STOCK';
-- Read by the recovery: reservations and releases that are not settled. Few at any time.
CREATE INDEX productions_taking ON productions (update_time) WHERE state = 'TAKING';
CREATE INDEX productions_owing ON productions (id) WHERE owes = 1;
