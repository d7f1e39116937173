//! Whenever a context announces something about what a view shows, the view follows.

use std::{future::ready, sync::Arc};

use engine::Decision;
use eventing::{EventEffect, Policy};
use jumun_core::{Envelope, Error};

use crate::view::View;

/// What any context's announcement does to a view. One rule for all of them: what [`View::fold`] gives.
pub(crate) fn on_event<V: View>() -> Policy<V> {
    Arc::new(|message| Box::pin(ready(react(&message))))
}

fn react<V: View>(message: &Envelope) -> Result<EventEffect<V>, Error> {
    let Some(happening) = V::read(message)? else { return Ok(EventEffect::Ignore) };
    Ok(EventEffect::decide(happening.id.clone(), move |view| {
        let after = V::after(view, &happening)?;
        if view == Some(&after) { Ok(Decision::Leave) } else { Decision::save(after) }
    }))
}
