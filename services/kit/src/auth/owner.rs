//! What is whose: each aggregate says it in one line, and the engine keeps to it.

use std::sync::Arc;

use super::{Principal, Role, Roles};
use crate::{Error, Stored, engine::has_value, storage::Value};

/// Callers of a role see the aggregates that a column gives to them.
pub struct Owner<A> {
    role: Role,
    /// The column that has the owner's name; empty: they are owned together.
    column: &'static str,
    of: fn(&A) -> &str,
    /// Whether those that nobody has yet are everybody's of that role.
    or_nobody: bool,
}

impl<A> Owner<A> {
    /// Callers of this role own what has their name in this column.
    pub const fn by(role: Role, column: &'static str, of: fn(&A) -> &str) -> Self {
        Self { role, column, of, or_nobody: false }
    }

    /// The same, and what has nobody's name there yet is free to all of them.
    pub const fn by_or_nobody(role: Role, column: &'static str, of: fn(&A) -> &str) -> Self {
        Self { role, column, of, or_nobody: true }
    }

    /// Callers of this role own all of them together.
    pub const fn all(role: Role) -> Self {
        Self { role, column: "", of: |_| "", or_nobody: true }
    }

    fn is_of_all(&self) -> bool {
        self.column.is_empty()
    }

    fn owns(&self, principal: &Principal, state: &A) -> bool {
        let owner = (self.of)(state);
        principal.roles.contains(self.role) && (owner == principal.subject || self.or_nobody && owner.is_empty())
    }
}

/// On whose behalf the present work is done.
///
/// By default it is the platform itself, whose workers and consumers act on nobody's behalf, or anybody where
/// authorization is off: either may see and do everything. A request that was let in by a token has its principal, and
/// hands it on to the tasks that it starts by [`crate::ambient::carry`].
#[derive(Clone, Debug, Default)]
pub struct Caller(Option<Arc<Principal>>);

impl Caller {
    pub(super) fn new(principal: Arc<Principal>) -> Self {
        Self(Some(principal))
    }

    /// Who it is; None where it may do everything.
    pub fn principal(&self) -> Option<&Principal> {
        self.0.as_deref()
    }

    /// Whether an aggregate is for this caller to see and to decide upon.
    pub fn may_see<A: Stored>(&self, state: &A) -> bool {
        self.restricted().is_none_or(|principal| A::OWNERS.iter().any(|owner| owner.owns(principal, state)))
    }

    /// Refuses to call `name` by its name to whom it is not for.
    pub(crate) fn require_sight<A: Stored>(&self, state: &A, name: &str) -> Result<(), Error> {
        if self.may_see(state) { Ok(()) } else { Err(Error::not_found(name)) }
    }

    /// Refuses a state that would be another's: what a caller makes is its own.
    pub(crate) fn require_own<A: Stored>(&self, state: &A) -> Result<(), Error> {
        if self.may_see(state) { Ok(()) } else { Err(Error::not_yours()) }
    }

    /// What a list is narrowed to: a condition and its binds. None: it sees everything.
    pub(crate) fn narrowing<A: Stored>(&self) -> Option<(String, Vec<Value<'static>>)> {
        let principal = self.restricted()?;
        let owners = || A::OWNERS.iter().filter(|owner| principal.roles.contains(owner.role));
        if owners().any(Owner::is_of_all) {
            return None;
        }
        let one = |owner: &Owner<A>| match owner.or_nobody {
            true => (format!("{} IN (?, '')", owner.column), 1),
            false => has_value::<A>(owner.column),
        };
        let (conditions, counts): (Vec<_>, Vec<_>) = owners().map(one).unzip();
        if conditions.is_empty() {
            return Some(("1 = 0".to_owned(), Vec::new()));
        }
        let binds = vec![principal.subject.clone().into(); counts.into_iter().sum()];
        Some((format!("({})", conditions.join(" OR ")), binds))
    }

    /// What tells this caller's requests from those of another that has chosen the same `request_id`.
    pub(crate) fn scope(&self) -> Option<&str> {
        self.principal().map(|principal| principal.subject.as_str())
    }

    fn restricted(&self) -> Option<&Principal> {
        self.principal().filter(|principal| !principal.roles.meets(Roles::ALL_SEEING))
    }
}

/// Whether each owner's column is one of the table's.
pub(crate) fn has_owner_columns<A: Stored>() -> bool {
    A::OWNERS.iter().all(|owner| owner.is_of_all() || A::TABLE.columns.iter().any(|column| column.name == owner.column))
}
