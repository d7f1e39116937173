//! `jumun bench`: load on a running instance over gRPC, compared with an empty method on the same connections.
//!
//! The loop is closed: each caller sends its next request after the previous response. Only correct responses count.
//! Throughput counts the responses within the measured time. Latencies and errors include the calls in progress when it
//! ends; otherwise a server that stalls at the end would look better than it is.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt::Write as _,
    future::{Future, pending},
    io::{IsTerminal, Write},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use client::{AuthenticatedChannel, Connector, code_name};
use contracts::{
    Money,
    bench::v1::{EchoRequest, bench_service_client::BenchServiceClient},
    order::v1::{
        CreateOrderRequest, Order,
        order::{Item, State},
        order_service_client::OrderServiceClient,
    },
};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use jumun_core::{
    name::new_id,
    task::JoinSet,
    time::{Instant, interval, sleep, sleep_until},
};
use serde_json::json;
use tokio::sync::Notify;
use tonic::{Request, Status};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause of a caller after an error, so that callers do not spin while the server is unavailable.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(20);
const MAX_ERROR_SHARE: f64 = 0.01;
/// The maximum latency that is recorded; the deadline ends calls earlier.
const MAX_LATENCY_US: u64 = 10_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;
/// The latency quantiles in the table and in the JSON output.
const QUANTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];
const BAR_INTERVAL: Duration = Duration::from_millis(250);
/// The interval of progress lines if standard error is not a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(2);
/// The limit of the histograms, which count in 32 bits.
const MAX_REQUESTS: u64 = 1_000_000_000;
const CUSTOMERS: u64 = 1000;
const STORES: u64 = 100;

/// Arguments of `jumun bench`.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArgs {
    /// Number of concurrent callers; each sends its next request after the previous response
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=4096))]
    callers: u64,
    /// Number of connections that the callers share
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=256))]
    connections: u64,
    /// Duration of each measurement in seconds
    #[arg(long, default_value_t = 10, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Warm-up before each measurement in seconds
    #[arg(long, default_value_t = 2, value_name = "S", value_parser = clap::value_parser!(u64).range(0..=600))]
    warm_up_seconds: u64,
    /// Method to measure; `both` measures echo, create-order and echo again, to average out noise
    #[arg(long, value_enum, default_value_t = Method::Both)]
    method: Method,
    /// Payment token of the orders
    #[arg(long, default_value = "tok_visa", value_name = "TOKEN")]
    payment_method: String,
    /// Print a JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Maximum number of requests per measurement
    #[arg(long, default_value_t = 5_000_000, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=MAX_REQUESTS))]
    max_requests: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Method {
    Both,
    CreateOrder,
    Echo,
}

impl Method {
    fn runs(self) -> &'static [Call] {
        match self {
            Self::Both => &[Call::Echo, Call::CreateOrder, Call::Echo],
            Self::CreateOrder => &[Call::CreateOrder],
            Self::Echo => &[Call::Echo],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    CreateOrder,
    Echo,
}

impl Call {
    fn name(self) -> &'static str {
        match self {
            Self::CreateOrder => "create-order",
            Self::Echo => "echo",
        }
    }
}

/// Measures the instance and prints the result; fails if there are too many errors.
pub async fn run(args: &BenchArgs, address: &str, connector: &Connector) -> anyhow::Result<()> {
    let channels = connect(address, args.connections, connector).await?;
    let mut interrupt = pin!(interrupted());
    let mut runs = Vec::new();
    for call in args.method.runs() {
        let (run, is_last) = measure(args, *call, &channels, interrupt.as_mut()).await?;
        runs.push(run);
        if is_last {
            break;
        }
    }
    let text = if args.json { json(args, address, &runs) } else { table(&runs) };
    std::io::stdout().lock().write_all(text.as_bytes()).context("standard output")?;
    runs.iter().try_for_each(Run::judge)
}

async fn connect(address: &str, connections: u64, connector: &Connector) -> anyhow::Result<Vec<AuthenticatedChannel>> {
    let endpoint = connector.endpoint(address)?.connect_timeout(CONNECT_TIMEOUT);
    let mut channels = Vec::new();
    for _ in 0..connections {
        let channel = endpoint.connect().await;
        let channel = channel.with_context(|| format!("cannot connect to {address} (is jumun running?)"))?;
        channels.push(connector.authenticate(channel));
    }
    Ok(channels)
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a handler, Ctrl-C ends the process.
        pending::<()>().await;
    }
}

/// Measures one method; true if the user interrupted it.
async fn measure(
    args: &BenchArgs,
    call: Call,
    channels: &[AuthenticatedChannel],
    interrupt: Pin<&mut impl Future<Output = ()>>,
) -> anyhow::Result<(Run, bool)> {
    let start = Instant::now();
    let measure_from = start + Duration::from_secs(args.warm_up_seconds);
    let end = measure_from + Duration::from_secs(args.seconds);
    let load = Arc::new(Load { max_requests: args.max_requests, ..Load::default() });
    let mut callers = JoinSet::new();
    for (number, channel) in (0..args.callers).zip(channels.iter().cycle()) {
        let caller = Caller::new(call, channel, number, &args.payment_method);
        callers.spawn(call_until_stopped(caller, Arc::clone(&load), measure_from));
    }
    let bar = progress_bar(end - start);
    let is_last = tokio::select! {
        () = sleep_until(end) => false,
        () = load.exhausted.notified() => false,
        () = interrupt => true,
        never = show_progress(call, start, &load, &bar) => match never {},
    };
    load.is_stopped.store(true, Relaxed);
    let measured = Instant::now().saturating_duration_since(measure_from);
    bar.finish_and_clear();
    let mut tally = Tally::new()?;
    while let Some(caller) = callers.join_next().await {
        tally.add(caller??)?;
    }
    Ok((Run { call, measured, tally }, is_last))
}

/// The state that the callers of a run share.
#[derive(Default)]
struct Load {
    max_requests: u64,
    sent: AtomicU64,
    correct: AtomicU64,
    errors: AtomicU64,
    is_stopped: AtomicBool,
    /// Notified when the maximum number of requests was sent.
    exhausted: Notify,
}

impl Load {
    /// Takes one request from the maximum; false if none is left.
    fn take(&self) -> bool {
        let is_left = self.sent.fetch_add(1, Relaxed) < self.max_requests;
        if !is_left {
            self.exhausted.notify_one();
        }
        is_left
    }
}

async fn call_until_stopped(mut caller: Caller, load: Arc<Load>, measure_from: Instant) -> anyhow::Result<Tally> {
    let mut tally = Tally::new()?;
    while !load.is_stopped.load(Relaxed) {
        let sent = Instant::now();
        if sent >= measure_from && !load.take() {
            break;
        }
        let outcome = caller.call().await;
        let answered = Instant::now();
        let is_error = outcome.is_err();
        (if is_error { &load.errors } else { &load.correct }).fetch_add(1, Relaxed);
        if answered >= measure_from {
            tally.record(outcome, answered - sent, !load.is_stopped.load(Relaxed));
        }
        if is_error {
            sleep(PAUSE_AFTER_ERROR).await;
        }
    }
    Ok(tally)
}

/// The results of the calls.
struct Tally {
    /// Latencies of correct responses, in microseconds.
    latencies: Histogram<u32>,
    /// Number of correct responses before the end of the measurement.
    in_time: u64,
    /// Number of errors by gRPC code and reason.
    errors: BTreeMap<String, u64>,
}

impl Tally {
    fn new() -> anyhow::Result<Self> {
        let latencies = Histogram::new_with_max(MAX_LATENCY_US, SIGNIFICANT_DIGITS)?;
        Ok(Self { latencies, in_time: 0, errors: BTreeMap::new() })
    }

    fn record(&mut self, outcome: Result<(), String>, latency: Duration, is_in_time: bool) {
        match outcome {
            Ok(()) => {
                self.latencies.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(MAX_LATENCY_US));
                self.in_time += u64::from(is_in_time);
            }
            Err(error) => *self.errors.entry(error).or_default() += 1,
        }
    }

    fn add(&mut self, other: Self) -> anyhow::Result<()> {
        self.latencies.add(other.latencies)?;
        self.in_time += other.in_time;
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
        Ok(())
    }
}

/// One caller, on a shared connection.
struct Caller {
    call: Call,
    bench: BenchServiceClient<AuthenticatedChannel>,
    orders: OrderServiceClient<AuthenticatedChannel>,
    payment_method: String,
    /// Makes the requests of all callers distinct.
    turn: u64,
}

impl Caller {
    fn new(call: Call, channel: &AuthenticatedChannel, number: u64, payment_method: &str) -> Self {
        Self {
            call,
            bench: BenchServiceClient::new(channel.clone()),
            orders: OrderServiceClient::new(channel.clone()),
            payment_method: payment_method.to_owned(),
            turn: number * 7919,
        }
    }

    async fn call(&mut self) -> Result<(), String> {
        self.turn += 1;
        match self.call {
            Call::Echo => self.bench.echo(timed(EchoRequest {})).await.map(drop).map_err(|status| error(&status)),
            Call::CreateOrder => self.create_order().await,
        }
    }

    async fn create_order(&mut self) -> Result<(), String> {
        let customer = format!("customers/c-{}", self.turn % CUSTOMERS);
        let items = items(self.turn);
        let total: i64 = items.iter().map(|item| price(item) * i64::from(item.quantity)).sum();
        let order = Order {
            customer: customer.clone(),
            store: format!("stores/s-{}", self.turn % STORES),
            items,
            payment_method: self.payment_method.clone(),
            ..Order::default()
        };
        let request = CreateOrderRequest { order: Some(order), request_id: new_id() };
        let answer = self.orders.create_order(timed(request)).await.map_err(|status| error(&status))?;
        check(answer.get_ref(), &customer, total)
    }
}

fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

/// One or two lines of an order.
fn items(turn: u64) -> Vec<Item> {
    let line = |item: &str, quantity, units| Item {
        item: item.to_owned(),
        quantity,
        unit_price: Some(Money { currency_code: "KRW".to_owned(), units, nanos: 0 }),
    };
    let mut items = Vec::with_capacity(2);
    items.push(line("items/bibimbap", 1, 9_500));
    if turn % 2 == 1 {
        items.push(line("items/mandu", 2, 1_500));
    }
    items
}

fn price(item: &Item) -> i64 {
    item.unit_price.as_ref().map_or(0, |price| price.units)
}

fn check(order: &Order, customer: &str, total: i64) -> Result<(), String> {
    let is_total = |sum: &Money| sum.currency_code == "KRW" && sum.units == total && sum.nanos == 0;
    let wrong = match order {
        order if order.state() != State::Placed => "state",
        order if !order.total.as_ref().is_some_and(is_total) => "total",
        order if order.payment.is_empty() => "payment",
        order if order.customer != customer => "customer",
        _ => return Ok(()),
    };
    Err(format!("OK WRONG_{}", wrong.to_uppercase()))
}

fn error(status: &Status) -> String {
    format!("{} {}", code_name(status.code()), jumun_core::reason_of(status)).trim_end().to_owned()
}

/// The measurement of one method.
struct Run {
    call: Call,
    measured: Duration,
    tally: Tally,
}

impl Run {
    /// Correct responses per second.
    fn rate(&self) -> f64 {
        if self.measured.is_zero() { 0.0 } else { self.tally.in_time as f64 / self.measured.as_secs_f64() }
    }

    fn errors(&self) -> u64 {
        self.tally.errors.values().sum()
    }

    /// Latencies in milliseconds, in the order of QUANTILES.
    fn latencies(&self) -> impl Iterator<Item = (&'static str, f64)> {
        QUANTILES.iter().map(|(name, quantile)| (*name, self.tally.latencies.value_at_quantile(*quantile) as f64 / 1e3))
    }

    fn judge(&self) -> anyhow::Result<()> {
        let (name, correct, errors) = (self.call.name(), self.tally.latencies.len(), self.errors());
        if correct == 0 {
            bail!("{name}: no correct response");
        }
        let share = errors as f64 / (correct + errors) as f64;
        if share > MAX_ERROR_SHARE {
            bail!("{name}: {:.1} % were errors", share * 100.0);
        }
        Ok(())
    }
}

/// The rate that methods are compared with: the mean of the echo runs, if there are any.
fn echo_rate(runs: &[Run]) -> Option<f64> {
    let rates: Vec<f64> = runs.iter().filter(|run| run.call == Call::Echo).map(Run::rate).collect();
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    (mean > 0.0).then_some(mean)
}

fn table(runs: &[Run]) -> String {
    let echo = echo_rate(runs);
    let mut text = format!("{:<12} {:>11} {:>8}", "method", "correct/s", "to echo");
    for (name, _) in QUANTILES {
        let _ = write!(text, " {:>9}", format!("{name} ms"));
    }
    text.push_str("    errors\n");
    for run in runs {
        let ratio = echo.map_or_else(|| "-".to_owned(), |echo| format!("{:.2}", run.rate() / echo));
        let _ = write!(text, "{:<12} {:>11.0} {ratio:>8}", run.call.name(), run.rate());
        for (_, latency) in run.latencies() {
            let _ = write!(text, " {latency:>9.2}");
        }
        let _ = writeln!(text, " {:>9}", run.errors());
        for (error, count) in &run.tally.errors {
            let _ = writeln!(text, "{count:>12} × {error}");
        }
    }
    text
}

fn json(args: &BenchArgs, address: &str, runs: &[Run]) -> String {
    let echo = echo_rate(runs);
    let run = |run: &Run| {
        json!({
            "method": run.call.name(),
            "measured_seconds": run.measured.as_secs_f64(),
            "correct": run.tally.in_time,
            "correct_per_second": run.rate(),
            "ratio_to_echo": echo.map(|echo| run.rate() / echo),
            "latency_ms": run.latencies().collect::<BTreeMap<_, _>>(),
            "errors": run.tally.errors,
        })
    };
    let runs: Vec<_> = runs.iter().map(run).collect();
    let (callers, connections) = (args.callers, args.connections);
    format!("{}\n", json!({"address": address, "callers": callers, "connections": connections, "runs": runs}))
}

fn progress_bar(length: Duration) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    // indicatif hides the bar if standard error is not a terminal.
    ProgressBar::new(u64::try_from(length.as_millis()).unwrap_or(u64::MAX)).with_style(style)
}

/// Reports progress until it is dropped.
async fn show_progress(call: Call, start: Instant, load: &Load, bar: &ProgressBar) -> Infallible {
    let is_terminal = std::io::stderr().is_terminal();
    let mut ticks = interval(if is_terminal { BAR_INTERVAL } else { LINE_INTERVAL });
    ticks.tick().await;
    let (mut before, mut correct_before) = (start, 0);
    loop {
        ticks.tick().await;
        let (now, correct, errors) = (Instant::now(), load.correct.load(Relaxed), load.errors.load(Relaxed));
        let rate = (correct - correct_before) as f64 / (now - before).as_secs_f64();
        (before, correct_before) = (now, correct);
        let line = format!("{}: {rate:.0} correct/s, {errors} errors", call.name());
        if is_terminal {
            bar.set_position(u64::try_from((now - start).as_millis()).unwrap_or(u64::MAX));
            bar.set_message(line);
        } else {
            // Standard error may be closed.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }
}
