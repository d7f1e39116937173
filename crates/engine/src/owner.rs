//! Ownership as an aggregate declares it: one line for each role that owns some of the aggregates.

use jumun_core::{Principal, Role};

/// Callers of a role see the aggregates that a column gives to them.
pub struct Owner<A> {
    pub(crate) role: Role,
    /// The column that has the owner's name; empty: they are owned together.
    pub(crate) column: &'static str,
    of: fn(&A) -> &str,
    /// Whether those that nobody has yet are everybody's of that role.
    pub(crate) or_nobody: bool,
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

    pub(crate) fn is_of_all(&self) -> bool {
        self.column.is_empty()
    }

    pub(crate) fn owns(&self, principal: &Principal, state: &A) -> bool {
        let owner = (self.of)(state);
        principal.roles.contains(self.role) && (owner == principal.subject || self.or_nobody && owner.is_empty())
    }
}
