//! Who may call, and what is theirs.
//!
//! ```text
//! request ─▶ Guard: does the method's `access` option let this token in? ─▶ Caller, in the Ambient ─▶ handler
//!                                                                                                       │
//!                    Engine: get, list, watch and commands see what the caller owns (Stored::OWNERS) ◀──┘
//! ```

mod access;
mod guard;
mod keys;
mod mint;
mod owner;
mod source;
mod token;

pub(crate) use access::AccessTable;
pub(crate) use guard::{Gate, service_caller};
pub use guard::{Guard, GuardSettings, LEEWAY};
pub(crate) use mint::ServiceToken;
pub use mint::{Claims, SigningKey};
pub(crate) use owner::has_owner_columns;
pub use owner::{Caller, Owner};
pub use source::KeySource;

use std::str::FromStr;

/// What a caller is to the platform: `jumun.options.v1.Role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Role {
    Customer,
    Store,
    Rider,
    Kitchen,
    Warehouse,
    Learner,
    Educator,
    Operator,
    Service,
}

impl Role {
    /// Every role and its name, as the proto enum writes it.
    pub const NAMES: &'static [(Self, &'static str)] = &[
        (Self::Customer, "CUSTOMER"),
        (Self::Store, "STORE"),
        (Self::Rider, "RIDER"),
        (Self::Kitchen, "KITCHEN"),
        (Self::Warehouse, "WAREHOUSE"),
        (Self::Learner, "LEARNER"),
        (Self::Educator, "EDUCATOR"),
        (Self::Operator, "OPERATOR"),
        (Self::Service, "SERVICE"),
    ];

    /// As a token writes it, e.g. "customer".
    pub fn claim(self) -> String {
        let name = Self::NAMES.iter().find(|(role, _)| *role == self);
        name.map_or_else(String::new, |(_, name)| name.to_ascii_lowercase())
    }
}

impl FromStr for Role {
    type Err = String;

    /// Reads it as a token writes it.
    fn from_str(claim: &str) -> Result<Self, String> {
        let found = Self::NAMES.iter().find(|(role, _)| role.claim() == claim);
        found.map(|(role, _)| *role).ok_or_else(|| {
            let claims: Vec<_> = Self::NAMES.iter().map(|(role, _)| role.claim()).collect();
            format!("is not one of {}", claims.join(", "))
        })
    }
}

/// A set of roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles(u16);

impl Roles {
    /// Who sees everything, whoever owns it.
    const ALL_SEEING: Self = Self(1 << Role::Operator as u16 | 1 << Role::Service as u16);

    /// Whether a role is among them.
    pub const fn contains(self, role: Role) -> bool {
        self.0 & (1 << role as u16) != 0
    }

    const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |set, role| set | 1 << role as u16))
    }
}

/// Who is calling, as its token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The resource that it is, e.g. `customers/mina`.
    pub subject: String,
    /// What it is to the platform.
    pub roles: Roles,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptors::POOL;

    #[test]
    fn roles_are_those_of_the_contract() {
        let declared = POOL.get_enum_by_name("jumun.options.v1.Role").expect("the contract");
        let declared: Vec<_> = declared.values().map(|value| value.name().to_owned()).collect();
        let known = Role::NAMES.iter().map(|(_, name)| (*name).to_owned());
        assert_eq!(declared, ["ROLE_UNSPECIFIED".to_owned()].into_iter().chain(known).collect::<Vec<_>>());
        for (role, _) in Role::NAMES {
            assert_eq!(role.claim().parse(), Ok(*role));
        }
        assert!("CUSTOMER".parse::<Role>().is_err() && "root".parse::<Role>().is_err());
    }
}
