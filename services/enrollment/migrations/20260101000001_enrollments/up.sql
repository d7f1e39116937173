CREATE TABLE enrollments (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    learner TEXT NOT NULL,
    course TEXT NOT NULL,
    course_title TEXT NOT NULL,
    currency TEXT NOT NULL,
    fee BIGINT NOT NULL,
    payment_method TEXT NOT NULL,
    state TEXT NOT NULL,
    state_reason TEXT NOT NULL,
    payment TEXT NOT NULL,
    create_time BIGINT NOT NULL,
    enrolled_time BIGINT,
    update_time BIGINT NOT NULL
);
CREATE INDEX enrollments_by_learner ON enrollments (learner, id);
CREATE INDEX enrollments_by_course ON enrollments (course, id);
-- Read by the recovery: enrollments whose payment is not settled. Few at any time.
CREATE INDEX enrollments_unpaid ON enrollments (update_time) WHERE state IN ('PENDING', 'VOIDING');
