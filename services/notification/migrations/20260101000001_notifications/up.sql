CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    recipient TEXT NOT NULL,
    channel TEXT NOT NULL,
    text TEXT NOT NULL,
    about TEXT NOT NULL,
    occasion TEXT NOT NULL,
    is_awaited BIGINT NOT NULL,
    fingerprint TEXT NOT NULL,
    state TEXT NOT NULL,
    state_reason TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_time BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);
CREATE INDEX notifications_by_recipient ON notifications (recipient, id);
CREATE INDEX notifications_by_about ON notifications (about, id);
-- Read by the recovery: notifications that are not settled. Few at any time.
CREATE INDEX notifications_due ON notifications (next_attempt_time) WHERE state = 'PENDING';
