//! The platform from outside: journeys through every context in one process, every method over HTTP, real processes that
//! are killed, and drills in which they are overloaded and attacked.

mod platform {
    mod drills;
    mod http;
    mod journeys;
    mod processes;
}
