//! The result, as text and as JSON.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use anyhow::bail;
use hdrhistogram::{Counter, Histogram};
use serde_json::{Value, json};

use crate::{
    ages::Ages,
    args::{BenchArgs, Instance},
    measure::{Run, Settled, Whole},
    mix::Call,
    progress,
    tally::Tally,
};

const MAX_ERROR_SHARE: f64 = 0.01;
/// The latency quantiles in the table and in the JSON output.
const QUANTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];
const LAG_QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("max", 1.0)];
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// All measurements of one command.
pub(crate) struct Report<'a> {
    pub(crate) args: &'a BenchArgs,
    pub(crate) instance: &'a Instance,
    pub(crate) metrics: &'a [String],
    pub(crate) runs: Vec<Run>,
}

impl Report<'_> {
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{:<12} {:>11} {:>8}", "method", "correct/s", "to echo");
        for (name, _) in QUANTILES {
            let _ = write!(text, " {:>9}", format!("{name} ms"));
        }
        let _ = writeln!(text, " {:>9} {:>9}", "refused", "errors");
        for run in &self.runs {
            let ratio = self.ratio_to_echo(run).map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            text.push_str(&row(run.name, run.rate(&run.total), &ratio, &run.total));
            if run.tallies.0.len() > 1 {
                for (call, tally) in &run.tallies.0 {
                    text.push_str(&row(&format!("  {}", call.name()), run.rate(tally), "-", tally));
                }
            }
            text.push_str(&reasons(&run.total));
        }
        for run in &self.runs {
            text.push_str(&details(run));
        }
        text
    }

    /// A JSON object in one line. Each key is always there; what was not measured is null.
    pub(crate) fn json(&self) -> String {
        let args = self.args;
        let runs: Vec<_> = self.runs.iter().map(|run| self.run_json(run)).collect();
        let object = json!({
            "address": self.instance.order,
            "callers": args.rate.is_none().then_some(args.callers),
            "connections": args.connections,
            "rate": args.rate,
            "max_in_flight": args.rate.map(|_| args.max_in_flight),
            "metrics_addresses": self.metrics,
            "runs": runs,
        });
        format!("{object}\n")
    }

    fn run_json(&self, run: &Run) -> Value {
        let methods = run.tallies.0.iter().map(|(call, tally)| (call.name(), calls_json(run, tally)));
        let mut object = json!({
            "method": run.name,
            "measured_seconds": run.measured.as_secs_f64(),
            "ratio_to_echo": self.ratio_to_echo(run),
            "not_started": run.not_started,
            "methods": methods.collect::<BTreeMap<_, _>>(),
            "whole": whole_json(&run.whole),
            "settled": run.settled.as_ref().map(|settled| settled_json(run, settled)),
            "order_age": run.ages.as_ref().map(ages_json),
        });
        if let (Value::Object(object), Value::Object(total)) = (&mut object, calls_json(run, &run.total)) {
            object.extend(total);
        }
        object
    }

    /// The rate that methods are compared with is the mean of the echo runs, if there are any.
    fn ratio_to_echo(&self, run: &Run) -> Option<f64> {
        let echo = self.runs.iter().filter(|run| run.name == Call::Echo.name());
        let rates: Vec<f64> = echo.map(|run| run.rate(&run.total)).collect();
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        (self.args.rate.is_none() && mean > 0.0).then(|| run.rate(&run.total) / mean)
    }
}

impl Run {
    /// Correct responses per second.
    fn rate(&self, tally: &Tally) -> f64 {
        per_second(tally.in_time, self.measured)
    }

    /// Accepted orders per second of the measured time.
    fn accepted(&self) -> f64 {
        self.tallies.0.get(&Call::CreateOrder).map_or(0.0, |tally| self.rate(tally))
    }

    /// Fails if there are too many errors, or if not everything was carried on.
    pub(crate) fn judge(&self) -> anyhow::Result<()> {
        let (name, correct, errors) = (self.name, self.total.latencies.len(), self.total.errors());
        if correct == 0 {
            bail!("{name}: no correct response");
        }
        let share = errors as f64 / (correct + errors) as f64;
        if share > MAX_ERROR_SHARE {
            bail!("{name}: {:.1} % were errors", share * 100.0);
        }
        match &self.settled {
            Some(Settled { after: None, waiting, .. }) => bail!("{name}: not settled: {}", progress::waiting(waiting)),
            Some(settled) if settled.dead_letters > 0 => bail!("{name}: {} dead letters", settled.dead_letters),
            _ => Ok(()),
        }
    }
}

impl Whole {
    /// Orders that were carried on per second of load and settling.
    fn carried(&self) -> f64 {
        per_second(self.orders, self.lasted)
    }

    fn peak(&self) -> Option<u64> {
        (!self.processes.is_empty()).then(|| self.processes.iter().map(|process| process.peak).sum())
    }

    fn cpu_micros_per_call(&self) -> Option<f64> {
        let cpu: Duration = self.processes.iter().map(|process| process.cpu).sum();
        (!self.processes.is_empty() && self.calls > 0).then(|| cpu.as_secs_f64() * 1e6 / self.calls as f64)
    }

    fn bytes_per_call(&self) -> Option<f64> {
        self.stored_bytes.filter(|_| self.calls > 0).map(|bytes| bytes as f64 / self.calls as f64)
    }
}

fn per_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}

/// Quantiles of a histogram of microseconds, in milliseconds.
fn millis<C: Counter>(times: &Histogram<C>) -> impl Iterator<Item = (&'static str, f64)> {
    QUANTILES.iter().map(|(name, quantile)| (*name, times.value_at_quantile(*quantile) as f64 / 1e3))
}

fn row(name: &str, rate: f64, ratio: &str, tally: &Tally) -> String {
    let mut row = format!("{name:<14} {rate:>9.0} {ratio:>8}");
    for (_, latency) in millis(&tally.latencies) {
        let _ = write!(row, " {latency:>9.2}");
    }
    let _ = writeln!(row, " {:>9} {:>9}", tally.refusals(), tally.errors());
    row
}

fn reasons(tally: &Tally) -> String {
    let mut text = String::new();
    for (error, count) in &tally.errors {
        let _ = writeln!(text, "{count:>12} × {error}");
    }
    for (reason, count) in &tally.refusals {
        let _ = writeln!(text, "{count:>12} × refused: {reason}");
    }
    if tally.refusals() > 0 {
        let _ = writeln!(text, "{:>12} of the refusals with RetryInfo", tally.refusals_with_retry_info);
    }
    text
}

fn details(run: &Run) -> String {
    let mut text = String::new();
    if let Some(not_started) = run.not_started {
        let _ = writeln!(text, "{}: {not_started} calls could not be started", run.name);
    }
    if let Some(settled) = &run.settled {
        text.push_str(&settled_text(run, settled));
    }
    if let Some(ages) = &run.ages {
        let _ = write!(text, "{}: age of an order when its store sees it:", run.name);
        for (name, age) in millis(&ages.ages).filter(|(name, _)| is_shown(name)) {
            let _ = write!(text, " {name} {age:.1} ms,");
        }
        let _ = writeln!(text, " of {} probes, {} of them never seen within 30 s", ages.placed, ages.never_seen);
        let lost =
            [(ages.refused, "refused"), (ages.errors.values().sum(), "failed"), (ages.not_started, "not started")];
        for (count, what) in lost.into_iter().filter(|(count, _)| *count > 0) {
            let _ = writeln!(text, "{count:>12} probes were {what}");
        }
        for (error, count) in &ages.errors {
            let _ = writeln!(text, "{count:>12} × {error}");
        }
    }
    let whole = &run.whole;
    if let (Some(peak), Some(cpu)) = (whole.peak(), whole.cpu_micros_per_call()) {
        let (name, peak) = (run.name, peak as f64 / MEBIBYTE);
        let _ = writeln!(text, "{name}: {peak:.0} MiB of memory at most, {cpu:.0} µs of processor time per call");
    }
    if let Some(bytes) = whole.bytes_per_call().filter(|bytes| *bytes > 0.0) {
        let _ = writeln!(text, "{}: {bytes:.0} bytes stored per call", run.name);
    }
    text
}

fn is_shown(quantile: &str) -> bool {
    LAG_QUANTILES.iter().any(|(name, _)| *name == quantile)
}

fn settled_text(run: &Run, settled: &Settled) -> String {
    let (name, accepted, whole) = (run.name, run.accepted(), &run.whole);
    let mut text = match settled.after {
        Some(after) => format!(
            "{name}: carried on {:.0} orders/s ({} in {:.1} s), accepted {accepted:.0}/s, settled {:.1} s after the load\n",
            whole.carried(),
            whole.orders,
            whole.lasted.as_secs_f64(),
            after.as_secs_f64(),
        ),
        None => format!("{name}: NOT SETTLED, accepted {accepted:.0}/s: {}\n", progress::waiting(&settled.waiting)),
    };
    if settled.dead_letters > 0 {
        let _ = writeln!(text, "{:>12} events became dead letters", settled.dead_letters);
    }
    let lags: Vec<_> = settled.lags.iter().filter(|(_, lags)| lags.max() > 0).collect();
    if !lags.is_empty() {
        let _ = writeln!(text, "{:<40} {:>9} {:>9} {:>9}", "  lag in events", "p50", "p99", "max");
    }
    for (consumer, lags) in lags {
        let _ = write!(text, "  {consumer:<38}");
        for (_, quantile) in LAG_QUANTILES {
            let _ = write!(text, " {:>9}", lags.value_at_quantile(quantile));
        }
        text.push('\n');
    }
    text
}

fn calls_json(run: &Run, tally: &Tally) -> Value {
    json!({
        "correct": tally.in_time,
        "correct_per_second": run.rate(tally),
        "latency_ms": millis(&tally.latencies).collect::<BTreeMap<_, _>>(),
        "errors": tally.errors,
        "refused": {
            "count": tally.refusals(),
            "with_retry_info": tally.refusals_with_retry_info,
            "reasons": tally.refusals,
        },
    })
}

fn whole_json(whole: &Whole) -> Value {
    let processes = whole.processes.iter().map(
        |process| json!({"pid": process.pid, "peak_rss_bytes": process.peak, "cpu_seconds": process.cpu.as_secs_f64()}),
    );
    json!({
        "seconds": whole.lasted.as_secs_f64(),
        "calls": whole.calls,
        "orders": whole.orders,
        "processes": processes.collect::<Vec<_>>(),
        "peak_rss_bytes": whole.peak(),
        "cpu_us_per_call": whole.cpu_micros_per_call(),
        "stored_bytes": whole.stored_bytes,
        "stored_bytes_per_call": whole.bytes_per_call(),
    })
}

fn settled_json(run: &Run, settled: &Settled) -> Value {
    let lag = |lags: &Histogram<u64>| -> BTreeMap<_, _> {
        LAG_QUANTILES.iter().map(|(name, quantile)| (*name, lags.value_at_quantile(*quantile))).collect()
    };
    let lags = settled.lags.iter().map(|(consumer, lags)| (consumer, lag(lags)));
    json!({
        "is_settled": settled.after.is_some(),
        "settle_seconds": settled.after.map(|after| after.as_secs_f64()),
        "accepted_per_second": run.accepted(),
        "carried_per_second": settled.after.map(|_| run.whole.carried()),
        "waiting": settled.waiting,
        "dead_letters": settled.dead_letters,
        "lag_events": lags.collect::<BTreeMap<_, _>>(),
        "samples": settled.lags.values().map(Histogram::len).max().unwrap_or_default(),
        "failed_samples": settled.failed_samples,
    })
}

fn ages_json(ages: &Ages) -> Value {
    let quantiles = millis(&ages.ages).filter(|(name, _)| is_shown(name));
    json!({
        "ms": quantiles.collect::<BTreeMap<_, _>>(),
        "placed": ages.placed,
        "seen": ages.ages.len(),
        "never_seen": ages.never_seen,
        "refused": ages.refused,
        "errors": ages.errors,
        "not_started": ages.not_started,
    })
}
