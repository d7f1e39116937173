//! Journeys through every context, in one process with a clock that tests move.

mod cleaning;
mod coffee;
mod counter;
mod course;
mod deadlines;
mod enrolling;
mod events;
mod food;
mod learning;
mod lists;
mod order_notices;
mod outages;
mod overload;
mod paying;
mod registering;
mod repeating;
mod requests;
mod school;
mod stock;
mod storage_trouble;
mod tables;
mod unregistering;
mod versions;
mod watching;
mod withdrawing;

pub(crate) use cleaning::person;
pub(crate) use food::{Food, wish, wrong_fields};
