//! Lists: pages by keyset (AIP-158), newest first or last, and filters of a small grammar (AIP-160).
//!
//! Ids are UUIDs of version 7, or follow from one, so the order of ids is the order of creation and needs no index.
//! Which fields a filter may compare is the table's affair; a name has an index of it and `id`.

use jumun_core::{Error, Violations, request_context};

use crate::{
    Engine, Stored,
    filter::{self, FilterField},
    ownership::restriction,
    page_token::Tokens,
    row::select,
    storage::Value,
};

/// Items on a page when the caller does not say, and at most.
const DEFAULT_PAGE_SIZE: usize = 50;
const MAX_PAGE_SIZE: usize = 100;
/// What sorts a list with the oldest first; its proto allows nothing else but the newest first.
const OLDEST_FIRST: &str = "create_time";

/// What a caller asks of a list.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageRequest<'a> {
    /// 0: the default.
    pub page_size: i32,
    /// Empty: the first page.
    pub page_token: &'a str,
    /// Empty: everything.
    pub filter: &'a str,
    /// `create_time`, or `create_time desc`, which is the default.
    pub order_by: &'a str,
}

impl<A: Stored> Engine<A> {
    /// One page of what the caller may see, and the token of the next; empty when there is none.
    pub async fn list(&self, request: PageRequest<'_>, fields: &[FilterField]) -> Result<(Vec<A>, String), Error> {
        // A token is for one list: this collection, in this order, of these rows.
        let tokens = Tokens::of(self.database(), &[A::TABLE.name, request.order_by, request.filter]).await?;
        let mut violations = Violations::default();
        let filter = violations.take("filter", filter::parse(request.filter, fields));
        let after = violations.take("page_token", tokens.read(request.page_token));
        violations.into_result()?;
        let (size, filter, after) = (page_size(request.page_size), filter.unwrap_or_default(), after.flatten());

        let (beyond, direction) = if request.order_by == OLDEST_FIRST { ("id > ?", "ASC") } else { ("id < ?", "DESC") };
        let (mut conditions, mut binds) = (Vec::new(), Vec::<Value<'static>>::new());
        for (column, value) in filter {
            let (condition, count) =
                A::DEFERRED_INDEX.map_or_else(|| (format!("{column} = ?"), 1), |index| index.condition(column));
            conditions.push(condition);
            binds.extend(vec![value.into(); count]);
        }
        if let Some(id) = after {
            conditions.push(beyond.to_owned());
            binds.push(id.into());
        }
        if let Some((narrowing, owner)) = restriction::<A>(&request_context::caller()) {
            conditions.push(narrowing);
            binds.extend(owner);
        }
        let condition =
            if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
        // One more than the page tells whether there is another.
        let sql = format!("{} {condition} ORDER BY id {direction} LIMIT {}", select::<A>(), size + 1);
        let mut found = self.select(move |connection| connection.query(&sql, &binds)).await?;
        let mut next = String::new();
        if found.len() > size {
            found.truncate(size);
            if let Some(last) = found.last() {
                next = tokens.write(last.id());
            }
        }
        Ok((found, next))
    }
}

/// How many items a caller gets that asked for so many: never more than there may be, and 0 asks for the default.
pub fn page_size(asked: i32) -> usize {
    match usize::try_from(asked) {
        Ok(0) | Err(_) => DEFAULT_PAGE_SIZE,
        Ok(size) => size.min(MAX_PAGE_SIZE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_sizes_are_bounded() {
        assert_eq!([0, 1, 100, 101, i32::MAX].map(page_size), [50, 1, 100, 100, 100]);
    }
}
