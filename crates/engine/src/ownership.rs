//! Authorization per aggregate: the engine restricts every read, list and command to what `Stored::OWNERS` allows.

use jumun_core::{Caller, Error};

use crate::{Stored, owner::Owner, storage::Value};

/// Whether the caller may see and change an aggregate.
pub fn may_see<A: Stored>(caller: &Caller, state: &A) -> bool {
    caller.restricted().is_none_or(|principal| A::OWNERS.iter().any(|owner| owner.owns(principal, state)))
}

/// Fails with NOT_FOUND if the caller may not see the aggregate with the resource name `name`.
pub(crate) fn require_visible<A: Stored>(caller: &Caller, state: &A, name: &str) -> Result<(), Error> {
    if may_see(caller, state) { Ok(()) } else { Err(Error::not_found(name)) }
}

/// Fails with NOT_YOURS if a new state would belong to another principal.
pub(crate) fn require_own<A: Stored>(caller: &Caller, state: &A) -> Result<(), Error> {
    if may_see(caller, state) { Ok(()) } else { Err(Error::not_yours()) }
}

/// The SQL condition, with its binds, that restricts a list to the caller's aggregates; None if the caller sees all.
pub(crate) fn restriction<A: Stored>(caller: &Caller) -> Option<(String, Vec<Value<'static>>)> {
    let principal = caller.restricted()?;
    let owners = || A::OWNERS.iter().filter(|owner| principal.roles.contains(owner.role));
    if owners().any(Owner::is_of_all) {
        return None;
    }
    let one = |owner: &Owner<A>| match owner.or_unassigned {
        true => (format!("{} IN (?, '')", owner.column), 1),
        false => A::DEFERRED_INDEX
            .map_or_else(|| (format!("{} = ?", owner.column), 1), |index| index.condition(owner.column)),
    };
    let (conditions, counts): (Vec<_>, Vec<_>) = owners().map(one).unzip();
    if conditions.is_empty() {
        return Some(("1 = 0".to_owned(), Vec::new()));
    }
    let binds = vec![principal.subject.clone().into(); counts.into_iter().sum()];
    Some((format!("({})", conditions.join(" OR ")), binds))
}

/// Whether the column of each owner is a column of the table.
pub(crate) fn has_owner_columns<A: Stored>() -> bool {
    A::OWNERS.iter().all(|owner| owner.is_of_all() || A::TABLE.columns.iter().any(|column| column.name == owner.column))
}
