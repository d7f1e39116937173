//! The output of scenarios: scenes with numbered steps, each with its result.

use std::{
    fmt::Display,
    future::Future,
    io::Write,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use jumun_core::time::Instant;

/// The result of a step: a value for later steps, and a description to print.
pub(crate) type StepResult<T> = anyhow::Result<(T, String)>;

/// The result of a scene.
pub(crate) type Scene = Result<(), StepFailed>;

/// A step failed; the failure was printed.
#[derive(Debug)]
pub(crate) struct StepFailed;

/// Runs the steps, prints their results and counts them.
pub(crate) struct ScenarioRunner {
    opened: Instant,
    steps: AtomicUsize,
    failed: AtomicUsize,
}

impl ScenarioRunner {
    pub(crate) fn new() -> Self {
        Self { opened: Instant::now(), steps: AtomicUsize::new(0), failed: AtomicUsize::new(0) }
    }

    /// Prints the name of the demo.
    pub(crate) fn open(&self, name: &str, about: &str) {
        print_line(&format!("\n{name}: {about}"));
    }

    /// Runs a scene under its title.
    pub(crate) async fn scene(&self, title: &str, play: impl Future<Output = Scene>) {
        print_line(&format!("\n{title}"));
        if play.await.is_err() {
            self.remark("The remaining steps of this scene are skipped.");
        }
    }

    /// Prints a remark that is not a step.
    pub(crate) fn remark(&self, text: &str) {
        print_line(&format!("        {text}"));
    }

    /// Runs a step and prints its result. Steps may run concurrently; each is printed when it ends.
    pub(crate) async fn step<T>(&self, what: &str, act: impl Future<Output = StepResult<T>>) -> Result<T, StepFailed> {
        let begun = Instant::now();
        match act.await {
            Ok((value, result)) => {
                self.print_step('✓', what, result, begun.elapsed());
                Ok(value)
            }
            Err(error) => {
                self.failed.fetch_add(1, Relaxed);
                self.print_step('✗', what, format!("{error:#}"), begun.elapsed());
                Err(StepFailed)
            }
        }
    }

    /// Prints the summary; fails if a step failed.
    pub(crate) fn close(&self) -> anyhow::Result<()> {
        let (steps, failed) = (self.steps.load(Relaxed), self.failed.load(Relaxed));
        print_line(&format!("\n{} of {steps} steps passed ({}).", steps - failed, time(self.opened.elapsed())));
        anyhow::ensure!(failed == 0, "{failed} of {steps} steps failed");
        Ok(())
    }

    fn print_step(&self, mark: char, what: &str, result: impl Display, took: Duration) {
        let number = self.steps.fetch_add(1, Relaxed) + 1;
        print_line(&format!("{mark} {number:>3}.  {what}\n        → {result} ({})", time(took)));
    }
}

fn print_line(text: &str) {
    // Standard output may be closed; the exit code still reports the result.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

fn time(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        format!("{} ms", took.as_millis())
    } else {
        format!("{:.1} s", took.as_secs_f64())
    }
}
