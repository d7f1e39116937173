//! Tests of the saga protocol with a small context and another one, whose answers are scripted.

mod protocol {
    mod errand;
    mod recovery;
    mod request;
}
