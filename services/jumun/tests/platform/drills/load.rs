//! An open loop: callers arrive at a constant rate, whatever happens to earlier ones.

use std::time::{Duration, Instant};

use contracts::order::v1::{CreateOrderRequest, order_service_client::OrderServiceClient};
use tokio::task::JoinSet;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt;

use crate::platform::processes::clients::{channel, new_id, wish};

/// Connections that the callers are spread over.
const CONNECTIONS: usize = 4;
/// How long a caller waits.
pub(super) const DEADLINE: Duration = Duration::from_millis(1500);
/// The pause of a caller who retries whatever the answer says.
const IMPATIENCE: Duration = Duration::from_millis(20);

/// Answers count after this time; before, no call had time to be served.
const WARM_UP: Duration = Duration::from_secs(1);

/// Callers of CreateOrder whose cards are slow.
pub(super) struct Callers {
    clients: Vec<OrderServiceClient<Channel>>,
    /// The most attempts of each caller.
    attempts: u32,
}

/// The outcome of one call, and after how long.
#[derive(Clone, Copy)]
enum Outcome {
    Placed(Duration),
    /// With RetryInfo.
    Refused(Duration),
    Failed(Duration),
}

/// The totals of a phase.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) lasted: Duration,
    pub(super) asked: usize,
    placed: Vec<Duration>,
    /// Placed orders that were answered after the warm-up and before the end.
    counted: usize,
    refused: Vec<Duration>,
    failed: Vec<Duration>,
}

impl Callers {
    pub(super) fn new(url: &str, attempts: u32) -> Self {
        let clients = (0..CONNECTIONS).map(|_| OrderServiceClient::new(channel(url)));
        Self { clients: clients.collect(), attempts }
    }

    /// The capacity per second, measured with sequential callers.
    pub(super) async fn measure_capacity(&self, callers: u32, lasting: Duration) -> f64 {
        let begun = Instant::now();
        let mut asking = JoinSet::new();
        for (_, client) in (0..callers).zip(self.clients.iter().cycle()) {
            let client = client.clone();
            asking.spawn(async move {
                let mut placed = 0_u32;
                while begun.elapsed() < lasting {
                    let is_placed = matches!(ask(client.clone(), &new_id()).await, Outcome::Placed(_));
                    placed += u32::from(is_placed && is_counted(begun, lasting));
                }
                placed
            });
        }
        let placed: u32 = asking.join_all().await.into_iter().sum();
        f64::from(placed) / (lasting - WARM_UP).as_secs_f64()
    }

    /// Runs sequential callers, each with a pause after a failed call.
    pub(super) async fn crowd(&self, callers: u32, lasting: Duration) -> Tally {
        let begun = Instant::now();
        let mut asking = JoinSet::new();
        for (_, client) in (0..callers).zip(self.clients.iter().cycle()) {
            let client = client.clone();
            asking.spawn(async move {
                let mut tally = Tally::default();
                while begun.elapsed() < lasting {
                    let outcome = ask(client.clone(), &new_id()).await;
                    tally.asked += 1;
                    tally.add(outcome, is_counted(begun, lasting));
                    if !matches!(outcome, Outcome::Placed(_)) {
                        tokio::time::sleep(IMPATIENCE).await;
                    }
                }
                tally
            });
        }
        let mut all = Tally { lasted: lasting, ..Tally::default() };
        asking.join_all().await.into_iter().for_each(|tally| all.join(tally));
        all
    }

    /// Starts this number of callers per second.
    pub(super) async fn come(&self, per_second: f64, lasting: Duration) -> Tally {
        let begun = Instant::now();
        let mut tally = Tally { lasted: lasting, ..Tally::default() };
        let mut asking = JoinSet::new();
        let mut clients = self.clients.iter().cycle();
        for number in 0_u32.. {
            let time = Duration::from_secs_f64(f64::from(number) / per_second);
            if time >= lasting {
                break;
            }
            tokio::time::sleep_until((begun + time).into()).await;
            tally.asked += 1;
            let client = clients.next().expect("a cycle").clone();
            let attempts = self.attempts;
            asking.spawn(async move {
                let outcomes = persist(client, attempts).await;
                (outcomes, is_counted(begun, lasting))
            });
        }
        for (outcomes, is_counted) in asking.join_all().await {
            outcomes.into_iter().for_each(|outcome| tally.add(outcome, is_counted));
        }
        tally
    }
}

async fn persist(client: OrderServiceClient<Channel>, attempts: u32) -> Vec<Outcome> {
    let request_id = new_id();
    let mut outcomes = Vec::new();
    for _ in 0..attempts {
        outcomes.push(ask(client.clone(), &request_id).await);
        if matches!(outcomes.last(), Some(Outcome::Placed(_))) {
            break;
        }
        tokio::time::sleep(IMPATIENCE).await;
    }
    outcomes
}

async fn ask(mut client: OrderServiceClient<Channel>, request_id: &str) -> Outcome {
    let order = Some(wish("tok_slow"));
    let mut request = Request::new(CreateOrderRequest { order, request_id: request_id.to_owned() });
    request.set_timeout(DEADLINE);
    let begun = Instant::now();
    let answer = tokio::time::timeout(DEADLINE * 2, client.create_order(request)).await;
    let took = begun.elapsed();
    match answer {
        Ok(Ok(_)) => Outcome::Placed(took),
        Ok(Err(status)) if is_refusal(&status) => Outcome::Refused(took),
        Ok(Err(_)) | Err(_) => Outcome::Failed(took),
    }
}

/// Whether an answer at this moment counts.
fn is_counted(begun: Instant, lasting: Duration) -> bool {
    (WARM_UP..lasting).contains(&begun.elapsed())
}

fn is_refusal(status: &Status) -> bool {
    let says_when = status.get_details_retry_info().is_some_and(|info| info.retry_delay.is_some());
    matches!(status.code(), Code::ResourceExhausted | Code::Unavailable) && says_when
}

impl Tally {
    fn add(&mut self, outcome: Outcome, is_counted: bool) {
        match outcome {
            Outcome::Placed(took) => {
                self.placed.push(took);
                self.counted += usize::from(is_counted);
            }
            Outcome::Refused(took) => self.refused.push(took),
            Outcome::Failed(took) => self.failed.push(took),
        }
    }

    fn join(&mut self, other: Self) {
        self.asked += other.asked;
        self.placed.extend(other.placed);
        self.counted += other.counted;
        self.refused.extend(other.refused);
        self.failed.extend(other.failed);
    }

    /// The share of callers whose order was placed.
    pub(super) fn available(&self) -> f64 {
        self.placed.len() as f64 / self.asked.max(1) as f64
    }

    /// Orders placed in time, per second.
    pub(super) fn goodput(&self) -> f64 {
        self.counted as f64 / (self.lasted - WARM_UP).as_secs_f64()
    }

    /// The time within which this share of the callers had an order. A caller without an answer in time counts as
    /// waiting until the deadline, even where the process gave up a little earlier.
    pub(super) fn waited(&self, share: f64) -> Duration {
        let failed = self.failed.iter().map(|took| DEADLINE.max(*took));
        quantile(self.placed.iter().copied().chain(failed).collect(), share)
    }

    /// The time within which this share of the refused calls was refused.
    pub(super) fn refused_within(&self, share: f64) -> Duration {
        quantile(self.refused.clone(), share)
    }

    pub(super) fn head() -> String {
        let columns = ["asked/s", "placed/s", "refused/s", "failed/s", "p50", "p99", "refused p50", "refused p99"];
        let columns: String = columns.iter().map(|column| format!("{column:>13}")).collect();
        format!("{:<22}{columns}", "phase")
    }

    pub(super) fn row(&self, phase: &str) -> String {
        let per_second = |count: usize| count as f64 / self.lasted.as_secs_f64();
        let [asked, refused, failed] = [self.asked, self.refused.len(), self.failed.len()].map(per_second);
        let rates = [asked, self.goodput(), refused, failed];
        let rates: String = rates.iter().map(|rate| format!("{rate:>13.1}")).collect();
        let times = [self.waited(0.5), self.waited(0.99), self.refused_within(0.5), self.refused_within(0.99)];
        let times: String = times.iter().map(|time| format!("{:>10.1} ms", time.as_secs_f64() * 1e3)).collect();
        format!("{phase:<22}{rates}{times}")
    }
}

pub(super) fn quantile(mut times: Vec<Duration>, share: f64) -> Duration {
    times.sort_unstable();
    let place = (times.len() as f64 * share).ceil() as usize;
    times.get(place.saturating_sub(1)).copied().unwrap_or_default()
}
