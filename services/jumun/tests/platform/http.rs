//! The protocols of a process over a real connection: gRPC, gRPC-web and HTTP/JSON.

mod client;
mod every_method;
mod fuzz;
mod limits;
mod pages;
mod requests;
mod streams;

pub(crate) use client::order as json_order;
