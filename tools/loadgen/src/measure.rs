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
    watch::{Pages, Seen, Settling, Watch},
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
    pub(crate) seen: Seen,
}

impl Bench<'_> {
    /// Measures a workload; true if the user interrupted it.
    pub(crate) async fn measure(
        &self,
        workload: &Workload,
        mut interrupt: Pin<&mut impl Future<Output = ()>>,
    ) -> anyhow::Result<(Run, bool)> {
        let args = self.args;
        let pages = self.pages.as_ref().filter(|_| workload.places_orders());
        let mut watch = Watch::start(pages.cloned(), args.pid.clone());
        let dead_letters = match pages {
            Some(pages) => self.until_idle(pages).await?,
            None => 0,
        };
        let callers = self.callers(workload).await?;
        let (usages, stored) = (self.usages()?, self.stored());

        let start = Instant::now();
        let measure_from = start + Duration::from_secs(args.warm_up_seconds);
        let end = measure_from + Duration::from_secs(args.seconds);
        let load = Arc::new(Load::new(args.max_requests));
        let probes = self.start_probes(workload, &callers, measure_from);
        let calls = run_load(args.clone(), callers, workload.mix.clone(), Arc::clone(&load), start, measure_from);
        let calls = task::spawn(calls);
        let mut is_last = tokio::select! {
            () = sleep_until(end) => false,
            () = load.exhausted.notified() => false,
            () = interrupt.as_mut() => true,
            never = progress::show_load(workload.name, start, end, &load) => match never {},
        };
        load.stop();
        let stopped = Instant::now();
        if let Some(probes) = &probes {
            probes.stop.notify_one();
        }
        let (tallies, not_started) = calls.await??;

        let mut settled = None;
        if pages.is_some() && !is_last {
            tokio::select! {
                done = self.settle(&mut watch, stopped, dead_letters) => settled = Some(done?),
                () = interrupt.as_mut() => is_last = true,
            }
        }
        let processes = self.processes(&usages)?;
        let stored_bytes = stored.zip(self.stored()).map(|(before, after)| after.saturating_sub(before));
        let lasted = match settled.as_ref().and_then(|settled| settled.0) {
            Some(at) => at - start,
            None => stopped - start,
        };
        let mut ages = None;
        if let Some(probes) = probes
            && !is_last
        {
            tokio::select! {
                done = probes.ages => ages = Some(done??),
                () = interrupt => is_last = true,
            }
        }
        let seen = watch.finish();
        let processes = processes.into_iter().map(|process| process.with_resident(&seen)).collect();
        let probed = ages.as_ref().map_or(0, |ages| ages.placed);
        let whole = Whole {
            lasted,
            calls: load.correct.load(Relaxed),
            orders: load.placed.load(Relaxed) + probed,
            processes,
            stored_bytes,
        };
        let settled = settled.map(|(at, waiting, dead_letters)| Settled {
            after: at.map(|at| at.saturating_duration_since(stopped)),
            waiting,
            dead_letters,
            seen,
        });
        let (name, measured) = (workload.name, stopped.saturating_duration_since(measure_from));
        let total = tallies.total()?;
        Ok((Run { name, measured, tallies, total, not_started, whole, settled, ages }, is_last))
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

    fn start_probes(&self, workload: &Workload, callers: &[Caller], start: Instant) -> Option<Probes> {
        let (store, rate) = self.store.clone().zip(self.args.probe_age).filter(|_| workload.places_orders())?;
        let caller = callers.first()?.clone();
        let stop = Arc::new(Notify::new());
        let ages = task::spawn(probe_ages(caller, store, Pace::new(start, rate), start, Arc::clone(&stop)));
        Some(Probes { stop, ages })
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

    /// Waits until the instance has settled after the load; returns since when, what waits otherwise, and the number of
    /// new dead letters.
    async fn settle(
        &self,
        watch: &mut Watch,
        stopped: Instant,
        dead_letters: u64,
    ) -> anyhow::Result<(Option<Instant>, BTreeMap<String, u64>, u64)> {
        let (mut settling, mut shown, mut last) = (Settling::default(), stopped, Backlog::default());
        while stopped.elapsed() < self.args.settle_within() {
            let sample = watch.next().await?;
            let at = settling.add(Instant::now(), &sample);
            if let Some(backlog) = sample {
                last = backlog;
            }
            if at.is_some() {
                return Ok((at, BTreeMap::new(), last.dead_letters().saturating_sub(dead_letters)));
            }
            if shown.elapsed() >= progress::LINE_INTERVAL {
                shown = Instant::now();
                progress::show_settling(&last.waiting(), stopped);
            }
        }
        Ok((None, last.waiting(), last.dead_letters().saturating_sub(dead_letters)))
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

/// The task that probes.
struct Probes {
    stop: Arc<Notify>,
    ages: JoinHandle<anyhow::Result<Ages>>,
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
    start: Instant,
    measure_from: Instant,
) -> anyhow::Result<(Tallies, Option<u64>)> {
    if let Some(rate) = args.rate {
        let (pace, max_in_flight) = (Pace::new(start, rate), usize::try_from(args.max_in_flight)?);
        let (tallies, not_started) = load::open(callers, mix, pace, max_in_flight, load, measure_from).await?;
        return Ok((tallies, Some(not_started)));
    }
    let callers = callers.iter().cycle().take(usize::try_from(args.callers)?).cloned();
    Ok((load::closed(callers, &mix, &load, measure_from).await?, None))
}
