//! A client that watches an order.

use std::time::Duration;

use anyhow::{Context, ensure};
use contracts::order::v1::{Order, WatchOrderRequest, order::State};
use jumun_core::{task::JoinSet, time::timeout};
use tonic::Streaming;

use crate::{clients::Clients, refusal::Refusal};

/// The maximum time until the stream sends a change, or ends.
const BOUND: Duration = Duration::from_secs(30);

/// An open stream; dropping it closes the stream.
pub(crate) struct Watching {
    page: JoinSet<anyhow::Result<Vec<State>>>,
}

impl Watching {
    /// Opens the stream and returns the first state.
    pub(crate) async fn open(clients: &Clients, order: &str) -> anyhow::Result<(Self, State)> {
        let mut changes = clients.watch_order(WatchOrderRequest { name: order.to_owned() }).await?;
        let first = timeout(BOUND, next(&mut changes)).await.context("the stream sends nothing")??;
        let first = first.context("the stream ended at once")?;
        let mut page = JoinSet::new();
        page.spawn(async move {
            let mut states = vec![first];
            while let Some(state) = next(&mut changes).await? {
                states.push(state);
            }
            Ok(states)
        });
        Ok((Self { page }, first))
    }

    /// Waits for the end of the stream and returns the states; fails if they are not in order or do not end with `last`.
    pub(crate) async fn close(mut self, last: State) -> anyhow::Result<Vec<State>> {
        let ended = timeout(BOUND, self.page.join_next()).await;
        let states = ended.context("the stream does not end")?.context("the watching task ended")???;
        let shown = show(&states);
        ensure!(states.is_sorted(), "expected states in their order, got {shown}");
        ensure!(states.last() == Some(&last), "expected {} at the end, got {shown}", last.as_str_name());
        Ok(states)
    }
}

/// The states as text, without repetitions: an order may change while its state does not.
pub(crate) fn show(states: &[State]) -> String {
    let mut names: Vec<_> = states.iter().map(State::as_str_name).collect();
    names.dedup();
    names.join(" → ")
}

async fn next(changes: &mut Streaming<Order>) -> Result<Option<State>, Box<Refusal>> {
    Ok(changes.message().await?.map(|order| order.state()))
}
