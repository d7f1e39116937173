//! One caller: its requests, and whether a response is correct.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use client::AuthenticatedChannel;
use contracts::{
    Money,
    bench::v1::{EchoRequest, bench_service_client::BenchServiceClient},
    order::v1::{
        CreateOrderRequest, GetOrderRequest, Order,
        order::{Item, State},
        order_service_client::OrderServiceClient,
    },
};
use jumun_core::name::new_id;
use tonic::Request;

use crate::{
    mix::Call,
    tally::{Failure, Outcome},
};

const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const CUSTOMERS: u64 = 1000;
const STORES: u64 = 100;
/// The number of orders that `get-order` reads in turn: the last ones that were placed.
const RECENT_ORDERS: usize = 1024;

/// The names of the orders that were placed last.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Vec<String>>);

impl Recent {
    fn add(&self, name: &str, turn: u64) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() < RECENT_ORDERS {
            names.push(name.to_owned());
        } else {
            let index = index(turn, names.len());
            names[index] = name.to_owned();
        }
    }

    fn get(&self, turn: u64) -> Option<String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (!names.is_empty()).then(|| names[index(turn, names.len())].clone())
    }
}

fn index(turn: u64, length: usize) -> usize {
    usize::try_from(turn).unwrap_or_default() % length
}

/// A caller on a shared connection.
#[derive(Clone)]
pub(crate) struct Caller {
    bench: BenchServiceClient<AuthenticatedChannel>,
    orders: OrderServiceClient<AuthenticatedChannel>,
    payment_method: Arc<str>,
    /// Orders for `get-order`, if it is called.
    recent: Option<Arc<Recent>>,
}

impl Caller {
    pub(crate) fn new(channel: &AuthenticatedChannel, payment_method: &str, recent: Option<Arc<Recent>>) -> Self {
        Self {
            bench: BenchServiceClient::new(channel.clone()),
            orders: OrderServiceClient::new(channel.clone()),
            payment_method: payment_method.into(),
            recent,
        }
    }

    /// Makes a call. `turn` makes the requests of all callers distinct.
    pub(crate) async fn call(&mut self, call: Call, turn: u64) -> Outcome {
        match call {
            Call::Echo => self.bench.echo(timed(EchoRequest {})).await.map(drop).map_err(|status| (&status).into()),
            Call::CreateOrder => self.create_order(turn).await.map(drop),
            Call::GetOrder => self.get_order(turn).await,
        }
    }

    /// Places an order; returns its name.
    pub(crate) async fn create_order(&mut self, turn: u64) -> Result<String, Failure> {
        let customer = format!("customers/c-{}", turn % CUSTOMERS);
        let items = items(turn);
        let total: i64 = items.iter().map(|item| price(item) * i64::from(item.quantity)).sum();
        let order = Order {
            customer: customer.clone(),
            store: format!("stores/s-{}", turn % STORES),
            items,
            payment_method: self.payment_method.to_string(),
            ..Order::default()
        };
        let request = CreateOrderRequest { order: Some(order), request_id: new_id() };
        let answer = self.orders.create_order(timed(request)).await.map_err(|status| Failure::from(&status))?;
        let order = answer.into_inner();
        check(&order, &customer, total)?;
        if let Some(recent) = &self.recent {
            recent.add(&order.name, turn);
        }
        Ok(order.name)
    }

    async fn get_order(&mut self, turn: u64) -> Outcome {
        let name = self.recent.as_ref().and_then(|recent| recent.get(turn)).ok_or_else(|| wrong("no order"))?;
        let request = GetOrderRequest { name: name.clone() };
        let answer = self.orders.get_order(timed(request)).await.map_err(|status| Failure::from(&status))?;
        if answer.get_ref().name == name { Ok(()) } else { Err(wrong("name")) }
    }
}

/// A request with a deadline.
pub(crate) fn timed<T>(message: T) -> Request<T> {
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

fn check(order: &Order, customer: &str, total: i64) -> Outcome {
    let is_total = |sum: &Money| sum.currency_code == "KRW" && sum.units == total && sum.nanos == 0;
    match order {
        order if order.state() != State::Placed => Err(wrong("state")),
        order if !order.total.as_ref().is_some_and(is_total) => Err(wrong("total")),
        order if order.payment.is_empty() => Err(wrong("payment")),
        order if order.customer != customer => Err(wrong("customer")),
        _ => Ok(()),
    }
}

fn wrong(what: &str) -> Failure {
    Failure::Error(format!("OK WRONG_{}", what.to_uppercase().replace(' ', "_")))
}
