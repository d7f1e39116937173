//! What goes along with a piece of work, wherever it goes: its deadline and its trace.

use std::time::{Duration, Instant};

use tracing::{Instrument, Span, instrument::Instrumented};

tokio::task_local! {
    static AMBIENT: Ambient;
}

/// What goes along with a request.
#[derive(Clone, Debug, Default)]
pub struct Ambient {
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// The caller's W3C trace context, where this process records no traces itself.
    pub traceparent: Option<String>,
}

impl Ambient {
    /// What goes along with the present task.
    pub fn current() -> Self {
        AMBIENT.try_with(Clone::clone).unwrap_or_default()
    }

    /// Runs a future with this going along.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        AMBIENT.scope(self, future).await
    }
}

/// How long the present work may still take; None: nobody set a bound.
pub fn remaining() -> Option<Duration> {
    Ambient::current().deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
}

/// Lets a future that another task will run keep the present deadline, trace and span.
pub fn carry<F: Future>(future: F) -> Instrumented<impl Future<Output = F::Output>> {
    Ambient::current().scope(future).instrument(Span::current())
}
