//! Watches a running instance: what waits in it, and how much memory its processes take.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use client::Connector;
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use jumun_core::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio::sync::watch;

use crate::{backlog::Backlog, process::Usage};

/// The interval of samples. A process makes its page anew at most once a second, so some samples repeat.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(200);
/// A page that takes longer is not part of its sample.
const PAGE_TIMEOUT: Duration = Duration::from_secs(2);
/// The maximum size of a page.
const MAX_PAGE_BYTES: u64 = 8 * 1024 * 1024;
/// How long nothing must wait until the instance counts as settled: two pages of each process, made independently.
const SETTLED_FOR: Duration = Duration::from_secs(2);
const LAG_DIGITS: u8 = 3;

/// The pages of metrics of all processes of an instance.
#[derive(Clone)]
pub(crate) struct Pages {
    pub(crate) connector: Connector,
    /// Addresses of the processes, e.g. `http://127.0.0.1:8080`.
    pub(crate) addresses: Vec<String>,
}

impl Pages {
    pub(crate) async fn read(&self) -> anyhow::Result<Backlog> {
        let read = self.addresses.iter().map(async |address| {
            let url = format!("{}/metrics", address.trim_end_matches('/'));
            let page = timeout(PAGE_TIMEOUT, self.connector.get(&url, MAX_PAGE_BYTES)).await;
            let page = page.with_context(|| format!("{url}: no answer within {PAGE_TIMEOUT:?}"))??;
            Backlog::read(&page).map_err(|error| anyhow::anyhow!("{url}: {error}"))
        });
        let mut all = Backlog::default();
        try_join_all(read).await?.into_iter().for_each(|backlog| all.merge(backlog));
        Ok(all)
    }
}

/// What was seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// The lag of each consumer in events, at the time of each sample.
    samples: Vec<(Instant, BTreeMap<String, u64>)>,
    /// Samples for which a page could not be read.
    pub(crate) failed_samples: u64,
    /// The most resident memory of each process, in bytes.
    pub(crate) resident: BTreeMap<u32, u64>,
}

/// The lag of each consumer over all samples, in events.
pub(crate) type Lags = BTreeMap<String, Histogram<u64>>;

impl Seen {
    fn add(&mut self, at: Instant, sample: &Sample) {
        match sample {
            Some(backlog) => {
                self.samples.push((at, backlog.lags().map(|(consumer, lag)| (consumer.to_owned(), lag)).collect()));
            }
            None => self.failed_samples += 1,
        }
    }

    /// The lags up to this moment: what follows is the proof that nothing waits.
    pub(crate) fn lags(&self, until: Instant) -> anyhow::Result<Lags> {
        let mut all = Lags::new();
        for (consumer, lag) in self.samples.iter().filter(|(at, _)| *at <= until).flat_map(|(_, lags)| lags) {
            if !all.contains_key(consumer) {
                all.insert(consumer.clone(), Histogram::new(LAG_DIGITS)?);
            }
            if let Some(lags) = all.get_mut(consumer) {
                lags.record(*lag)?;
            }
        }
        Ok(all)
    }
}

/// What a sample says; `None`: a page could not be read.
pub(crate) type Sample = Option<Backlog>;

/// Takes samples until it is dropped.
pub(crate) struct Watch {
    latest: watch::Receiver<Sample>,
    seen: Arc<Mutex<Seen>>,
    _task: JoinSet<()>,
}

impl Watch {
    pub(crate) fn start(pages: Option<Pages>, pids: Vec<u32>) -> Self {
        let (sender, latest) = watch::channel(None);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut task = JoinSet::new();
        task.spawn(take_samples(pages, pids, sender, Arc::clone(&seen)));
        Self { latest, seen, _task: task }
    }

    /// Leaves out the samples until now.
    pub(crate) fn skip(&mut self) {
        self.latest.mark_unchanged();
    }

    /// The next sample.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Sample> {
        self.latest.changed().await.context("no more samples")?;
        Ok(self.latest.borrow_and_update().clone())
    }

    pub(crate) fn finish(self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn take_samples(pages: Option<Pages>, pids: Vec<u32>, latest: watch::Sender<Sample>, seen: Arc<Mutex<Seen>>) {
    let mut ticks = interval(SAMPLE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let sample = match &pages {
            Some(pages) => Some(pages.read().await.ok()),
            None => None,
        };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        for pid in &pids {
            // A process that ended is reported when the measurement ends.
            let resident = Usage::of(*pid).map(|usage| usage.resident).unwrap_or_default();
            let peak = seen.resident.entry(*pid).or_default();
            *peak = resident.max(*peak);
        }
        if let Some(sample) = sample {
            seen.add(Instant::now(), &sample);
            latest.send_replace(sample);
        }
    }
}

/// Decides when an instance has settled: nothing has waited for [`SETTLED_FOR`].
#[derive(Default)]
pub(crate) struct Settling {
    empty_since: Option<Instant>,
}

impl Settling {
    /// Takes a sample of this moment. Returns when the instance had settled, if it has.
    pub(crate) fn add(&mut self, at: Instant, sample: &Sample) -> Option<Instant> {
        if sample.as_ref().is_none_or(|backlog| !backlog.waiting().is_empty()) {
            self.empty_since = None;
            return None;
        }
        let since = *self.empty_since.get_or_insert(at);
        (at - since >= SETTLED_FOR).then_some(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(lag: u64) -> Sample {
        Backlog::read(&format!("jumun_consumer_lag{{consumer=\"a\"}} {lag}\n")).ok()
    }

    #[test]
    fn it_has_settled_when_nothing_waited_for_long_enough() {
        let start = Instant::now();
        let mut settling = Settling::default();
        let mut add = |millis, sample: &Sample| {
            let settled = settling.add(start + Duration::from_millis(millis), sample);
            settled.map(|settled| (settled - start).as_millis())
        };
        assert_eq!(add(0, &sample(0)), None);
        assert_eq!(add(1800, &sample(0)), None);
        assert_eq!(add(2000, &sample(1)), None, "something waits");
        assert_eq!(add(2200, &sample(0)), None);
        assert_eq!(add(4000, &None), None, "a page could not be read");
        assert_eq!(add(4200, &sample(0)), None);
        assert_eq!(add(6000, &sample(0)), None);
        assert_eq!(add(6200, &sample(0)), Some(4200));
    }

    #[test]
    fn lags_are_kept_by_consumer_until_it_had_settled() {
        let start = Instant::now();
        let mut seen = Seen::default();
        for lag in 1..=100 {
            let page = format!("jumun_consumer_lag{{consumer=\"a\"}} {lag}\njumun_consumer_lag{{consumer=\"b\"}} 0\n");
            seen.add(start + Duration::from_secs(lag), &Backlog::read(&page).ok());
        }
        seen.add(start + Duration::from_secs(101), &sample(0));
        seen.add(start, &None);
        let lags = seen.lags(start + Duration::from_secs(100)).expect("a histogram");
        let of = |consumer: &str, quantile| lags[consumer].value_at_quantile(quantile);
        assert_eq!([of("a", 0.5), of("a", 0.99), of("a", 1.0), of("b", 1.0)], [50, 99, 100, 0]);
        assert_eq!((lags["a"].len(), seen.failed_samples), (100, 1));
    }
}
