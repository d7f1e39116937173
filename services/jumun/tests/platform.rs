//! The platform from outside: journeys through every context in one process, and real processes that are killed.

mod platform {
    mod journeys;
    mod processes;
}
