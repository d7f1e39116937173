//! A connection to either database, and dynamic SQL statements for diesel.

use std::borrow::Cow;

use diesel::{
    RunQueryDsl,
    backend::Backend,
    connection::SimpleConnection,
    deserialize::{self, FromSql, QueryableByName},
    pg::{Pg, PgConnection},
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    result::QueryResult,
    row::{Field, NamedRow},
    serialize::ToSql,
    sql_types::{Array, BigInt, Binary, HasSqlType, Nullable, Text, Untyped},
    sqlite::{Sqlite, SqliteConnection, SqliteType},
};

use super::StorageError;

/// IMMEDIATE takes SQLite's write lock at once: a later upgrade could fail with SQLITE_BUSY_SNAPSHOT.
const SQLITE_BEGIN: &str = "BEGIN IMMEDIATE";
/// The advisory lock is the one of the schema's history. Both in one statement: one round trip.
const POSTGRES_BEGIN_IN_TURN: &str = "BEGIN; SELECT pg_advisory_xact_lock('events'::regclass::bigint)";

/// An open connection.
pub enum Connection {
    /// A connection to a SQLite file.
    Sqlite(SqliteConnection),
    /// A connection to a PostgreSQL server.
    Postgres(PgConnection),
}

/// The value of a column or of a bind. Binds borrow from the aggregate that is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// Text.
    Text(Cow<'a, str>),
    /// A 64-bit integer.
    Int(i64),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// An array of texts; PostgreSQL only.
    Texts(Vec<Option<Cow<'a, str>>>),
    /// An array of integers; PostgreSQL only.
    Ints(Vec<Option<i64>>),
    /// An array of byte strings; PostgreSQL only.
    ByteStrings(Vec<Option<Cow<'a, [u8]>>>),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The values of one row, read from left to right.
#[derive(Debug)]
pub struct Row(std::vec::IntoIter<Value<'static>>);

impl Row {
    /// The next column's text.
    pub fn text(&mut self) -> Result<String, StorageError> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(text.into_owned()),
            other => Err(unexpected("text", &other)),
        }
    }

    /// The next column's integer.
    pub fn int(&mut self) -> Result<i64, StorageError> {
        match self.0.next() {
            Some(Value::Int(number)) => Ok(number),
            other => Err(unexpected("an integer", &other)),
        }
    }

    /// The next column's bytes.
    pub fn bytes(&mut self) -> Result<Vec<u8>, StorageError> {
        match self.0.next() {
            Some(Value::Bytes(bytes)) => Ok(bytes.into_owned()),
            other => Err(unexpected("bytes", &other)),
        }
    }

    /// Skips the next `columns` values if one of them is null; returns whether it did.
    pub(super) fn skip_null(&mut self, columns: usize) -> bool {
        let is_null = self.0.as_slice().iter().take(columns).any(|value| *value == Value::Null);
        if is_null {
            self.0.by_ref().take(columns).for_each(drop);
        }
        is_null
    }

    /// The next column's text; None if it is null.
    pub fn optional_text(&mut self) -> Result<Option<String>, StorageError> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(Some(text.into_owned())),
            Some(Value::Null) => Ok(None),
            other => Err(unexpected("text or null", &other)),
        }
    }

    /// The next column's integer; None if it is null.
    pub fn optional_int(&mut self) -> Result<Option<i64>, StorageError> {
        match self.0.next() {
            Some(Value::Int(number)) => Ok(Some(number)),
            Some(Value::Null) => Ok(None),
            other => Err(unexpected("an integer or null", &other)),
        }
    }
}

fn unexpected(wanted: &str, found: &Option<Value<'_>>) -> StorageError {
    StorageError::Unreadable(format!("expected {wanted}, found {found:?}"))
}

impl Connection {
    /// Runs a statement and returns the number of affected rows.
    pub fn execute(&mut self, sql: &str, binds: &[Value<'_>]) -> Result<usize, StorageError> {
        self.execute_split(&split(sql), binds)
    }

    /// Runs a statement whose text was split at its binds.
    pub(super) fn execute_split(&mut self, sql: &[&str], binds: &[Value<'_>]) -> Result<usize, StorageError> {
        let statement = Statement { sql, binds };
        match self {
            Self::Sqlite(connection) => statement.execute(connection).map_err(StorageError::of_sqlite),
            Self::Postgres(connection) => statement.execute(connection).map_err(StorageError::of_postgres),
        }
    }

    /// Runs a query and returns its rows.
    pub fn query(&mut self, sql: &str, binds: &[Value<'_>]) -> Result<Vec<Row>, StorageError> {
        let statement = Statement { sql: &split(sql), binds };
        match self {
            Self::Sqlite(connection) => statement.load(connection).map_err(StorageError::of_sqlite),
            Self::Postgres(connection) => statement.load(connection).map_err(StorageError::of_postgres),
        }
    }

    /// The rows whose text column is one of `ids`; `sql` is a query without WHERE.
    pub fn query_any(&mut self, sql: &str, column: &str, ids: &[&str]) -> Result<Vec<Row>, StorageError> {
        match self {
            Self::Postgres(_) => {
                let ids = ids.iter().map(|id| Some(Cow::Borrowed(*id))).collect();
                self.query(&format!("{sql} WHERE {column} = ANY(?)"), &[Value::Texts(ids)])
            }
            Self::Sqlite(_) => {
                // One query per id: SQLite would first write a list of ids to a temporary table.
                let mut rows = Vec::with_capacity(ids.len());
                let sql = format!("{sql} WHERE {column} = ?");
                for id in ids {
                    rows.append(&mut self.query(&sql, &[Value::from(*id)])?);
                }
                Ok(rows)
            }
        }
    }

    /// Runs several statements without binds.
    pub fn batch(&mut self, sql: &str) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(connection) => connection.batch_execute(sql).map_err(StorageError::of_sqlite),
            Self::Postgres(connection) => connection.batch_execute(sql).map_err(StorageError::of_postgres),
        }
    }

    /// Runs `work` in a write transaction: commits if it succeeds, and rolls back if it fails.
    pub fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let begin = if matches!(self, Self::Sqlite(_)) { SQLITE_BEGIN } else { "BEGIN" };
        self.transaction_after(begin, work)
    }

    /// The same for transactions that append to the history: they take turns, so that they commit in the sequence that
    /// they assign.
    pub(crate) fn transaction_in_turn<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let begin = if matches!(self, Self::Sqlite(_)) { SQLITE_BEGIN } else { POSTGRES_BEGIN_IN_TURN };
        self.transaction_after(begin, work)
    }

    fn transaction_after<T>(
        &mut self,
        begin: &str,
        work: impl FnOnce(&mut Self) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        if let Err(error) = self.batch(begin) {
            // The transaction may have begun without its lock.
            let _ = self.batch("ROLLBACK");
            return Err(error);
        }
        // A failed COMMIT may leave the transaction open, too.
        match work(self).and_then(|value| self.batch("COMMIT").map(|()| value)) {
            Ok(value) => Ok(value),
            Err(error) => {
                // If the rollback fails, too, the connection is unusable, and the first error says why.
                let _ = self.batch("ROLLBACK");
                Err(error)
            }
        }
    }
}

/// The pieces of a statement between its binds.
pub(super) fn split(sql: &str) -> Vec<&str> {
    sql.split('?').collect()
}

/// A statement in pieces, with binds between them. Its text is the key of diesel's cache of prepared statements.
struct Statement<'a> {
    sql: &'a [&'a str],
    binds: &'a [Value<'a>],
}

impl QueryId for Statement<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Statement<'_> {
    type SqlType = Untyped;
}

impl<C> RunQueryDsl<C> for Statement<'_> {}

impl Statement<'_> {
    /// Writes the text, and the binds of types that both databases have; `other` writes the other binds.
    fn walk<'b, DB>(
        &'b self,
        mut pass: AstPass<'_, 'b, DB>,
        other: impl Fn(&mut AstPass<'_, 'b, DB>, &'b Value<'b>) -> QueryResult<()>,
    ) -> QueryResult<()>
    where
        DB: Backend + HasSqlType<Text> + HasSqlType<BigInt> + HasSqlType<Binary>,
        str: ToSql<Text, DB>,
        i64: ToSql<BigInt, DB>,
        [u8]: ToSql<Binary, DB>,
        Option<String>: ToSql<Nullable<Text>, DB>,
    {
        let mut binds = self.binds.iter();
        let mut pieces = self.sql.iter();
        pass.push_sql(pieces.next().copied().unwrap_or_default());
        for piece in pieces {
            match binds.next() {
                Some(Value::Text(text)) => pass.push_bind_param::<Text, str>(text)?,
                Some(Value::Int(number)) => pass.push_bind_param::<BigInt, _>(number)?,
                Some(Value::Bytes(bytes)) => pass.push_bind_param::<Binary, [u8]>(bytes)?,
                // NULL is bound and not written into the text, so that the text does not depend on the values.
                Some(Value::Null) => pass.push_bind_param::<Nullable<Text>, Option<String>>(&None)?,
                Some(value) => other(&mut pass, value)?,
                None => return Err(diesel::result::Error::QueryBuilderError("a bind is missing".into())),
            }
            pass.push_sql(piece);
        }
        Ok(())
    }
}

impl QueryFragment<Sqlite> for Statement<'_> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.walk(pass, |_, _| Err(diesel::result::Error::QueryBuilderError("SQLite has no arrays".into())))
    }
}

impl QueryFragment<Pg> for Statement<'_> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.walk(pass, |pass, value| match value {
            Value::Texts(texts) => pass.push_bind_param::<Array<Nullable<Text>>, _>(texts),
            Value::Ints(numbers) => pass.push_bind_param::<Array<Nullable<BigInt>>, _>(numbers),
            Value::ByteStrings(strings) => pass.push_bind_param::<Array<Nullable<Binary>>, _>(strings),
            _ => Ok(()),
        })
    }
}

impl QueryableByName<Sqlite> for Row {
    fn build<'a>(row: &impl NamedRow<'a, Sqlite>) -> deserialize::Result<Self> {
        read_row(row, |field| {
            let Some(value) = field.value() else { return Ok(Value::Null) };
            Ok(match value.value_type() {
                None => Value::Null,
                Some(SqliteType::Text) => Value::from(<String as FromSql<Text, Sqlite>>::from_sql(value)?),
                Some(SqliteType::Binary) => Value::Bytes(<Vec<u8> as FromSql<Binary, Sqlite>>::from_sql(value)?.into()),
                Some(_) => Value::Int(FromSql::<BigInt, Sqlite>::from_sql(value)?),
            })
        })
    }
}

impl QueryableByName<Pg> for Row {
    fn build<'a>(row: &impl NamedRow<'a, Pg>) -> deserialize::Result<Self> {
        const BYTEA: u32 = 17;
        const INT8: u32 = 20;
        read_row(row, |field| {
            let Some(value) = field.value() else { return Ok(Value::Null) };
            Ok(match value.get_oid().get() {
                INT8 => Value::Int(FromSql::<BigInt, Pg>::from_sql(value)?),
                BYTEA => Value::Bytes(<Vec<u8> as FromSql<Binary, Pg>>::from_sql(value)?.into()),
                _ => Value::from(<String as FromSql<Text, Pg>>::from_sql(value)?),
            })
        })
    }
}

fn read_row<'a, DB: Backend, R: NamedRow<'a, DB>>(
    row: &R,
    read: impl Fn(R::Field<'_>) -> deserialize::Result<Value<'static>>,
) -> deserialize::Result<Row> {
    let values = (0..row.field_count())
        .map(|index| read(diesel::row::Row::get(row, index).ok_or("a column is missing")?))
        .collect::<deserialize::Result<Vec<_>>>()?;
    Ok(Row(values.into_iter()))
}
