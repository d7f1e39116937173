//! Scenarios played against a running instance by people who know nothing of it but its public API.
//!
//! A demo is one play, and one line in DEMOS. It tells each step as it happens; a step that does not hold
//! ends its scene, the other scenes are still played, and the demo fails.

mod addresses;
mod cleaning_orders;
mod cleaning_service;
mod clients;
mod coffee_course;
mod coffee_delivery;
mod coffee_shop;
mod coffee_stock;
mod describe;
mod education;
mod education_course;
mod education_fees;
mod food_cards;
mod food_course;
mod food_delivery;
mod food_load;
mod food_withdrawal;
mod plays;
mod refusal;
mod runner;
mod watching;

use std::{collections::BTreeMap, future::Future, pin::Pin};

use clap::builder::{PossibleValue, PossibleValuesParser};
use client::Connector;

use addresses::Addresses;
use runner::ScenarioRunner;

const DEMOS: &[Demo] = &[
    Demo {
        name: "food-delivery",
        about: "Order, pay, cook, deliver; and what happens when one of them fails",
        play: |runner, addresses| Box::pin(plays::food_delivery(runner, addresses)),
    },
    Demo {
        name: "education",
        about: "Enroll, pay, learn or withdraw; and what happens when one of them fails",
        play: |runner, addresses| Box::pin(plays::education(runner, addresses)),
    },
    Demo {
        name: "cleaning-service",
        about: "Register and be welcomed at once, or not be registered; leave, and hear of it",
        play: |runner, addresses| Box::pin(plays::cleaning_service(runner, addresses)),
    },
    Demo {
        name: "coffee-shop",
        about: "Order, pay, take from the stock, make; and what happens when there is not enough of it",
        play: |runner, addresses| Box::pin(plays::coffee_shop(runner, addresses)),
    },
    Demo {
        name: "coffee-delivery",
        about: "food-delivery by processes that can be told apart: who served it, and a fault for a drill",
        play: |runner, addresses| Box::pin(coffee_delivery::play(runner, addresses)),
    },
];

/// A scenario, as the list knows it.
struct Demo {
    name: &'static str,
    about: &'static str,
    play: for<'a> fn(&'a ScenarioRunner, &'a Addresses<'a>) -> Play<'a>,
}

type Play<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;

/// The name that means every demo, one after another.
const ALL: &str = "all";

/// What `jumun demo` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// The scenario to play, or all of them
    #[arg(value_parser = names())]
    name: String,
}

fn names() -> PossibleValuesParser {
    let all = PossibleValue::new(ALL).help("Every one of them, one after another");
    DEMOS.iter().map(|demo| PossibleValue::new(demo.name).help(demo.about)).chain([all]).collect::<Vec<_>>().into()
}

/// Plays what was asked for against the contexts at `address`, or where `addresses` has another for one; fails when a step did
/// not hold.
pub async fn run(
    args: &DemoArgs,
    address: &str,
    addresses: &BTreeMap<String, String>,
    connector: &Connector,
) -> anyhow::Result<()> {
    let addresses = Addresses { default: address, overrides: addresses, connector };
    let runner = ScenarioRunner::new();
    for demo in DEMOS.iter().filter(|demo| [demo.name, ALL].contains(&args.name.as_str())) {
        runner.open(demo.name, demo.about);
        (demo.play)(&runner, &addresses).await?;
    }
    runner.close()
}
