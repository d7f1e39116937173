//! The chart, rendered by helm over the values of `helm/jumun/ci`: that nothing is forgotten, and that the mesh lets calls
//! through, routes and times them as the protos declare. `make test-chart` runs it.

mod completeness;
mod edges;
mod pods;
mod protos;
mod render;
mod routes;
mod values;
