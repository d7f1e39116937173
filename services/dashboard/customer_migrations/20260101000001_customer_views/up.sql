CREATE TABLE customer_views (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    account TEXT NOT NULL,
    -- NULL until an event of the customer itself arrives.
    state TEXT,
    history TEXT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);
CREATE INDEX customer_views_by_account ON customer_views (account, id);
CREATE INDEX customer_views_by_state ON customer_views (state, id);
