//! Queries by column, for workers and policies: the text of the SQL is made here and nowhere else.
//!
//! A constant is written into the text, a value is bound to it. A planner uses a partial index only where the text
//! implies the index's condition, so what such a condition names (a state, a flag) is a constant.

use jumun_core::{Error, Time};

use crate::{Engine, Stored, row::select, storage::Value};

/// Which aggregates are looked for. Every condition holds of what is found.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Each condition as its column and the rest of its text.
    conditions: Vec<(&'static str, String)>,
    /// What is bound, in the order of the conditions.
    binds: Vec<Value<'static>>,
    sort: Option<&'static str>,
}

impl Query {
    /// All of them.
    pub fn new() -> Self {
        Self::default()
    }

    /// The column is this constant.
    pub fn is(self, column: &'static str, constant: &'static str) -> Self {
        self.and(column, format!("= {}", quoted(constant)))
    }

    /// The column is one of these constants.
    pub fn is_any(self, column: &'static str, constants: &[&'static str]) -> Self {
        let constants: Vec<_> = constants.iter().copied().map(quoted).collect();
        self.and(column, format!("IN ({})", constants.join(", ")))
    }

    /// The column is a flag that is set.
    pub fn is_set(self, column: &'static str) -> Self {
        self.and(column, "= 1".to_owned())
    }

    /// The column is this value.
    pub fn equals(self, column: &'static str, value: impl Into<Value<'static>>) -> Self {
        self.compare(column, "= ?", value)
    }

    /// The column's instant is before this one.
    pub fn before(self, column: &'static str, time: Time) -> Self {
        self.compare(column, "< ?", time.0)
    }

    /// The column's instant is this one, or before it.
    pub fn at_most(self, column: &'static str, time: Time) -> Self {
        self.compare(column, "<= ?", time.0)
    }

    /// The id comes after this one: the next page of a query that is ordered by `id`.
    pub fn after_id(self, id: &str) -> Self {
        self.compare("id", "> ?", id.to_owned())
    }

    /// The smallest of this column first. By `id` that is the oldest.
    pub fn order_by(self, column: &'static str) -> Self {
        Self { sort: Some(column), ..self }
    }

    fn compare(mut self, column: &'static str, comparison: &str, value: impl Into<Value<'static>>) -> Self {
        self.binds.push(value.into());
        self.and(column, comparison.to_owned())
    }

    fn and(mut self, column: &'static str, comparison: String) -> Self {
        self.conditions.push((column, comparison));
        self
    }

    /// The text that selects at most `limit` of them.
    fn sql<A: Stored>(&self, limit: usize) -> String {
        let mut sql = select::<A>();
        let mut joint = " WHERE ";
        for (column, comparison) in &self.conditions {
            sql += &format!("{joint}{} {comparison}", known::<A>(column));
            joint = " AND ";
        }
        if let Some(column) = self.sort {
            sql += &format!(" ORDER BY {}", known::<A>(column));
        }
        sql + &format!(" LIMIT {limit}")
    }
}

impl<A: Stored> Engine<A> {
    /// The aggregates that a query finds, at most `limit` of them.
    pub async fn find(&self, query: Query, limit: usize) -> Result<Vec<A>, Error> {
        let sql = query.sql::<A>(limit);
        self.select(move |connection| connection.query(&sql, &query.binds)).await
    }
}

/// A constant as SQL writes it.
fn quoted(constant: &'static str) -> String {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    debug_assert!(constant.bytes().all(is_name), "{constant:?} is not a constant: bind it as a value");
    format!("'{constant}'")
}

/// A column that the table has; in a release the database refuses another one.
fn known<A: Stored>(column: &'static str) -> &'static str {
    let is_known = column == "id" || A::TABLE.columns.iter().any(|known| known.name == column);
    debug_assert!(is_known, "{} has no column {column:?}", A::TABLE.name);
    column
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Aggregate, owner::Owner};

    #[derive(Clone)]
    struct Task {
        id: String,
        state: String,
        is_late: bool,
        due: Time,
    }

    impl Aggregate for Task {
        type Event = ();
        type Resource = ();

        fn id(&self) -> &str {
            &self.id
        }

        fn resource(&self) {}
    }

    crate::record! {
        Task(id: String) in "tasks" { state, is_late, due }
    }

    impl Stored for Task {
        const OWNERS: &'static [Owner<Self>] = &[];
    }

    fn text(query: &Query) -> String {
        let sql = query.sql::<Task>(7);
        sql.strip_prefix("SELECT id, version, last_event, state, is_late, due FROM tasks ")
            .expect("a select")
            .to_owned()
    }

    #[test]
    fn a_query_is_written_so_that_a_partial_index_can_serve_it() {
        let new = Query::new;
        for (query, sql) in [
            (new(), "LIMIT 7"),
            (new().is_set("is_late").order_by("id"), "WHERE is_late = 1 ORDER BY id LIMIT 7"),
            (
                new().is_any("state", &["OPEN", "VOIDING"]).before("due", Time(9)).order_by("due"),
                "WHERE state IN ('OPEN', 'VOIDING') AND due < ? ORDER BY due LIMIT 7",
            ),
            (
                new().is("state", "OPEN").at_most("due", Time(9)).order_by("due"),
                "WHERE state = 'OPEN' AND due <= ? ORDER BY due LIMIT 7",
            ),
            (
                new().equals("state", "x'; --".to_owned()).after_id("1").order_by("id"),
                "WHERE state = ? AND id > ? ORDER BY id LIMIT 7",
            ),
        ] {
            assert_eq!(text(&query), sql);
            assert_eq!(query.binds.len(), sql.matches('?').count(), "{sql}");
        }
    }

    #[test]
    #[should_panic(expected = "tasks has no column \"colour\"")]
    fn a_column_that_the_table_lacks_is_named() {
        text(&Query::new().is("colour", "RED"));
    }

    #[test]
    #[should_panic(expected = "tasks has no column \"age\"")]
    fn a_sort_column_that_the_table_lacks_is_named() {
        text(&Query::new().order_by("age"));
    }

    #[test]
    #[should_panic(expected = "is not a constant")]
    fn what_is_no_name_is_bound_and_not_written_into_the_text() {
        drop(Query::new().is("state", "x' OR 1 = 1"));
    }
}
