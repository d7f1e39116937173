//! Authentication and authorization: the token identifies the caller, and the `access` option of a method says who may
//! call it. The engine restricts the aggregates that a caller may see.

mod access;
mod authorizer;
mod keys;
mod mint;
mod source;
mod token;

pub use access::{Access, AccessTable};
pub use authorizer::{Authentication, AuthenticationSettings, Authorizer};
pub use mint::{Claims, ServiceToken, SigningKey};
pub use source::KeySource;
pub use token::LEEWAY;
