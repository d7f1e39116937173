//! One measurement: the load, what the instance does meanwhile, and how it settles.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Context, bail};
use client::AuthenticatedChannel;
use jumun_core::{
    task,
    time::{Instant, sleep, sleep_until},
};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    ages::{self, Ages},
    args::{BenchArgs, Instance, Workload},
    backlog::Backlog,
    caller::{Caller, Recent},
    load::{self, Load},
    mix::{Call, Mix},
    pace::{self, Pace},
    process::{Usage, folder_bytes},
    progress,
    tally::{Tallies, Tally},
    watch::{Lags, Pages, Seen, Settling, Watch},
};

/// The interval of reading the pages before the load. They are made anew at most once a second.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// What is measured, and by which connections.
pub(crate) struct Bench<'a> {
    pub(crate) args: &'a BenchArgs,
    pub(crate) instance: &'a Instance,
    /// To the order context.
    pub(crate) channels: Vec<AuthenticatedChannel>,
    /// To the store, for probes.
    pub(crate) store: Option<AuthenticatedChannel>,
    /// With `--until-settled`.
    pub(crate) pages: Option<Pages>,
}

/// The measurement of one workload.
pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) measured: Duration,
    pub(crate) tallies: Tallies,
    pub(crate) total: Tally,
    /// Calls that could not be started; `None`: each caller waited for its response.
    pub(crate) not_started: Option<u64>,
    pub(crate) whole: Whole,
    pub(crate) settled: Option<Settled>,
    pub(crate) ages: Option<Ages>,
}

/// Everything from the start of the warm-up until the end of the load or, with `--until-settled`, until the instance
/// had settled.
pub(crate) struct Whole {
    pub(crate) lasted: Duration,
    /// Correct responses.
    pub(crate) calls: u64,
    /// Orders that were accepted, those of probes included.
    pub(crate) orders: u64,
    pub(crate) processes: Vec<Process>,
    /// How much the data folder grew.
    pub(crate) stored_bytes: Option<u64>,
}

/// What a process of the instance used.
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Resident memory in bytes.
    pub(crate) peak: u64,
    pub(crate) cpu: Duration,
}

/// How the instance settled.
pub(crate) struct Settled {
    /// The time from the end of the load; `None`: it did not settle.
    pub(crate) after: Option<Duration>,
    /// What still waits, by metric and labels.
    pub(crate) waiting: BTreeMap<String, u64>,
    /// Events that became dead letters since the start.
    pub(crate) dead_letters: u64,
    pub(crate) lags: Lags,
    /// Samples for which a page could not be read.
    pub(crate) failed_samples: u64,
}

impl Bench<'_> {
    /// Measures a workload; true if the user interrupted it.
    pub(crate) async fn measure(
        &self,
        workload: &Workload,
        mut interrupt: Pin<&mut impl Future<Output = ()>>,
    ) -> anyhow::Result<(Run, bool)> {
        let pages = self.pages.as_ref().filter(|_| workload.places_orders());
        let dead_letters = match pages {
            Some(pages) => self.until_idle(pages).await?,
            None => 0,
        };
        let callers = self.callers(workload).await?;
        let (usages, stored) = (self.usages()?, self.stored());
        let mut watch = Watch::start(pages.cloned(), self.args.pid.clone());
        let loaded = self.load(workload, callers, interrupt.as_mut()).await?;
        let mut is_last = loaded.is_interrupted;
        let mut rest = None;
        if pages.is_some() && !is_last {
            tokio::select! {
                done = self.settle(&mut watch, loaded.stopped) => rest = Some(done?),
                () = interrupt.as_mut() => is_last = true,
            }
        }
        let processes = self.processes(&usages)?;
        let stored_bytes = stored.zip(self.stored()).map(|(before, after)| after.saturating_sub(before));
        let mut ages = None;
        if let Some(probes) = loaded.probes
            && !is_last
        {
            tokio::select! {
                done = probes => ages = Some(done??),
                () = interrupt => is_last = true,
            }
        }
        let seen = watch.finish();
        let settled_at = rest.as_ref().and_then(|rest| rest.settled_at);
        let whole = Whole {
            lasted: settled_at.unwrap_or(loaded.stopped) - loaded.start,
            calls: loaded.load.correct.load(Relaxed),
            orders: loaded.load.placed.load(Relaxed) + ages.as_ref().map_or(0, |ages| ages.placed),
            processes: processes.into_iter().map(|process| process.with_resident(&seen)).collect(),
            stored_bytes,
        };
        let settled = rest.map(|rest| Settled::new(&rest, loaded.stopped, dead_letters, &seen)).transpose()?;
        let run = Run {
            name: workload.name,
            measured: loaded.stopped.saturating_duration_since(loaded.measure_from),
            total: loaded.tallies.total()?,
            tallies: loaded.tallies,
            not_started: loaded.not_started,
            whole,
            settled,
            ages,
        };
        Ok((run, is_last))
    }

    /// Puts the instance under load for the time of the warm-up and the measurement.
    async fn load(
        &self,
        workload: &Workload,
        callers: Vec<Caller>,
        interrupt: Pin<&mut impl Future<Output = ()>>,
    ) -> anyhow::Result<Loaded> {
        let args = self.args;
        let start = Instant::now();
        let measure_from = start + Duration::from_secs(args.warm_up_seconds);
        let end = measure_from + Duration::from_secs(args.seconds);
        let load = Arc::new(Load::new(args.max_requests));
        let stop_probes = Arc::new(Notify::new());
        let probes = self.start_probes(workload, &callers, measure_from, end, Arc::clone(&stop_probes));
        let pace = args.rate.map(|rate| Pace::new(start, end, rate));
        let calls = run_load(args.clone(), callers, workload.mix.clone(), Arc::clone(&load), pace, measure_from);
        let calls = task::spawn(calls);
        let is_interrupted = tokio::select! {
            () = sleep_until(end) => false,
            () = load.exhausted.notified() => false,
            () = interrupt => true,
            never = progress::show_load(workload.name, start, end, &load) => match never {},
        };
        load.stop();
        let stopped = Instant::now();
        stop_probes.notify_one();
        let (tallies, not_started) = calls.await??;
        Ok(Loaded { start, measure_from, stopped, load, tallies, not_started, probes, is_interrupted })
    }

    /// One caller for each connection. If orders are to be read, there is one.
    async fn callers(&self, workload: &Workload) -> anyhow::Result<Vec<Caller>> {
        let payment_method = &self.args.payment_method;
        let recent = workload.mix.contains(Call::GetOrder).then(|| Arc::new(Recent::default()));
        let caller = |channel| Caller::new(channel, payment_method, recent.clone());
        let callers: Vec<_> = self.channels.iter().map(caller).collect();
        if let (Some(_), Some(mut caller)) = (&recent, callers.first().cloned()) {
            let placed = caller.create_order(0).await;
            placed.map_err(|failure| anyhow::anyhow!("cannot place an order to read: {failure:?}"))?;
        }
        Ok(callers)
    }

    fn start_probes(
        &self,
        workload: &Workload,
        callers: &[Caller],
        start: Instant,
        end: Instant,
        stop: Arc<Notify>,
    ) -> Option<JoinHandle<anyhow::Result<Ages>>> {
        let (store, rate) = self.store.clone().zip(self.args.probe_age).filter(|_| workload.places_orders())?;
        let caller = callers.first()?.clone();
        Some(task::spawn(probe_ages(caller, store, Pace::new(start, end, rate), start, stop)))
    }

    /// Waits until nothing waits from before; returns the number of dead letters.
    async fn until_idle(&self, pages: &Pages) -> anyhow::Result<u64> {
        let start = Instant::now();
        loop {
            let backlog = pages.read().await?;
            let waiting = backlog.waiting();
            if waiting.is_empty() {
                return Ok(backlog.dead_letters());
            }
            if start.elapsed() >= self.args.settle_within() {
                bail!("the instance did not settle before the load: {}", progress::waiting(&waiting));
            }
            progress::show_settling(&waiting, start);
            sleep(IDLE_INTERVAL).await;
        }
    }

    /// Waits until the instance has settled after the load, or for too long.
    async fn settle(&self, watch: &mut Watch, stopped: Instant) -> anyhow::Result<Rest> {
        let (mut settling, mut shown) = (Settling::default(), stopped);
        let mut rest = Rest { settled_at: None, backlog: Backlog::default() };
        watch.skip();
        while rest.settled_at.is_none() && stopped.elapsed() < self.args.settle_within() {
            let sample = watch.next().await?;
            rest.settled_at = settling.add(Instant::now(), &sample);
            if let Some(backlog) = sample {
                rest.backlog = backlog;
            }
            if shown.elapsed() >= progress::LINE_INTERVAL {
                shown = Instant::now();
                progress::show_settling(&rest.backlog.waiting(), stopped);
            }
        }
        Ok(rest)
    }

    fn usages(&self) -> anyhow::Result<Vec<Usage>> {
        let usage = |pid: &u32| Usage::of(*pid).with_context(|| format!("process {pid}"));
        self.args.pid.iter().map(usage).collect()
    }

    /// What the processes used since `before`.
    fn processes(&self, before: &[Usage]) -> anyhow::Result<Vec<Process>> {
        let now = self.usages()?;
        let process = |((pid, before), now): ((&u32, &Usage), Usage)| Process {
            pid: *pid,
            // Only a new peak is one of this measurement.
            peak: if now.peak > before.peak { now.peak } else { now.resident },
            cpu: now.cpu.saturating_sub(before.cpu),
        };
        Ok(self.args.pid.iter().zip(before).zip(now).map(process).collect())
    }

    fn stored(&self) -> Option<u64> {
        folder_bytes(self.instance.data_dir.as_deref()?).ok()
    }
}

impl Process {
    /// With the most memory that the samples saw.
    fn with_resident(self, seen: &Seen) -> Self {
        let sampled = seen.resident.get(&self.pid).copied().unwrap_or_default();
        Self { peak: self.peak.max(sampled), ..self }
    }
}

impl Settled {
    fn new(rest: &Rest, stopped: Instant, dead_letters_before: u64, seen: &Seen) -> anyhow::Result<Self> {
        Ok(Self {
            after: rest.settled_at.map(|at| at.saturating_duration_since(stopped)),
            waiting: rest.backlog.waiting(),
            dead_letters: rest.backlog.dead_letters().saturating_sub(dead_letters_before),
            lags: seen.lags(rest.settled_at.unwrap_or_else(Instant::now))?,
            failed_samples: seen.failed_samples,
        })
    }
}

/// What is known when the load has ended.
struct Loaded {
    start: Instant,
    measure_from: Instant,
    stopped: Instant,
    load: Arc<Load>,
    tallies: Tallies,
    not_started: Option<u64>,
    /// Probes end by themselves.
    probes: Option<JoinHandle<anyhow::Result<Ages>>>,
    is_interrupted: bool,
}

/// How waiting for the instance ended.
struct Rest {
    settled_at: Option<Instant>,
    /// The last backlog that was read.
    backlog: Backlog,
}

async fn probe_ages(
    caller: Caller,
    store: AuthenticatedChannel,
    pace: Pace,
    start: Instant,
    stop: Arc<Notify>,
) -> anyhow::Result<Ages> {
    let mut ages = Ages::new()?;
    let begin = |number, _| Some(ages::probe(caller.clone(), store.clone(), number));
    let ended = |probe| ages.add(probe);
    let not_started = pace::run(pace, ages::MAX_AT_ONCE, start, stop.notified(), begin, ended).await?;
    ages.not_started = not_started;
    Ok(ages)
}

async fn run_load(
    args: BenchArgs,
    callers: Vec<Caller>,
    mix: Mix,
    load: Arc<Load>,
    pace: Option<Pace>,
    measure_from: Instant,
) -> anyhow::Result<(Tallies, Option<u64>)> {
    if let Some(pace) = pace {
        let max_in_flight = usize::try_from(args.max_in_flight)?;
        let (tallies, not_started) = load::open(callers, mix, pace, max_in_flight, load, measure_from).await?;
        return Ok((tallies, Some(not_started)));
    }
    let callers = callers.iter().cycle().take(usize::try_from(args.callers)?).cloned();
    Ok((load::closed(callers, &mix, &load, measure_from).await?, None))
}
