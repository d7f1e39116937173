//! Authentication and authorization: who a caller is, by its token, and whether it may call a method, by the method's
//! `access` option. Which rows it may see is the engine's affair.

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
