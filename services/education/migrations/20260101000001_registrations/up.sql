CREATE TABLE registrations (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    learner TEXT NOT NULL,
    course TEXT NOT NULL,
    state TEXT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);
CREATE INDEX registrations_by_learner ON registrations (learner, id);
CREATE INDEX registrations_by_course ON registrations (course, id);
