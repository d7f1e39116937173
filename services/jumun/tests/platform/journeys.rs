//! Journeys through every context, in one process with a clock that tests move.

mod course;
mod deadlines;
mod food;
mod lists;
mod outages;
mod overload;
mod paying;
mod repeating;
mod requests;
mod watching;
mod withdrawing;

pub(crate) use food::{Food, wish, wrong_fields};
