//! Whenever a context announces something about an order, the order's view follows.

use std::{future::ready, sync::Arc};

use kit::{Decision, Error, Message, Policy, Reaction};

use crate::{domain::OrderView, event::Happening};

/// What any context's announcement does to a view. One rule for all of them: what [`OrderView::fold`] gives.
pub(crate) fn on_event() -> Policy<OrderView> {
    Arc::new(|message| Box::pin(ready(react(&message))))
}

fn react(message: &Message) -> Result<Reaction<OrderView>, Error> {
    let Some(happening) = Happening::read(message)? else { return Ok(Reaction::Ignore) };
    Ok(Reaction::decide(happening.order.clone(), move |view| {
        let after = OrderView::after(view, &happening)?;
        if view == Some(&after) { Ok(Decision::Leave) } else { Decision::save(after) }
    }))
}
