//! What a context declares about its aggregates: events, API resource, columns, owners and states.

use jumun_core::{Error, EventKind};

use crate::{
    deferred_index::DeferredIndex,
    owner::Owner,
    storage::{Field, Kind, Record, Row, StorageError, Value},
};

/// A consistency boundary (DDD): loaded, decided on and saved as a whole. Its rules are pure functions.
pub trait Aggregate: Clone + Send + Sync + 'static {
    /// The events that it emits: the message of `proto/jumun/<context>/v1/<context>_event.proto`.
    type Event: prost::Message + Default + EventKind;
    /// Its resource in the API.
    type Resource: prost::Message + Default;

    /// The id within the collection, e.g. the UUID of `things/{uuid}`.
    fn id(&self) -> &str;

    /// The current state as the resource of the API.
    fn resource(&self) -> Self::Resource;
}

/// An aggregate that the engine stores, in the columns that its [`crate::record!`] declares.
pub trait Stored: Aggregate + Record<Given = String> {
    /// The owners, who may see and change an aggregate: one line per role, e.g. `Owner::by(READER, "reader",
    /// |thing| &thing.reader)`. Operators and other contexts may see and change all aggregates.
    const OWNERS: &'static [Owner<Self>];

    /// The column whose index is written in bulk, if any. All other indexes are the database's own.
    const DEFERRED_INDEX: Option<DeferredIndex> = None;
}

/// The result of a rule.
#[derive(Debug)]
pub enum Decision<A: Aggregate> {
    /// The state is already as requested; nothing is written.
    Leave,
    /// The new state, and the events to emit with it.
    Save(A, Vec<A::Event>),
}

impl<A: Aggregate> Decision<A> {
    /// The new state, without events.
    pub fn save(state: A) -> Result<Self, Error> {
        Ok(Self::Save(state, Vec::new()))
    }

    /// The new state, and one event.
    pub fn announce(state: A, event: A::Event) -> Result<Self, Error> {
        Ok(Self::Save(state, vec![event]))
    }
}

/// A closed set of states, stored by name. [`crate::states!`] implements it.
pub trait StateName: Sized + Copy + 'static {
    /// Every state.
    const ALL: &'static [Self];

    /// The state's name in the contract.
    fn name(self) -> &'static str;

    /// Every state and its name.
    fn names() -> impl Iterator<Item = (Self, &'static str)> {
        Self::ALL.iter().map(|state| (*state, state.name()))
    }

    /// The state with this name.
    fn of_name(name: &str) -> Result<Self, StorageError> {
        let found = Self::names().find(|(_, of)| *of == name).map(|(state, _)| state);
        found.ok_or_else(|| StorageError::Unreadable(format!("unknown state {name:?}")))
    }
}

impl<S: StateName> Field for S {
    const KINDS: &'static [Kind] = &[Kind::Text];

    fn write<'a>(&'a self, row: &mut Vec<Value<'a>>) {
        row.push(self.name().into());
    }

    fn read(row: &mut Row) -> Result<Self, StorageError> {
        Self::of_name(&row.text()?)
    }
}

/// Declares a closed set of states, and implements [`StateName`].
///
/// States of a contract have the names of the contract's enum, and convert to it and to its number:
/// `states! { /// Whether it arrived. enum State: contract::message::State { Delivered, Withdrawn } }`. Each state must
/// be declared or excluded (`State, without Withdrawn { … }`); otherwise the code does not compile.
///
/// States that are not part of a contract declare their names: `enum ChargeState { Held = "HELD" }`.
#[macro_export]
macro_rules! states {
    (
        $(#[$meta:meta])*
        $vis:vis enum $states:ident: $contract:ty $(, without $($without:ident),+)? { $($state:ident),+ $(,)? }
    ) => {
        $crate::states!(@enum [$(#[$meta])*] $vis $states $($state)+);

        impl $crate::StateName for $states {
            const ALL: &'static [Self] = &[$(Self::$state),+];

            fn name(self) -> &'static str {
                <$contract>::from(self).as_str_name()
            }
        }

        impl From<$states> for $contract {
            fn from(state: $states) -> Self {
                match state {
                    $($states::$state => Self::$state,)+
                }
            }
        }

        impl From<$states> for i32 {
            fn from(state: $states) -> Self {
                <$contract>::from(state).into()
            }
        }

        const _: fn($contract) = |state| match state {
            <$contract>::Unspecified $($(| <$contract>::$without)+)? $(| <$contract>::$state)+ => {}
        };
    };
    (
        $(#[$meta:meta])*
        $vis:vis enum $states:ident { $($state:ident = $name:literal),+ $(,)? }
    ) => {
        $crate::states!(@enum [$(#[$meta])*] $vis $states $($state)+);

        impl $crate::StateName for $states {
            const ALL: &'static [Self] = &[$(Self::$state),+];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$state => $name,)+
                }
            }
        }
    };
    (@enum [$($meta:tt)*] $vis:vis $states:ident $($state:ident)+) => {
        $($meta)*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        $vis enum $states {
            $($state,)+
        }
    };
}
