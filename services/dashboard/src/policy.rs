//! Updates views from the events of all contexts.

use std::{future::ready, sync::Arc};

use engine::Decision;
use eventing::{EventEffect, Policy};
use jumun_core::{Envelope, Error};

use crate::view::View;

/// Applies the events of any context, by the one rule [`View::fold`].
pub(crate) fn on_event<V: View>() -> Policy<V> {
    Arc::new(|message| Box::pin(ready(effect_of(&message))))
}

fn effect_of<V: View>(message: &Envelope) -> Result<EventEffect<V>, Error> {
    let Some(update) = V::read(message)? else { return Ok(EventEffect::Ignore) };
    Ok(EventEffect::decide(update.id.clone(), move |view| {
        let after = V::after(view, &update)?;
        if view == Some(&after) { Ok(Decision::Leave) } else { Decision::save(after) }
    }))
}
