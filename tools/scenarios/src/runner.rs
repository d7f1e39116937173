//! What the audience sees: scenes, and in them numbered steps: what is done, what came back, whether it holds.

use std::{
    fmt::Display,
    future::Future,
    io::Write,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use jumun_core::time::Instant;

/// What a step came to: a value for the steps after it, and what to tell of it.
pub(crate) type StepResult<T> = anyhow::Result<(T, String)>;

/// How a scene ended.
pub(crate) type Scene = Result<(), Broken>;

/// A step did not hold; the audience was told.
#[derive(Debug)]
pub(crate) struct Broken;

/// Tells the steps, and counts them.
pub(crate) struct ScenarioRunner {
    opened: Instant,
    steps: AtomicUsize,
    broken: AtomicUsize,
}

impl ScenarioRunner {
    pub(crate) fn new() -> Self {
        Self { opened: Instant::now(), steps: AtomicUsize::new(0), broken: AtomicUsize::new(0) }
    }

    /// Says which demo is played.
    pub(crate) fn open(&self, name: &str, about: &str) {
        tell(&format!("\n{name}: {about}"));
    }

    /// Plays a scene under its title.
    pub(crate) async fn scene(&self, title: &str, play: impl Future<Output = Scene>) {
        tell(&format!("\n{title}"));
        if play.await.is_err() {
            self.remark("What should have followed from this in the scene is left out.");
        }
    }

    /// Says something that is not a step.
    pub(crate) fn remark(&self, text: &str) {
        tell(&format!("        {text}"));
    }

    /// Does something, and tells how it went. Steps may be on their way at once; each is told when it is over.
    pub(crate) async fn step<T>(&self, what: &str, act: impl Future<Output = StepResult<T>>) -> Result<T, Broken> {
        let begun = Instant::now();
        match act.await {
            Ok((value, seen)) => {
                self.tell_step('✓', what, seen, begun.elapsed());
                Ok(value)
            }
            Err(error) => {
                self.broken.fetch_add(1, Relaxed);
                self.tell_step('✗', what, format!("{error:#}"), begun.elapsed());
                Err(Broken)
            }
        }
    }

    /// Sums up; fails when a step did not hold.
    pub(crate) fn close(&self) -> anyhow::Result<()> {
        let (steps, broken) = (self.steps.load(Relaxed), self.broken.load(Relaxed));
        tell(&format!("\n{} of {steps} steps hold ({}).", steps - broken, time(self.opened.elapsed())));
        anyhow::ensure!(broken == 0, "{broken} of {steps} steps did not hold");
        Ok(())
    }

    fn tell_step(&self, mark: char, what: &str, seen: impl Display, took: Duration) {
        let number = self.steps.fetch_add(1, Relaxed) + 1;
        tell(&format!("{mark} {number:>3}.  {what}\n        → {seen} ({})", time(took)));
    }
}

fn tell(text: &str) {
    // Nobody may be listening any more; the exit code still tells.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

fn time(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        format!("{} ms", took.as_millis())
    } else {
        format!("{:.1} s", took.as_secs_f64())
    }
}
