//! Maps structs to columns: one list per record, from which the table, writing and reading follow.

use serde::{Serialize, de::DeserializeOwned};

use super::{Column, Connection, Kind, Row, StorageError, Table, Value, insert_rows, update_rows};
use jumun_core::{Money, Time};

/// A struct that is stored as a row; implemented by [`crate::record!`].
pub trait Record: Sized {
    /// Its table.
    const TABLE: Table;

    /// Values that are not in the list of columns and are passed in when a row is read: for an aggregate its id, which
    /// the engine stores.
    type Given;

    /// The values of the columns, in the table's order.
    fn to_row(&self) -> Vec<Value<'_>>;

    /// Reads the struct from the values of the columns, in the table's order.
    fn from_row(given: Self::Given, row: &mut Row) -> Result<Self, StorageError>;
}

/// A type that is stored in one or more columns. `How` separates the implementation for JSON from those for single
/// types.
pub trait Field<How = ()>: Sized {
    /// The kinds of its columns.
    const KINDS: &'static [Kind];

    /// Appends its values, borrowed.
    fn write<'a>(&'a self, row: &mut Vec<Value<'a>>);

    /// Reads its values.
    fn read(row: &mut Row) -> Result<Self, StorageError>;
}

/// Stores any type that implements serde's traits in one column, as JSON.
#[derive(Debug)]
pub struct Json;

/// Declares the columns of a struct, each once, and implements [`Record`].
///
/// ```
/// struct Thing {
///     id: String,
///     reader: String,
///     items: Vec<String>,
///     total: jumun_core::Money,
/// }
///
/// engine::record! {
///     // The fields in parentheses are not written; they are passed in when a row is read.
///     Thing(id: String) in "things" {
///         // A column with the field's name.
///         reader,
///         // Any type that implements serde's traits.
///         items as json,
///         // A type with several columns, or a column with another name.
///         total as ("currency", "total"),
///     }
/// }
/// ```
///
/// `[item = Thing::item]` before the fields declares a derived column, which is written for use in conditions and
/// not read. A missing or misspelt field does not compile, nor does a field with fewer columns than its type needs:
///
/// ```compile_fail
/// struct Thing {
///     total: jumun_core::Money,
/// }
///
/// engine::record! {
///     Thing in "things" { total }
/// }
/// const COLUMNS: usize = <Thing as engine::storage::Record>::TABLE.columns.len();
/// ```
#[macro_export]
macro_rules! record {
    (
        $record:ident $(($($given:ident: $given_type:ty),+))? in $table:literal {
            $([$derived:ident = $of:path])*
            $($field:ident $(as $how:tt)?),+ $(,)?
        }
    ) => {
        impl $crate::storage::Record for $record {
            const TABLE: $crate::storage::Table = {
                const FIELDS: &[$crate::storage::Columns] = &[
                    $((&[stringify!($derived)], <String as $crate::storage::Field>::KINDS),)*
                    $((
                        $crate::record!(@names $field $($how)?),
                        $crate::storage::kinds::<_, _, $crate::record!(@how $($how)?)>(|record: &$record| &record.$field),
                    ),)+
                ];
                const COLUMNS: [$crate::storage::Column; $crate::storage::count(FIELDS)] =
                    $crate::storage::columns(FIELDS);
                $crate::storage::Table { name: $table, columns: &COLUMNS }
            };

            type Given = $crate::record!(@given_type $($($given_type),+)?);

            fn to_row(&self) -> Vec<$crate::storage::Value<'_>> {
                let mut row = Vec::with_capacity(Self::TABLE.columns.len());
                $(row.push($of(self).into());)*
                $($crate::storage::Field::<$crate::record!(@how $($how)?)>::write(&self.$field, &mut row);)+
                row
            }

            fn from_row(
                $crate::record!(@given $($($given),+)?): Self::Given,
                row: &mut $crate::storage::Row,
            ) -> Result<Self, $crate::storage::StorageError> {
                $(let _ = (stringify!($derived), row.text()?);)*
                Ok(Self {
                    $($($given,)+)?
                    $($field: $crate::storage::Field::<$crate::record!(@how $($how)?)>::read(row)?,)+
                })
            }
        }
    };
    (@names $field:ident ($($column:literal),+)) => { &[$($column),+] };
    (@names $field:ident $(json)?) => { &[stringify!($field)] };
    (@how json) => { $crate::storage::Json };
    (@how $(($($column:literal),+))?) => { () };
    (@given) => { () };
    (@given $given:ident) => { $given };
    (@given $($given:ident),+) => { ($($given),+) };
    (@given_type) => { () };
    (@given_type $given:ty) => { $given };
    (@given_type $($given:ty),+) => { ($($given),+) };
}

/// The names and kinds of one field's columns.
pub type Columns = (&'static [&'static str], &'static [Kind]);

/// The kinds of a field's columns.
#[doc(hidden)]
pub const fn kinds<R, F: Field<How>, How>(_: fn(&R) -> &F) -> &'static [Kind] {
    F::KINDS
}

/// The number of columns of the fields.
#[doc(hidden)]
pub const fn count(fields: &[Columns]) -> usize {
    let (mut count, mut field) = (0, 0);
    while field < fields.len() {
        count += fields[field].0.len();
        field += 1;
    }
    count
}

/// The columns of the fields; a field with more or fewer names than kinds does not compile.
#[doc(hidden)]
pub const fn columns<const N: usize>(fields: &[Columns]) -> [Column; N] {
    let mut columns = [Column { name: "", kind: Kind::Text }; N];
    let (mut at, mut field) = (0, 0);
    while field < fields.len() {
        let (names, kinds) = fields[field];
        assert!(names.len() == kinds.len(), "a field needs one name for each column of its type");
        let mut index = 0;
        while index < names.len() {
            columns[at] = Column { name: names[index], kind: kinds[index] };
            at += 1;
            index += 1;
        }
        field += 1;
    }
    columns
}

/// `SELECT <given>, <columns> FROM <table>`; [`Record::from_row`] reads what follows the given columns.
pub fn select<R: Record>(given: &[&str]) -> String {
    let names = given.iter().copied().chain(R::TABLE.columns.iter().map(|column| column.name));
    format!("SELECT {} FROM {}", names.collect::<Vec<_>>().join(", "), R::TABLE.name)
}

/// Inserts records; fails as stale if a key already exists.
pub(crate) fn insert<R: Record>(connection: &mut Connection, records: &[R]) -> Result<usize, StorageError> {
    let columns: Vec<_> = R::TABLE.columns.iter().collect();
    insert_rows(connection, R::TABLE.name, &columns, records.iter().map(R::to_row).collect())
}

/// Updates records whose stored version is the previous one; their first columns are id and version. Returns the number
/// of updated records, which is smaller if another writer was faster.
pub(crate) fn update<R: Record>(connection: &mut Connection, records: &[R]) -> Result<usize, StorageError> {
    let columns: Vec<_> = R::TABLE.columns.iter().collect();
    update_rows(connection, R::TABLE.name, &columns, records.iter().map(R::to_row).collect())
}

impl Field for String {
    const KINDS: &'static [Kind] = &[Kind::Text];

    fn write<'a>(&'a self, row: &mut Vec<Value<'a>>) {
        row.push(self.as_str().into());
    }

    fn read(row: &mut Row) -> Result<Self, StorageError> {
        row.text()
    }
}

impl Field for i64 {
    const KINDS: &'static [Kind] = &[Kind::Int];

    fn write<'a>(&'a self, row: &mut Vec<Value<'a>>) {
        row.push((*self).into());
    }

    fn read(row: &mut Row) -> Result<Self, StorageError> {
        row.int()
    }
}

impl Field for i32 {
    const KINDS: &'static [Kind] = &[Kind::Int];

    fn write<'a>(&'a self, row: &mut Vec<Value<'a>>) {
        row.push(i64::from(*self).into());
    }

    fn read(row: &mut Row) -> Result<Self, StorageError> {
        row.int()?.try_into().map_err(unreadable)
    }
}

/// 0 or 1.
impl Field for bool {
    const KINDS: &'static [Kind] = &[Kind::Int];

    fn write<'a>(&'a self, row: &mut Vec<Value<'a>>) {
        row.push(i64::from(*self).into());
    }

    fn read(row: &mut Row) -> Result<Self, StorageError> {
        Ok(row.int()? != 0)
    }
}

impl Field for Vec<u8> {
    const KINDS: &'static [Kind] = &[Kind::Bytes];

    fn write<'a>(&'a self, row: &mut Vec<Value<'a>>) {
        row.push(self.as_slice().into());
    }

    fn read(row: &mut Row) -> Result<Self, StorageError> {
        row.bytes()
    }
}

/// Microseconds since the Unix epoch.
impl Field for Time {
    const KINDS: &'static [Kind] = &[Kind::Int];

    fn write<'a>(&'a self, row: &mut Vec<Value<'a>>) {
        row.push(self.0.into());
    }

    fn read(row: &mut Row) -> Result<Self, StorageError> {
        row.int().map(Self)
    }
}

/// Two columns: the currency and its minor units.
impl Field for Money {
    const KINDS: &'static [Kind] = &[Kind::Text, Kind::Int];

    fn write<'a>(&'a self, row: &mut Vec<Value<'a>>) {
        row.extend([self.currency().into(), self.minor().into()]);
    }

    fn read(row: &mut Row) -> Result<Self, StorageError> {
        Self::new(&row.text()?, row.int()?).map_err(StorageError::Unreadable)
    }
}

/// None is NULL in every column.
impl<F: Field> Field for Option<F> {
    const KINDS: &'static [Kind] = F::KINDS;

    fn write<'a>(&'a self, row: &mut Vec<Value<'a>>) {
        match self {
            Some(field) => field.write(row),
            None => row.extend(F::KINDS.iter().map(|_| Value::Null)),
        }
    }

    fn read(row: &mut Row) -> Result<Self, StorageError> {
        if row.skip_null(F::KINDS.len()) { Ok(None) } else { F::read(row).map(Some) }
    }
}

impl<T: Serialize + DeserializeOwned> Field<Json> for T {
    const KINDS: &'static [Kind] = &[Kind::Text];

    fn write<'a>(&'a self, row: &mut Vec<Value<'a>>) {
        row.push(json_column(self));
    }

    fn read(row: &mut Row) -> Result<Self, StorageError> {
        row.json()
    }
}

impl Row {
    /// The next column, parsed as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&mut self) -> Result<T, StorageError> {
        serde_json::from_str(&self.text()?).map_err(unreadable)
    }
}

/// A value as JSON text.
pub(crate) fn json_column<T: Serialize>(value: &T) -> Value<'static> {
    serde_json::to_string(value).unwrap_or_default().into()
}

fn unreadable(error: impl std::fmt::Display) -> StorageError {
    StorageError::Unreadable(error.to_string())
}

#[cfg(test)]
mod tests;
