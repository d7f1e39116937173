//! What a context tells the engine about its aggregates.

use jumun_core::{Error, Money, Time};

use crate::{
    deferred_index::DeferredIndex,
    owner::Owner,
    storage::{Row, StorageError, Table, Value},
};

/// One consistency boundary: loaded, decided upon and saved as a whole. Its rules are pure.
pub trait Aggregate: Clone + Send + Sync + 'static {
    /// What it announces: the message of `proto/jumun/<context>/v1/<context>_event.proto`.
    type Event: prost::Message + Default;
    /// What a caller sees of it.
    type Resource: prost::Message + Default;

    /// The id within the collection, e.g. the UUID of `orders/{uuid}`.
    fn id(&self) -> &str;

    /// What a caller sees of it now.
    fn resource(&self) -> Self::Resource;

    /// The name of what an announcement says happened, e.g. "OrderPlaced".
    fn kind(event: &Self::Event) -> &'static str;
}

/// How an aggregate is stored.
pub trait Stored: Aggregate {
    /// Its table.
    const TABLE: Table;

    /// Who sees it and decides upon it, besides operators and other contexts, who see everything: a line for each role,
    /// e.g. `Owner::by(Role::Customer, "customer", |order| &order.customer)`.
    const OWNERS: &'static [Owner<Self>];

    /// The column by which lists go that has its index written late; the others' are the database's own.
    const DEFERRED_INDEX: Option<DeferredIndex> = None;

    /// The columns' values, in the table's order.
    fn to_row(&self) -> Vec<Value<'_>>;

    /// The aggregate with this id from the columns' values, in the table's order.
    fn from_row(id: String, row: &mut Row) -> Result<Self, StorageError>;
}

/// What a rule decided.
#[derive(Debug)]
pub enum Decision<A: Aggregate> {
    /// It is as asked already; nothing is written.
    Leave,
    /// The new state, and what is announced with it.
    Save(A, Vec<A::Event>),
}

impl<A: Aggregate> Decision<A> {
    /// The new state, with nothing to announce.
    pub fn save(state: A) -> Result<Self, Error> {
        Ok(Self::Save(state, Vec::new()))
    }

    /// The new state, and one announcement.
    pub fn announce(state: A, event: A::Event) -> Result<Self, Error> {
        Ok(Self::Save(state, vec![event]))
    }
}

/// A closed set of states, stored by name.
pub trait StateName: Sized + Copy + PartialEq + 'static {
    /// Every state and its name, as the proto enum writes it.
    const NAMES: &'static [(Self, &'static str)];

    /// The state's name.
    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    /// The state of this name.
    fn of_name(name: &str) -> Result<Self, StorageError> {
        Self::NAMES
            .iter()
            .find(|(_, of)| *of == name)
            .map(|(state, _)| *state)
            .ok_or_else(|| StorageError::Unreadable(format!("no state is called {name:?}")))
    }
}

impl Row {
    /// The next column's state.
    pub fn state<S: StateName>(&mut self) -> Result<S, StorageError> {
        S::of_name(&self.text()?)
    }

    /// The next column's instant.
    pub fn time(&mut self) -> Result<Time, StorageError> {
        self.int().map(Time)
    }

    /// The next two columns' amount: currency and minor units.
    pub fn money(&mut self) -> Result<Money, StorageError> {
        Money::new(&self.text()?, self.int()?).map_err(StorageError::Unreadable)
    }

    /// The next two columns' amount, or None when they are null.
    pub fn optional_money(&mut self) -> Result<Option<Money>, StorageError> {
        match (self.optional_text()?, self.optional_int()?) {
            (Some(currency), Some(minor)) => Money::new(&currency, minor).map(Some).map_err(StorageError::Unreadable),
            _ => Ok(None),
        }
    }

    /// The next column's JSON.
    pub fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, StorageError> {
        serde_json::from_str(&self.text()?).map_err(|error| StorageError::Unreadable(error.to_string()))
    }
}

/// A value as a column of JSON.
pub fn json_column<T: serde::Serialize>(value: &T) -> Value<'static> {
    serde_json::to_string(value).unwrap_or_default().into()
}
