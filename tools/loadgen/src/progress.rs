//! Progress on standard error.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io::{IsTerminal, Write},
    sync::atomic::Ordering::Relaxed,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use jumun_core::time::{Instant, interval};

use crate::load::Load;

const BAR_INTERVAL: Duration = Duration::from_millis(250);
/// The interval of progress lines.
pub(crate) const LINE_INTERVAL: Duration = Duration::from_secs(2);
/// What waits most is named; the rest is left out.
const NAMED: usize = 3;

/// Reports the progress of the load until it is dropped: by a bar, or by lines if standard error is not a terminal.
pub(crate) async fn show_load(name: &str, start: Instant, end: Instant, load: &Load) -> Infallible {
    let is_terminal = std::io::stderr().is_terminal();
    let bar = Bar(progress_bar(end - start));
    let mut ticks = interval(if is_terminal { BAR_INTERVAL } else { LINE_INTERVAL });
    ticks.tick().await;
    let (mut before, mut correct_before) = (start, 0);
    loop {
        ticks.tick().await;
        let (now, correct) = (Instant::now(), load.correct.load(Relaxed));
        let rate = (correct - correct_before) as f64 / (now - before).as_secs_f64();
        (before, correct_before) = (now, correct);
        let (refused, errors) = (load.refused.load(Relaxed), load.errors.load(Relaxed));
        let line = format!("{name}: {rate:.0} correct/s, {refused} refused, {errors} errors");
        if is_terminal {
            bar.0.set_position(u64::try_from((now - start).as_millis()).unwrap_or(u64::MAX));
            bar.0.set_message(line);
        } else {
            show(&line);
        }
    }
}

/// Reports what still waits after the load.
pub(crate) fn show_settling(left: &BTreeMap<String, u64>, since: Instant) {
    show(&format!("settling for {:.0} s: {}", since.elapsed().as_secs_f64(), waiting(left)));
}

/// What waits most, e.g. `jumun_consumer_lag store-on-order 12`.
pub(crate) fn waiting(left: &BTreeMap<String, u64>) -> String {
    let mut most: Vec<_> = left.iter().collect();
    most.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let mut names: Vec<_> = most.iter().take(NAMED).map(|(name, count)| format!("{name} {count}")).collect();
    match most.len() {
        0 => names.push("nothing waits".to_owned()),
        all if all > NAMED => names.push(format!("{} more", all - NAMED)),
        _ => {}
    }
    names.join(", ")
}

fn show(line: &str) {
    // Standard error may be closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Cleared when it is dropped.
struct Bar(ProgressBar);

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn progress_bar(length: Duration) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    // indicatif hides the bar if standard error is not a terminal.
    ProgressBar::new(u64::try_from(length.as_millis()).unwrap_or(u64::MAX)).with_style(style)
}
