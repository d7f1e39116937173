//! What a context tells the engine about its aggregates.

use jumun_core::{Error, EventKind};

use crate::{
    deferred_index::DeferredIndex,
    owner::Owner,
    storage::{Field, Kind, Record, Row, StorageError, Value},
};

/// One consistency boundary: loaded, decided upon and saved as a whole. Its rules are pure.
pub trait Aggregate: Clone + Send + Sync + 'static {
    /// What it announces: the message of `proto/jumun/<context>/v1/<context>_event.proto`.
    type Event: prost::Message + Default + EventKind;
    /// What a caller sees of it.
    type Resource: prost::Message + Default;

    /// The id within the collection, e.g. the UUID of `things/{uuid}`.
    fn id(&self) -> &str;

    /// What a caller sees of it now.
    fn resource(&self) -> Self::Resource;
}

/// How an aggregate is stored: by the columns of its [`crate::record!`].
pub trait Stored: Aggregate + Record<Given = String> {
    /// Who sees it and decides upon it, besides operators and other contexts, who see everything: a line for each role,
    /// e.g. `Owner::by(READER, "reader", |thing| &thing.reader)`.
    const OWNERS: &'static [Owner<Self>];

    /// The column by which lists go that has its index written late; the others' are the database's own.
    const DEFERRED_INDEX: Option<DeferredIndex> = None;
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

/// A closed set of states, stored by name. [`crate::states!`] implements it.
pub trait StateName: Sized + Copy + 'static {
    /// Every state.
    const ALL: &'static [Self];

    /// The state's name, as the contract writes it.
    fn name(self) -> &'static str;

    /// Every state and its name.
    fn names() -> impl Iterator<Item = (Self, &'static str)> {
        Self::ALL.iter().map(|state| (*state, state.name()))
    }

    /// The state of this name.
    fn of_name(name: &str) -> Result<Self, StorageError> {
        let found = Self::names().find(|(_, of)| *of == name).map(|(state, _)| state);
        found.ok_or_else(|| StorageError::Unreadable(format!("no state is called {name:?}")))
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
/// The states of a contract have its names, and convert to its enum and its number:
/// `states! { /// Whether it arrived. enum State: contract::message::State { Delivered, Withdrawn } }`. All of them are
/// declared, but for those that are left out by name (`State, without Withdrawn { … }`). One that is forgotten does not
/// compile.
///
/// States that no contract knows say their names themselves: `enum ChargeState { Held = "HELD" }`.
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
