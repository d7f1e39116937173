//! Ownership, as an aggregate declares it: one [`Owner`] per role that owns aggregates.

use jumun_core::{Principal, Role};

/// The aggregates that callers with a role own, and so may see and change.
pub struct Owner<A> {
    pub(crate) role: Role,
    /// The column with the owner's resource name; empty: every caller with the role owns all aggregates.
    pub(crate) column: &'static str,
    of: fn(&A) -> &str,
    /// Whether every caller with the role owns the aggregates that have no owner yet.
    pub(crate) or_unassigned: bool,
}

impl<A> Owner<A> {
    /// Callers with this role own the aggregates with their resource name in this column.
    pub const fn by(role: Role, column: &'static str, of: fn(&A) -> &str) -> Self {
        Self { role, column, of, or_unassigned: false }
    }

    /// Like [`Owner::by`], and aggregates without an owner belong to every caller with this role.
    pub const fn by_or_unassigned(role: Role, column: &'static str, of: fn(&A) -> &str) -> Self {
        Self { role, column, of, or_unassigned: true }
    }

    /// Every caller with this role owns all aggregates.
    pub const fn all(role: Role) -> Self {
        Self { role, column: "", of: |_| "", or_unassigned: true }
    }

    pub(crate) fn is_of_all(&self) -> bool {
        self.column.is_empty()
    }

    pub(crate) fn owns(&self, principal: &Principal, state: &A) -> bool {
        let owner = (self.of)(state);
        principal.roles.contains(self.role) && (owner == principal.subject || self.or_unassigned && owner.is_empty())
    }
}
