//! Every type of field, written and read by the columns that its record declares.

use super::*;
use crate::{
    StateName,
    storage::{Database, DatabaseUrl},
};

crate::states! {
    enum Light { Red = "RED", Green = "GREEN" }
}

#[derive(Debug, PartialEq)]
struct Sample {
    given: String,
    text: String,
    number: i64,
    small: i32,
    flag: bool,
    bytes: Vec<u8>,
    time: Time,
    price: Money,
    state: Light,
    list: Vec<String>,
    maybe_text: Option<String>,
    maybe_time: Option<Time>,
    maybe_price: Option<Money>,
    maybe_state: Option<Light>,
}

crate::record! {
    Sample(given: String) in "samples" {
        [loud = Sample::loud]
        text,
        number,
        small,
        flag,
        bytes,
        time,
        price as ("currency", "price"),
        state,
        list as json,
        maybe_text,
        maybe_time,
        maybe_price as ("maybe_currency", "maybe_price"),
        maybe_state as ("light"),
    }
}

impl Sample {
    fn loud(&self) -> String {
        self.text.to_uppercase()
    }
}

fn money(currency: &str, minor: i64) -> Money {
    Money::new(currency, minor).expect("a currency")
}

fn full() -> Sample {
    Sample {
        given: "given".to_owned(),
        text: "text".to_owned(),
        number: 1,
        small: -2,
        flag: true,
        bytes: vec![0, 255],
        time: Time(3),
        price: money("KRW", 4),
        state: Light::Green,
        list: vec!["a".to_owned(), "b".to_owned()],
        maybe_text: Some("maybe".to_owned()),
        maybe_time: Some(Time(5)),
        maybe_price: Some(money("EUR", 6)),
        maybe_state: Some(Light::Red),
    }
}

fn sparse() -> Sample {
    Sample { maybe_text: None, maybe_time: None, maybe_price: None, maybe_state: None, flag: false, ..full() }
}

/// The columns of [`Sample`], not in the sequence of the record.
const TABLE: &str = "CREATE TABLE samples (light TEXT, maybe_price BIGINT, maybe_currency TEXT, maybe_time BIGINT,
    maybe_text TEXT, list TEXT, state TEXT, price BIGINT, currency TEXT, time BIGINT, bytes BLOB, flag BIGINT,
    small BIGINT, number BIGINT, text TEXT, loud TEXT)";

fn database() -> Connection {
    let mut connection =
        Database::new("samples", DatabaseUrl::Sqlite(":memory:".into())).connect().expect("a database");
    connection.batch(TABLE).expect("a table");
    connection
}

#[test]
fn each_column_has_the_name_and_kind_that_follow_from_its_field() {
    let columns: Vec<_> = Sample::TABLE.columns.iter().map(|column| (column.name, column.kind)).collect();
    let expected = [
        ("loud", Kind::Text),
        ("text", Kind::Text),
        ("number", Kind::Int),
        ("small", Kind::Int),
        ("flag", Kind::Int),
        ("bytes", Kind::Bytes),
        ("time", Kind::Int),
        ("currency", Kind::Text),
        ("price", Kind::Int),
        ("state", Kind::Text),
        ("list", Kind::Text),
        ("maybe_text", Kind::Text),
        ("maybe_time", Kind::Int),
        ("maybe_currency", Kind::Text),
        ("maybe_price", Kind::Int),
        ("light", Kind::Text),
    ];
    assert_eq!(columns, expected);
}

#[test]
fn each_field_is_in_its_column_and_reads_back() {
    let mut connection = database();
    insert(&mut connection, &[full()]).expect("inserted");
    for (column, expected) in [
        ("loud", "TEXT"),
        ("text", "text"),
        ("number", "1"),
        ("small", "-2"),
        ("flag", "1"),
        ("hex(bytes)", "00FF"),
        ("time", "3"),
        ("currency", "KRW"),
        ("price", "4"),
        ("state", "GREEN"),
        ("list", "[\"a\",\"b\"]"),
        ("maybe_text", "maybe"),
        ("maybe_time", "5"),
        ("maybe_currency", "EUR"),
        ("maybe_price", "6"),
        ("light", "RED"),
    ] {
        let sql = format!("SELECT CAST({column} AS TEXT) FROM samples");
        let stored = connection.query(&sql, &[]).expect("a row").remove(0).text().expect("text");
        assert_eq!(stored, expected, "{column}");
    }
    for sample in [full(), sparse()] {
        connection.batch("DELETE FROM samples").expect("emptied");
        insert(&mut connection, std::slice::from_ref(&sample)).expect("inserted");
        let mut row = connection.query(&select::<Sample>(&[]), &[]).expect("a row").remove(0);
        assert_eq!(Sample::from_row("given".to_owned(), &mut row).expect("readable"), sample);
    }
}

#[test]
fn a_row_that_cannot_be_decoded_is_rejected() {
    for wrong in ["state = 'BLUE'", "currency = 'XXX'", "small = 5000000000", "list = '{'", "text = NULL", "time = 'a'"]
    {
        let mut connection = database();
        insert(&mut connection, &[full()]).expect("inserted");
        connection.batch(&format!("UPDATE samples SET {wrong}")).expect("updated");
        let mut row = connection.query(&select::<Sample>(&[]), &[]).expect("a row").remove(0);
        let read = Sample::from_row("given".to_owned(), &mut row);
        assert!(matches!(read, Err(StorageError::Unreadable(_))), "{wrong}: {read:?}");
    }
}

#[test]
fn a_state_has_one_name() {
    assert_eq!(Light::names().collect::<Vec<_>>(), [(Light::Red, "RED"), (Light::Green, "GREEN")]);
    assert_eq!(Light::of_name("GREEN").expect("a state"), Light::Green);
    assert!(Light::of_name("green").is_err());
}
