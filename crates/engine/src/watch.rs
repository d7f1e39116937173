//! Watch streams: the states of one aggregate as it changes.

use std::{sync::Arc, time::Duration};

use futures::{Stream, stream};
use jumun_core::{Error, reasons, time::timeout};
use tokio::sync::broadcast;

use crate::{Engine, Stored};

/// How often a watch stream reads the stored state, for changes by other processes.
const WATCH_POLL: Duration = Duration::from_secs(1);

/// Maximum number of concurrent watch streams per engine.
const MAX_WATCHERS: usize = 1000;
impl<A: Stored> Engine<A> {
    /// The current state and the state after each change, up to the first for which `is_last` holds. The stream ends if
    /// there is no such aggregate.
    pub fn watch(
        &self,
        id: &str,
        is_last: fn(&A) -> bool,
    ) -> Result<impl Stream<Item = Result<A, Error>> + Send + use<A>, Error> {
        if self.0.changes.receiver_count() >= MAX_WATCHERS {
            return Err(Error::new(&reasons::TOO_MANY_WATCHERS, "too many concurrent watch streams"));
        }
        let watch = Watch { engine: self.clone(), id: id.to_owned(), changes: self.changes(), seen: None, is_last };
        Ok(stream::unfold(Some(watch), |watch| async { watch?.next().await }))
    }
}

struct Watch<A: Stored> {
    engine: Engine<A>,
    id: String,
    changes: broadcast::Receiver<Arc<A>>,
    /// The state that was sent last.
    seen: Option<A>,
    is_last: fn(&A) -> bool,
}

impl<A: Stored> Watch<A> {
    async fn next(mut self) -> Option<(Result<A, Error>, Option<Self>)> {
        loop {
            let found = match self.seen {
                None => self.engine.get(&self.id).await,
                Some(_) => self.changed().await,
            };
            match found {
                Err(error) => return Some((Err(error), None)),
                Ok(None) => return None,
                Ok(Some(state)) => {
                    if self.seen.as_ref().map(A::to_row) != Some(state.to_row()) {
                        let is_last = (self.is_last)(&state);
                        self.seen = Some(state.clone());
                        return Some((Ok(state), (!is_last).then_some(self)));
                    }
                }
            }
        }
    }

    /// The next state that this process commits, or the stored state after WATCH_POLL.
    async fn changed(&mut self) -> Result<Option<A>, Error> {
        let change = timeout(WATCH_POLL, async {
            loop {
                match self.changes.recv().await {
                    Ok(state) if state.id() == self.id => return Some(state),
                    Ok(_) => {}
                    // Some changes were missed: the stored state includes them.
                    Err(_) => return None,
                }
            }
        });
        match change.await {
            Ok(Some(state)) => Ok(Some(A::clone(&state))),
            Ok(None) | Err(_) => self.engine.get(&self.id).await,
        }
    }
}
