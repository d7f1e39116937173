//! The platform from outside: journeys through every context in one process, every
//! method over HTTP, and real processes that are killed.

mod platform {
    mod http;
    mod journeys;
    mod processes;
}
