CREATE TABLE enrollment_views (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    learner TEXT NOT NULL,
    course TEXT NOT NULL,
    course_title TEXT NOT NULL,
    -- NULL, as the state, until an event of the enrollment itself arrives.
    currency TEXT,
    fee BIGINT,
    state TEXT,
    payment_state TEXT NOT NULL,
    registration_state TEXT NOT NULL,
    history TEXT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);
CREATE INDEX enrollment_views_by_learner ON enrollment_views (learner, id);
CREATE INDEX enrollment_views_by_course ON enrollment_views (course, id);
