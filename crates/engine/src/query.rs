//! Queries by column, for workers and policies. Only this module builds their SQL.
//!
//! Constants are written into the SQL, and values are bound. A planner uses a partial index only if the SQL implies the
//! index's condition, so a state or a flag in such a condition must be a constant.

use jumun_core::{Error, Time};

use crate::{Engine, Stored, row::select, storage::Value};

/// The conditions of a query; a result satisfies all of them.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The column of each condition, and the rest of its SQL.
    conditions: Vec<(&'static str, String)>,
    /// The bound values, in the order of the conditions.
    binds: Vec<Value<'static>>,
    sort: Option<&'static str>,
}

impl Query {
    /// A query for all aggregates.
    pub fn new() -> Self {
        Self::default()
    }

    /// The column equals this constant.
    pub fn is(self, column: &'static str, constant: &'static str) -> Self {
        self.and(column, format!("= {}", quoted(constant)))
    }

    /// The column equals one of these constants.
    pub fn is_any(self, column: &'static str, constants: &[&'static str]) -> Self {
        let constants: Vec<_> = constants.iter().copied().map(quoted).collect();
        self.and(column, format!("IN ({})", constants.join(", ")))
    }

    /// The column is a flag that is set.
    pub fn is_set(self, column: &'static str) -> Self {
        self.and(column, "= 1".to_owned())
    }

    /// The column equals this value.
    pub fn equals(self, column: &'static str, value: impl Into<Value<'static>>) -> Self {
        self.compare(column, "= ?", value)
    }

    /// The time in the column is before `time`.
    pub fn before(self, column: &'static str, time: Time) -> Self {
        self.compare(column, "< ?", time.0)
    }

    /// The time in the column is `time` or earlier.
    pub fn at_most(self, column: &'static str, time: Time) -> Self {
        self.compare(column, "<= ?", time.0)
    }

    /// The id is greater than this one: the next page of a query that is ordered by `id`.
    pub fn after_id(self, id: &str) -> Self {
        self.compare("id", "> ?", id.to_owned())
    }

    /// Sorts by this column, ascending. Sorting by `id` is sorting by time of creation.
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

    /// The SQL that selects at most `limit` aggregates.
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
    /// At most `limit` aggregates that match a query.
    pub async fn find(&self, query: Query, limit: usize) -> Result<Vec<A>, Error> {
        let sql = query.sql::<A>(limit);
        self.select(move |connection| connection.query(&sql, &query.binds)).await
    }
}

/// A constant as an SQL literal.
fn quoted(constant: &'static str) -> String {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    debug_assert!(constant.bytes().all(is_name), "{constant:?} is not a constant: bind it as a value");
    format!("'{constant}'")
}

/// A column of the table. Debug builds check it; in release builds the database rejects an unknown one.
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
    fn a_constant_that_is_no_name_is_rejected() {
        drop(Query::new().is("state", "x' OR 1 = 1"));
    }
}
