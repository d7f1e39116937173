CREATE TABLE orders (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    customer TEXT NOT NULL,
    store TEXT NOT NULL,
    items TEXT NOT NULL,
    currency TEXT NOT NULL,
    total BIGINT NOT NULL,
    fulfillment TEXT NOT NULL,
    payment_method TEXT NOT NULL,
    state TEXT NOT NULL,
    state_reason TEXT NOT NULL,
    payment TEXT NOT NULL,
    create_time BIGINT NOT NULL,
    placed_time BIGINT,
    update_time BIGINT NOT NULL
);
CREATE INDEX orders_by_customer ON orders (customer, id);
-- Read by the recovery: orders whose payment is not settled. Few at any time.
CREATE INDEX orders_unpaid ON orders (update_time) WHERE state IN ('PENDING', 'VOIDING');
