//! `jumun demo`: scenarios that run against a running instance through its public API.
//!
//! A demo is a play, and an entry in DEMOS. It prints each step as it happens. A failed step ends its
//! scene; the other scenes still run, and the demo fails.

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
        about: "Order, pay, cook and deliver food, with failures of each step",
        play: |runner, addresses| Box::pin(plays::food_delivery(runner, addresses)),
    },
    Demo {
        name: "education",
        about: "Enroll in a course, pay, complete or cancel, with failures of each step",
        play: |runner, addresses| Box::pin(plays::education(runner, addresses)),
    },
    Demo {
        name: "cleaning-service",
        about: "Register customers with a welcome notification, and cancel registrations",
        play: |runner, addresses| Box::pin(plays::cleaning_service(runner, addresses)),
    },
    Demo {
        name: "coffee-shop",
        about: "Order coffee at the counter, with stock that runs out",
        play: |runner, addresses| Box::pin(plays::coffee_shop(runner, addresses)),
    },
    Demo {
        name: "coffee-delivery",
        about: "Food delivery with version labels and an injected fault",
        play: |runner, addresses| Box::pin(coffee_delivery::play(runner, addresses)),
    },
];

/// An entry in the list of scenarios.
struct Demo {
    name: &'static str,
    about: &'static str,
    play: for<'a> fn(&'a ScenarioRunner, &'a Addresses<'a>) -> Play<'a>,
}

type Play<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;

/// The name for all scenarios, one after another.
const ALL: &str = "all";

/// Arguments of `jumun demo`.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// Scenario to run, or `all`
    #[arg(value_parser = names())]
    name: String,
}

fn names() -> PossibleValuesParser {
    let all = PossibleValue::new(ALL).help("All scenarios, one after another");
    DEMOS.iter().map(|demo| PossibleValue::new(demo.name).help(demo.about)).chain([all]).collect::<Vec<_>>().into()
}

/// Plays the scenarios against the contexts at `address` or their own address in `addresses`; fails if a step failed.
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
