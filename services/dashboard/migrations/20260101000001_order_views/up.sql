CREATE TABLE order_views (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    customer TEXT NOT NULL,
    store TEXT NOT NULL,
    items TEXT NOT NULL,
    -- NULL, as the state, until an event of the order itself arrives.
    currency TEXT,
    total BIGINT,
    state TEXT,
    payment_state TEXT NOT NULL,
    rider TEXT NOT NULL,
    history TEXT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);
CREATE INDEX order_views_by_customer ON order_views (customer, id);
CREATE INDEX order_views_by_store ON order_views (store, id);
CREATE INDEX order_views_by_state ON order_views (state, id);
