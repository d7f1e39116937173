//! Lists: keyset pagination (AIP-158) in the order of creation, and filters (a subset of AIP-160).
//!
//! Ids are UUIDs version 7 or derived from one, so the order of ids is the order of creation and needs no further
//! index. Each list declares the fields that a filter may compare; a field with resource names has an index on it and
//! `id`.

use jumun_core::{Error, Violations, request_context};

use crate::{
    Engine, Stored,
    filter::{self, FilterField},
    ownership::restriction,
    page_token::PageTokens,
    row::select,
    storage::Value,
};

/// Items per page: the default, and the maximum.
const DEFAULT_PAGE_SIZE: usize = 50;
const MAX_PAGE_SIZE: usize = 100;
/// The `order_by` of oldest first. The protos allow only this and newest first.
const OLDEST_FIRST: &str = "create_time";

/// The parameters of a list request.
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

/// Reads the [`PageRequest`] of a List request, whose proto has the four fields of AIP-132, AIP-158 and AIP-160.
///
/// ```
/// struct ListBooksRequest {
///     page_size: i32,
///     page_token: String,
///     filter: String,
///     order_by: String,
/// }
///
/// fn read(request: &ListBooksRequest) -> engine::PageRequest<'_> {
///     engine::page_request!(request)
/// }
/// ```
#[macro_export]
macro_rules! page_request {
    ($request:expr) => {
        $crate::PageRequest {
            page_size: $request.page_size,
            page_token: &$request.page_token,
            filter: &$request.filter,
            order_by: &$request.order_by,
        }
    };
}

impl<A: Stored> Engine<A> {
    /// One page of the aggregates that the caller may see, and the token of the next page; empty on the last page.
    pub async fn list(&self, request: PageRequest<'_>, fields: &[FilterField]) -> Result<(Vec<A>, String), Error> {
        // A token is bound to this collection, sorting and filter.
        let tokens = PageTokens::of(self.database(), &[A::TABLE.name, request.order_by, request.filter]).await?;
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
        // One row more than the page size shows whether there is a next page.
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

/// The page size for a requested size: 0 requests the default, and larger sizes are capped at the maximum.
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
