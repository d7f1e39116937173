CREATE TABLE stock_items (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    item TEXT NOT NULL,
    -- The last line of defence; the rule is in domain.rs.
    quantity BIGINT NOT NULL CHECK (quantity >= 0),
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);
CREATE INDEX stock_items_by_item ON stock_items (item, id);
