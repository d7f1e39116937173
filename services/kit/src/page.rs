//! Lists: pages by keyset (AIP-158), newest first, and filters of a small grammar (AIP-160).
//!
//! Ids are UUIDs of version 7, or follow from one, so the order of ids is the order of creation and needs no index.
//!
//! A filter is `field = value` joined by `AND`; a value is a bare word or in double quotes. Which fields there are is
//! the table's affair; a name has an index of it and `id`.

use crate::{Engine, Error, Stored, aggregate::StateName, engine::select, error::Violations, name, storage::Value};

/// Items on a page when the caller does not say, and at most.
const DEFAULT_PAGE_SIZE: usize = 50;
const MAX_PAGE_SIZE: usize = 100;

/// What a caller asks of a list.
#[derive(Clone, Debug)]
pub struct PageRequest<'a> {
    /// 0: the default.
    pub page_size: i32,
    /// Empty: the first page.
    pub page_token: &'a str,
    /// Empty: everything.
    pub filter: &'a str,
}

/// A field that a filter may compare; its column has the same name.
#[derive(Clone, Copy, Debug)]
pub struct FilterField {
    /// Its name.
    pub name: &'static str,
    /// Why a value can never match, if so.
    pub check: fn(&str) -> Result<(), String>,
}

impl FilterField {
    /// A resource name.
    pub const fn name(name: &'static str) -> Self {
        Self {
            name,
            check: |value| if name::is_name(value) { Ok(()) } else { Err("must be a resource name".to_owned()) },
        }
    }

    /// One of a closed set of states.
    pub const fn state<S: StateName>() -> Self {
        Self {
            name: "state",
            check: |value| {
                let names: Vec<_> = S::NAMES.iter().map(|(_, name)| *name).collect();
                if names.contains(&value) { Ok(()) } else { Err(format!("must be one of {}", names.join(", "))) }
            },
        }
    }
}

impl<A: Stored> Engine<A> {
    /// One page, newest first, and the token of the next; empty when there is none.
    pub async fn list(&self, request: PageRequest<'_>, fields: &[FilterField]) -> Result<(Vec<A>, String), Error> {
        let mut violations = Violations::default();
        let filter = violations.take("filter", parse_filter(request.filter, fields));
        let after = violations.take("page_token", read_token(request.page_token, request.filter));
        violations.into_result()?;
        let (size, filter, after) = (page_size(request.page_size), filter.unwrap_or_default(), after.flatten());

        let mut conditions: Vec<String> = filter.iter().map(|(column, _)| format!("{column} = ?")).collect();
        let mut binds: Vec<Value> = filter.into_iter().map(|(_, value)| value.into()).collect();
        if let Some(id) = after {
            conditions.push("id < ?".to_owned());
            binds.push(id.into());
        }
        let condition =
            if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
        // One more than the page tells whether there is another.
        let sql = format!("{} {condition} ORDER BY id DESC LIMIT {}", select::<A>(), size + 1);
        let mut found = self.select(move |connection| connection.query(&sql, &binds)).await?;
        let mut next = String::new();
        if found.len() > size {
            found.truncate(size);
            if let Some(last) = found.last() {
                next = write_token(last.id(), request.filter);
            }
        }
        Ok((found, next))
    }
}

/// How many items a caller gets that asked for so many: never more than there may be, and 0 asks for the default.
pub(crate) fn page_size(asked: i32) -> usize {
    match usize::try_from(asked) {
        Ok(0) | Err(_) => DEFAULT_PAGE_SIZE,
        Ok(size) => size.min(MAX_PAGE_SIZE),
    }
}

fn parse_filter(filter: &str, fields: &[FilterField]) -> Result<Vec<(&'static str, String)>, String> {
    if filter.trim().is_empty() {
        return Ok(Vec::new());
    }
    filter.split(" AND ").map(|comparison| parse_comparison(comparison, fields)).collect()
}

fn parse_comparison(comparison: &str, fields: &[FilterField]) -> Result<(&'static str, String), String> {
    let (name, value) = comparison.split_once('=').ok_or_else(|| format!("{comparison:?} is not `field = value`"))?;
    let (name, value) = (name.trim(), value.trim());
    let field = fields.iter().find(|field| field.name == name).ok_or_else(|| {
        let names: Vec<_> = fields.iter().map(|field| field.name).collect();
        format!("{name:?} is not one of {}", names.join(", "))
    })?;
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let value = quoted.unwrap_or(value);
    if value.is_empty() || value.contains(['"', '?']) || (quoted.is_none() && value.contains(char::is_whitespace)) {
        return Err(format!("the value of {name} must be a word, or in double quotes"));
    }
    (field.check)(value).map_err(|reason| format!("{name} {reason}"))?;
    Ok((field.name, value.to_owned()))
}

fn write_token(id: &str, filter: &str) -> String {
    format!("{}.{id}", token_check(id, filter))
}

fn read_token(token: &str, filter: &str) -> Result<Option<String>, String> {
    if token.is_empty() {
        return Ok(None);
    }
    match token.split_once('.') {
        Some((check, id)) if check == token_check(id, filter) => Ok(Some(id.to_owned())),
        _ => Err("is not the next_page_token of a list with this filter".to_owned()),
    }
}

fn token_check(id: &str, filter: &str) -> String {
    name::short_hash(format!("{id}\0{filter}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[FilterField] = &[FilterField::name("customer"), FilterField::name("store")];

    #[test]
    fn filters_compare_known_fields() {
        assert_eq!(parse_filter("", FIELDS), Ok(vec![]));
        assert_eq!(
            parse_filter("customer = \"customers/mina\" AND store=stores/a", FIELDS),
            Ok(vec![("customer", "customers/mina".to_owned()), ("store", "stores/a".to_owned())])
        );
        for wrong in
            ["customer", "customer = ", "who = customers/a", "customer = x y", "customer = \"a", "store = nowhere"]
        {
            assert!(parse_filter(wrong, FIELDS).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_token_serves_only_the_list_it_came_from() {
        let token = write_token("abc", "state = OPEN");
        assert_eq!(read_token(&token, "state = OPEN"), Ok(Some("abc".to_owned())));
        assert!(read_token(&token, "").is_err());
        assert!(read_token(&token.replace("abc", "abd"), "state = OPEN").is_err());
        assert!(read_token("x", "").is_err());
    }

    #[test]
    fn page_sizes_are_bounded() {
        assert_eq!([0, 1, 100, 101, i32::MAX].map(page_size), [50, 1, 100, 100, 100]);
    }
}
