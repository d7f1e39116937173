//! The protocol by itself: a small context whose tasks are done only when another context, whose answers are scripted,
//! agrees.

mod protocol {
    mod errand;
    mod recovery;
    mod request;
}
