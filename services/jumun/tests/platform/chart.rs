//! The chart, rendered by helm with the values of `helm/jumun/ci`: that nothing is missing, and that the mesh allows
//! calls, routes them and sets their timeouts as the protos declare. `make test-chart` runs it.

mod completeness;
mod edges;
mod pods;
mod protos;
mod render;
mod routes;
mod values;
