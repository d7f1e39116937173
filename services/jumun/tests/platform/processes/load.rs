//! Customers who order again and again, whatever happens, and remember every answer.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use contracts::order::v1::{Order, order::State as OrderState};
use futures::{StreamExt, stream};
use tokio::task::JoinSet;
use tonic::Code;

use super::{
    clients::{Answer, Clients, Refusal, new_id, wish},
    cluster::RECOVERY,
    temp_env::eventually,
};

/// Cards: two in nine are refused.
#[rustfmt::skip]
const CARDS: [&str; 9] = [
    "tok_visa",
    "tok_visa",
    "tok_declined",
    "tok_visa",
    "tok_visa",
    "tok_slow",
    "tok_visa",
    "tok_unheard_of",
    "tok_visa",
];
/// The pause after an unknown outcome.
const PAUSE: Duration = Duration::from_millis(20);
const CHECKED_AT_ONCE: usize = 16;

/// A request for an order, and its answer.
pub(crate) struct Attempt {
    pub(crate) request_id: String,
    pub(crate) wish: Order,
    pub(crate) answer: Answer<Order>,
    /// The command that followed: the customer cancels, or the store accepts.
    then: Option<Then>,
}

struct Then {
    cancels: bool,
    request_id: String,
    is_acknowledged: bool,
}

/// Customers that order concurrently.
pub(crate) struct Load {
    end: Arc<AtomicBool>,
    customers: JoinSet<Vec<Attempt>>,
}

impl Load {
    /// Starts this number of customers, each of which places one order after another.
    pub(crate) fn start(clients: &Clients, customers: usize) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let mut load = Self { end: end.clone(), customers: JoinSet::new() };
        for number in 0..customers {
            load.customers.spawn(keep_ordering(clients.clone(), end.clone(), number));
        }
        load
    }

    /// Waits for the requests in flight, and ends.
    pub(crate) async fn end(self) -> Vec<Attempt> {
        self.end.store(true, Relaxed);
        self.customers.join_all().await.into_iter().flatten().collect()
    }
}

async fn keep_ordering(clients: Clients, end: Arc<AtomicBool>, customer: usize) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    while !end.load(Relaxed) {
        let turn = attempts.len() + customer;
        let (request_id, wish) = (new_id(), wish(CARDS[turn % CARDS.len()]));
        let answer = clients.order(&wish, &request_id).await;
        if answer.as_ref().is_err_and(Refusal::leaves_it_open) {
            tokio::time::sleep(PAUSE).await;
        }
        let mut attempt = Attempt { request_id, wish, answer, then: None };
        attempt.then = attempt.go_on(&clients, turn).await;
        attempts.push(attempt);
    }
    attempts
}

impl Attempt {
    /// Some of the placed orders are cancelled, and some accepted by the store.
    async fn go_on(&self, clients: &Clients, turn: usize) -> Option<Then> {
        let name = &self.answer.as_ref().ok()?.name;
        let request_id = new_id();
        let (cancels, is_acknowledged) = match turn % 4 {
            0 => (true, clients.cancel(name, &request_id).await.is_ok()),
            1 => (false, clients.accept(name, &request_id).await.is_ok()),
            _ => return None,
        };
        Some(Then { cancels, request_id, is_acknowledged })
    }

    /// Every acknowledged order exists, and every unknown outcome becomes one final answer.
    async fn verify(&self, clients: &Clients) {
        match &self.answer {
            Ok(placed) => self.verify_placed(clients, placed).await,
            Err(refusal) => {
                assert_ne!(refusal.reason, "INTERNAL", "a fault of ours: {refusal}");
                self.verify_repeated(clients, (!refusal.leaves_it_open()).then_some(refusal)).await;
            }
        }
    }

    async fn verify_placed(&self, clients: &Clients, placed: &Order) {
        let found = clients.get_order(&placed.name).await;
        let found = found.unwrap_or_else(|lost| panic!("{} was acknowledged, and now: {lost}", placed.name));
        assert_eq!((&found.uid, &found.items, &found.total), (&placed.uid, &placed.items, &placed.total));
        let repeated = clients.order(&self.wish, &self.request_id).await;
        assert_eq!(repeated.as_ref().ok(), Some(placed), "the same request has the same answer: {repeated:?}");
        match &self.then {
            Some(then) if then.is_acknowledged && then.cancels => {
                assert_eq!(found.state(), OrderState::Cancelled, "{} was cancelled", found.name);
            }
            Some(then) if then.is_acknowledged => {
                clients.order_becomes(&placed.name, OrderState::Accepted).await;
                clients.accept(&placed.name, &then.request_id).await.expect("the same answer again");
            }
            _ => {}
        }
    }

    /// Repeats the request until the answer is final, then once more: it must be the same.
    async fn verify_repeated(&self, clients: &Clients, before: Option<&Refusal>) {
        let ask = || async {
            match clients.order(&self.wish, &self.request_id).await {
                Err(refusal) if refusal.leaves_it_open() => Err(refusal),
                answer => Ok(Final::of(answer)),
            }
        };
        let first = eventually(&format!("a final answer to {}", self.request_id), RECOVERY, ask).await;
        if let Some(before) = before {
            assert_eq!(first, Final::of(Err(before.clone())), "{}", self.request_id);
        }
        let second = eventually("the same answer", RECOVERY, ask).await;
        assert_eq!(first, second, "{}", self.request_id);
        if let Final::Placed(order) = first {
            clients.get_order(&order.name).await.expect("a placed order is there");
        }
    }
}

/// A final answer.
#[derive(Debug, PartialEq)]
enum Final {
    Placed(Box<Order>),
    Refused(Code, String),
}

impl Final {
    fn of(answer: Answer<Order>) -> Self {
        match answer {
            Ok(order) => Self::Placed(Box::new(order)),
            Err(refusal) => Self::Refused(refusal.code, refusal.reason),
        }
    }
}

/// The totals of a load.
pub(crate) struct Sum {
    pub(crate) acknowledged: usize,
    pub(crate) refused: usize,
    pub(crate) left_open: usize,
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} acknowledged, {} refused, {} left open", self.acknowledged, self.refused, self.left_open)
    }
}

pub(crate) fn sum(attempts: &[Attempt]) -> Sum {
    let count = |is: fn(&Refusal) -> bool| attempts.iter().filter(|each| each.answer.as_ref().is_err_and(is)).count();
    let (left_open, refused) = (count(Refusal::leaves_it_open), count(|refusal| !refusal.leaves_it_open()));
    Sum { acknowledged: attempts.len() - refused - left_open, refused, left_open }
}

/// Compares every answer with the present state.
pub(crate) async fn verify(attempts: &[Attempt], clients: &Clients) {
    stream::iter(attempts).for_each_concurrent(CHECKED_AT_ONCE, |attempt| attempt.verify(clients)).await;
}
