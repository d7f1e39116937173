//! Redriving and discarding: one dead letter after another, at a limited rate, up to the first failure.

use std::{io::Write, time::Duration};

use contracts::admin::v1::{DeadLetter, DiscardDeadLettersRequest, RedriveDeadLettersRequest};
use jumun_core::time::{Instant, MissedTickBehavior, interval};

use super::{
    print, read,
    selection::{Selection, position},
};
use crate::operator::{AdminClient, explain};

/// How often progress is reported, and after what time first.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// What is done with dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Redrive,
    Discard,
}

impl Operation {
    fn participle(self) -> &'static str {
        match self {
            Self::Redrive => "redriven",
            Self::Discard => "discarded",
        }
    }
}

/// Redrives or discards what is selected, or prints it with `--dry-run`. The error says how many were done, and which
/// failed.
pub(super) async fn run(operation: Operation, selection: &Selection, mut admin: AdminClient) -> anyhow::Result<()> {
    let letters = select(selection, &mut admin).await?;
    let participle = operation.participle();
    if selection.dry_run {
        let mut out = std::io::stdout().lock();
        out.write_all(print::table(&letters).as_bytes())?;
        return Ok(writeln!(out, "{} would be {participle}", count(letters.len()))?);
    }
    let mut pace = selection.rate.map(|rate| {
        let mut pace = interval(Duration::from_secs(1) / rate);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pace
    });
    let mut progress = Progress { participle, total: letters.len(), last: Instant::now() };
    // Those that another operator was faster with.
    let mut gone = 0;
    for (done, letter) in letters.iter().enumerate() {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        progress.report(done);
        match apply(operation, &letter.name, &mut admin).await {
            Ok(applied) => gone += usize::from(!applied),
            Err(error) => {
                let all = count(letters.len());
                return Err(error.context(format!("{} of {all} {participle}; {} failed", done - gone, letter.name)));
            }
        }
    }
    let done = count(letters.len() - gone);
    let gone = if gone == 0 { String::new() } else { format!("; {gone} no longer existed") };
    Ok(writeln!(std::io::stdout(), "{done} {participle}{gone}")?)
}

/// The dead letters that are selected, in their original order. Fails if one that is named does not exist.
async fn select(selection: &Selection, admin: &mut AdminClient) -> anyhow::Result<Vec<DeadLetter>> {
    if selection.names.is_empty() {
        return read::matching(admin, &selection.filter, usize::MAX).await;
    }
    let mut names = selection.names.clone();
    names.sort_by_key(|name| position(name).map(|(context, number)| (context.to_owned(), number)));
    names.dedup();
    let mut letters = Vec::with_capacity(names.len());
    for name in names {
        letters.push(read::get(admin, &name).await?);
    }
    Ok(letters)
}

/// Redrives or discards one dead letter; false: it no longer exists.
async fn apply(operation: Operation, name: &str, admin: &mut AdminClient) -> anyhow::Result<bool> {
    let names = vec![name.to_owned()];
    match operation {
        Operation::Redrive => {
            let request = RedriveDeadLettersRequest { names, ..RedriveDeadLettersRequest::default() };
            let answer = admin.redrive_dead_letters(request).await.map_err(|status| explain(&status))?.into_inner();
            match answer.failures.first() {
                Some(failure) => anyhow::bail!("{}", failure.reason),
                None => Ok(answer.applied_count > 0),
            }
        }
        Operation::Discard => {
            let answer = admin.discard_dead_letters(DiscardDeadLettersRequest { names }).await;
            Ok(answer.map_err(|status| explain(&status))?.into_inner().discarded_count > 0)
        }
    }
}

fn count(number: usize) -> String {
    if number == 1 { "1 dead letter".to_owned() } else { format!("{number} dead letters") }
}

/// Reports to standard error how far it is, once it takes long.
struct Progress {
    participle: &'static str,
    total: usize,
    last: Instant,
}

impl Progress {
    fn report(&mut self, done: usize) {
        if self.last.elapsed() >= REPORT_INTERVAL {
            self.last = Instant::now();
            // Standard error may be closed; the work goes on.
            let _ = writeln!(std::io::stderr(), "{done} of {} {}", self.total, self.participle);
        }
    }
}
