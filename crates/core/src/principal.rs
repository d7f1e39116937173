//! Roles, principals, and the caller on whose behalf the current work runs.

use std::sync::Arc;

/// A role, by its number in the contract that declares the roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role(u8);

impl Role {
    /// The role with this number, from 1 to 31; 0 stands for "unspecified" and is no role.
    pub const fn new(number: u8) -> Self {
        assert!(number > 0 && number < 32, "roles are numbered from 1 to 31");
        Self(number)
    }

    /// Its number in the contract.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// A set of roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles(u32);

impl Roles {
    /// The set of these roles.
    pub const fn of(roles: &[Role]) -> Self {
        let (mut set, mut index) = (0, 0);
        while index < roles.len() {
            set |= 1 << roles[index].0;
            index += 1;
        }
        Self(set)
    }

    /// Whether the set has this role.
    pub const fn contains(self, role: Role) -> bool {
        self.0 & (1 << role.0) != 0
    }

    /// Whether the two sets share a role.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |set, role| set | 1 << role.0))
    }
}

/// The roles that a contract declares, and those that the mechanism treats specially.
#[derive(Clone, Copy, Debug)]
pub struct RoleTable {
    /// The name of each role in the contract, with its number.
    pub names: &'static [(Role, &'static str)],
    /// The role of a context that calls another context.
    pub service: Role,
    /// Roles that see every aggregate, no matter who owns it.
    pub unrestricted: Roles,
}

impl RoleTable {
    /// The claim of a role in a token: the role's name in lower case.
    pub fn claim(&self, role: Role) -> String {
        let name = self.names.iter().find(|(known, _)| *known == role);
        name.map_or_else(String::new, |(_, name)| name.to_ascii_lowercase())
    }

    /// The role of a claim in a token.
    pub fn parse(&self, claim: &str) -> Result<Role, String> {
        let found = self.names.iter().find(|(role, _)| self.claim(*role) == claim);
        found.map(|(role, _)| *role).ok_or_else(|| {
            let claims: Vec<_> = self.names.iter().map(|(role, _)| self.claim(*role)).collect();
            format!("is not one of {}", claims.join(", "))
        })
    }

    /// The principal of a context that calls another context.
    pub fn service_principal(&self, context: &str) -> Principal {
        self.principal(format!("services/{context}"), Roles::of(&[self.service]))
    }

    /// A principal with these roles.
    pub fn principal(&self, subject: String, roles: Roles) -> Principal {
        Principal { subject, roles, is_unrestricted: roles.intersects(self.unrestricted) }
    }
}

/// The authenticated caller, as its token describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Its resource name, e.g. `users/mina`.
    pub subject: String,
    /// Its roles.
    pub roles: Roles,
    /// Whether one of its roles sees every aggregate, no matter who owns it.
    pub is_unrestricted: bool,
}

/// The caller on whose behalf the current work runs.
///
/// The default is the platform itself, which may see and do everything: workers and subscriptions run as the platform,
/// and so do all requests if authentication is off. An authenticated request carries its principal, and
/// [`crate::request_context::with_context`] passes it on to spawned tasks.
#[derive(Clone, Debug, Default)]
pub struct Caller(Option<Arc<Principal>>);

impl Caller {
    /// The caller with this principal.
    pub fn new(principal: Arc<Principal>) -> Self {
        Self(Some(principal))
    }

    /// The principal; None for the platform itself.
    pub fn principal(&self) -> Option<&Principal> {
        self.0.as_deref()
    }

    /// The principal, unless it sees every aggregate.
    pub fn restricted(&self) -> Option<&Principal> {
        self.principal().filter(|principal| !principal.is_unrestricted)
    }

    /// The scope of `request_id`s: separates this caller's requests from those of other callers with the same
    /// `request_id`.
    pub fn scope(&self) -> Option<&str> {
        self.principal().map(|principal| principal.subject.as_str())
    }
}
