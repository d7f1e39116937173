//! The platform from outside: journeys through every context in one process, every method over HTTP, real processes
//! that are killed, drills in which they are overloaded and attacked, and the chart that they are deployed with.

#![allow(clippy::disallowed_methods, reason = "tests may sleep and spawn as they like")]

mod platform {
    mod chart;
    mod contexts;
    mod documents;
    mod drills;
    mod http;
    mod journeys;
    mod mesh;
    mod operators;
    mod processes;
    mod smallest;
}
