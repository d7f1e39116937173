//! The roles of `jumun.options.v1.Role`.

use jumun_core::{Role, RoleTable, Roles};

/// Declares a constant for each role, and the table of all of them.
macro_rules! roles {
    ($($name:ident = $number:literal),* $(,)?) => {
        $(
            #[doc = concat!("`", stringify!($name), "`, in lower case in tokens.")]
            pub const $name: Role = Role::new($number);
        )*

        const NAMES: &[(Role, &str)] = &[$(($name, stringify!($name))),*];
    };
}

roles! {
    CUSTOMER = 1,
    STORE = 2,
    RIDER = 3,
    KITCHEN = 4,
    WAREHOUSE = 5,
    LEARNER = 6,
    EDUCATOR = 7,
    OPERATOR = 8,
    SERVICE = 9,
}

/// Operators and services may access everything; every other role only what it owns.
pub const ROLES: RoleTable =
    RoleTable { names: NAMES, service: SERVICE, unrestricted: Roles::of(&[OPERATOR, SERVICE]) };
