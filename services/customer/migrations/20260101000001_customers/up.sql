CREATE TABLE customers (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    account TEXT NOT NULL,
    display_name TEXT NOT NULL,
    address TEXT NOT NULL,
    age BIGINT NOT NULL,
    phone TEXT NOT NULL,
    notifies_order_changes BIGINT NOT NULL,
    state TEXT NOT NULL,
    state_reason TEXT NOT NULL,
    create_time BIGINT NOT NULL,
    registered_time BIGINT,
    update_time BIGINT NOT NULL
);
CREATE INDEX customers_by_account ON customers (account, id);
-- Read by the recovery: registrations whose welcome is not settled. Few at any time.
CREATE INDEX customers_pending ON customers (update_time) WHERE state = 'PENDING';
