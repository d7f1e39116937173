//! The arguments of `jumun bench`, and what they ask for.

use std::{path::PathBuf, time::Duration};

use clap::error::ErrorKind;

use crate::{
    mix::{Call, Mix},
    process::Usage,
};

/// The limit of the histograms, which count in 32 bits.
const MAX_REQUESTS: u64 = 1_000_000_000;
/// The rate of probes if `--probe-age` names none.
const PROBES_PER_SECOND: &str = "10";

/// Arguments of `jumun bench`.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArgs {
    /// Number of concurrent callers; each sends its next request after the previous response
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub(crate) callers: u64,
    /// Number of connections that the callers share
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=256))]
    pub(crate) connections: u64,
    /// Duration of each measurement in seconds
    #[arg(long, default_value_t = 10, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Warm-up before each measurement in seconds
    #[arg(long, default_value_t = 2, value_name = "S", value_parser = clap::value_parser!(u64).range(0..=600))]
    pub(crate) warm_up_seconds: u64,
    /// Method to measure; `both` measures echo, create-order and echo again, to average out noise [default: both; with
    /// --rate: create-order]
    #[arg(long, value_enum)]
    method: Option<Method>,
    /// Methods to measure together, with their weights, e.g. create-order=8,get-order=2
    #[arg(long, value_name = "METHOD=WEIGHT,…", conflicts_with = "method")]
    mix: Option<Mix>,
    /// Start N calls per second, whether or not earlier ones have ended (open loop); latencies count from the intended
    /// start
    #[arg(long, value_name = "N", conflicts_with = "callers")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) rate: Option<u64>,
    /// Maximum number of calls in flight with --rate; calls beyond are not started, and reported
    #[arg(long, default_value_t = 4096, value_name = "N", requires = "rate")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) max_in_flight: u32,
    /// After the load, wait until no event waits in any process, and report what was carried on per second
    #[arg(long)]
    pub(crate) until_settled: bool,
    /// Maximum time to wait with --until-settled in seconds
    #[arg(long, default_value_t = 300, value_name = "S", requires = "until_settled")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    settle_seconds: u64,
    /// Address of a process whose metrics --until-settled reads; repeat it for each process [default: all addresses
    /// that are set]
    #[arg(long, value_name = "URL", requires = "until_settled")]
    pub(crate) metrics_addr: Vec<String>,
    /// Place N extra orders per second [without =N: 10] and report how long after it was accepted the store sees each
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = PROBES_PER_SECOND)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=50))]
    pub(crate) probe_age: Option<u64>,
    /// Process id of a server on this machine, to report its memory and processor time; repeat it for each process
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pid: Vec<u32>,
    /// Payment token of the orders
    #[arg(long, default_value = "tok_visa", value_name = "TOKEN")]
    pub(crate) payment_method: String,
    /// Format of the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Maximum number of requests per measurement
    #[arg(long, default_value_t = 5_000_000, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=MAX_REQUESTS))]
    pub(crate) max_requests: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Method {
    Both,
    CreateOrder,
    GetOrder,
    Echo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// The calls of one measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) mix: Mix,
}

impl Workload {
    fn only(call: Call) -> Self {
        Self { name: call.name(), mix: Mix::only(call) }
    }

    pub(crate) fn places_orders(&self) -> bool {
        self.mix.contains(Call::CreateOrder)
    }
}

impl BenchArgs {
    /// Reports arguments that are valid one by one and make no sense together, and processes that cannot be read.
    pub fn validate(&self) -> Result<(), clap::Error> {
        let error = |kind, text: String| Err(clap::Error::raw(kind, format!("{text}\n")));
        if self.rate.is_some() && self.method == Some(Method::Both) {
            let text = "'--rate' fixes the calls per second, so '--method both' has nothing to compare";
            return error(ErrorKind::ArgumentConflict, text.to_owned());
        }
        let places_orders = self.workloads().iter().any(Workload::places_orders);
        for (is_given, name) in [(self.until_settled, "--until-settled"), (self.probe_age.is_some(), "--probe-age")] {
            if is_given && !places_orders {
                let text = format!("'{name}' needs a measurement that places orders: create-order is not measured");
                return error(ErrorKind::ArgumentConflict, text);
            }
        }
        for (index, pid) in self.pid.iter().enumerate() {
            if self.pid[..index].contains(pid) {
                return error(ErrorKind::ValueValidation, format!("'--pid {pid}' is there twice"));
            }
            if let Err(cause) = Usage::of(*pid) {
                return error(ErrorKind::ValueValidation, format!("'--pid {pid}' cannot be read in /proc: {cause}"));
            }
        }
        Ok(())
    }

    pub(crate) fn workloads(&self) -> Vec<Workload> {
        let order = Workload::only(Call::CreateOrder);
        let echo = Workload::only(Call::Echo);
        if let Some(mix) = &self.mix {
            return vec![Workload { name: "mix", mix: mix.clone() }];
        }
        let default = if self.rate.is_some() { Method::CreateOrder } else { Method::Both };
        match self.method.unwrap_or(default) {
            Method::Both => vec![echo.clone(), order, echo],
            Method::CreateOrder => vec![order],
            Method::GetOrder => vec![Workload::only(Call::GetOrder)],
            Method::Echo => vec![echo],
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json || self.format == Format::Json
    }

    pub(crate) fn settle_within(&self) -> Duration {
        Duration::from_secs(self.settle_seconds)
    }
}

/// The running instance.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Address of the context that is called: order, and echo on the same connections.
    pub order: String,
    /// Address of the store, for `--probe-age`.
    pub store: String,
    /// The addresses of all processes that are known.
    pub processes: Vec<String>,
    /// The folder with the data of the instance, if it is on this machine.
    pub data_dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Bench {
        #[command(flatten)]
        args: BenchArgs,
    }

    fn parse(arguments: &str) -> Result<BenchArgs, clap::Error> {
        let args = Bench::try_parse_from(["bench"].into_iter().chain(arguments.split_whitespace()))?.args;
        args.validate().map(|()| args)
    }

    #[test]
    fn arguments_that_make_no_sense_are_refused() {
        for (wrong, word) in [
            ("--rate 0", "0 is not in 1.."),
            ("--rate=-5", "-5"),
            ("--rate many", "many"),
            ("--rate 10 --callers 5", "--callers"),
            ("--rate 10 --method both", "nothing to compare"),
            ("--max-in-flight 10", "--rate"),
            ("--rate 10 --max-in-flight 0", "0 is not in 1.."),
            ("--mix echo=1 --method echo", "--method"),
            ("--mix cancel-order=1", "unknown method"),
            ("--method cancel-order", "cancel-order"),
            ("--method echo --until-settled", "places orders"),
            ("--method get-order --until-settled", "places orders"),
            ("--mix get-order=1,echo=1 --probe-age", "places orders"),
            ("--settle-seconds 10", "--until-settled"),
            ("--metrics-addr http://127.0.0.1:1", "--until-settled"),
            ("--probe-age=0", "0 is not in 1.."),
            ("--pid 0", "0 is not in 1.."),
            ("--pid 4194305", "cannot be read"),
            ("--format xml", "xml"),
            ("--format json --json", "--json"),
        ] {
            let error = parse(wrong).map(drop).expect_err(wrong);
            assert_eq!(error.exit_code(), 2, "{wrong}");
            assert!(error.to_string().contains(word), "{wrong}: {error}");
        }
        let own = std::process::id();
        let twice = parse(&format!("--pid {own} --pid {own}")).expect_err("twice");
        assert!(twice.to_string().contains("twice"), "{twice}");
    }

    #[test]
    fn the_methods_to_measure_follow_from_the_arguments() {
        let names = |arguments| -> Vec<_> {
            let args = parse(arguments).expect(arguments);
            args.workloads().iter().map(|workload| workload.name).collect()
        };
        assert_eq!(names(""), ["echo", "create-order", "echo"]);
        assert_eq!(names("--rate 100"), ["create-order"]);
        assert_eq!(names("--rate 100 --method echo"), ["echo"]);
        assert_eq!(names("--mix create-order=8,get-order=2 --until-settled --probe-age"), ["mix"]);
        assert_eq!(parse("--probe-age").expect("a rate").probe_age, Some(10));
        assert_eq!(parse("--probe-age=20").expect("a rate").probe_age, Some(20));
        assert!(parse("--json").expect("a format").is_json() && parse("--format json").expect("a format").is_json());
    }
}
