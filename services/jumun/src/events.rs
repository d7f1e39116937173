//! `jumun events`: prints the events of a resource and of everything that belongs to it, from every context.

mod related;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::ExitCode,
};

use client::{AuthenticatedChannel, Connector};
use contracts::{
    EventType,
    admin::v1::{Event, ListEventsRequest, admin_service_client::AdminServiceClient},
    customer::v1::{GetCustomerRequest, customer_service_client::CustomerServiceClient},
};
use jumun_core::name::is_name;
use serde_json::json;
use tonic::{Code, Status};

use crate::operator::{self, PAGE_SIZE, explain};

/// Arguments of `jumun events`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EventsArgs {
    /// Name of an order, enrollment, customer, or of any other resource with events, e.g. orders/{uuid}
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    /// Print a JSON object instead of a line for each event
    #[arg(long)]
    json: bool,
}

fn name(text: &str) -> Result<String, String> {
    if is_name(text) { Ok(text.to_owned()) } else { Err("must be a resource name, e.g. orders/{uuid}".to_owned()) }
}

/// Prints the events; fails if there are none. `addresses` are those of contexts that run elsewhere than at `address`.
pub(crate) async fn run(
    args: &EventsArgs,
    address: &str,
    addresses: &BTreeMap<String, String>,
    connector: &Connector,
) -> anyhow::Result<ExitCode> {
    let mut reader = Reader { address, addresses, connector, channels: BTreeMap::new(), missing: BTreeSet::new() };
    let events = reader.history(&args.name).await?;
    let missing = reader.missing.into_iter().collect::<Vec<_>>().join(", ");
    let missing = if missing.is_empty() { missing } else { format!("; not running at {address}: {missing}") };
    anyhow::ensure!(!events.is_empty(), "{} has no events{missing}", args.name);
    let mut out = std::io::stdout().lock();
    if args.json {
        let events = events.iter().map(|event| operator::to_json("Event", event)).collect::<Result<Vec<_>, _>>()?;
        writeln!(out, "{}", json!({ "events": events }))?;
    } else {
        out.write_all(lines(&events).as_bytes())?;
    }
    if !missing.is_empty() {
        // Standard error may be closed; the events were printed.
        let _ = writeln!(std::io::stderr(), "jumun: these are not all events{missing}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads events from the processes of the contexts.
struct Reader<'a> {
    address: &'a str,
    addresses: &'a BTreeMap<String, String>,
    connector: &'a Connector,
    channels: BTreeMap<&'a str, AuthenticatedChannel>,
    /// The contexts that do not run where they were looked for.
    missing: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    /// The events of a resource and of what belongs to it, oldest first.
    async fn history(&mut self, name: &str) -> anyhow::Result<Vec<Event>> {
        let mut ranked = Vec::new();
        let mut names = related::by_name(name);
        names.extend(self.welcome(&names[0]).await?);
        for name in &names {
            ranked.extend(self.events(name).await?);
        }
        for notification in related::notifications(&ranked) {
            ranked.extend(self.events(&notification).await?);
        }
        // The sort is stable: events of one time stay in the sequence of the contexts.
        ranked.sort_by_key(|event| event.create_time.map(|time| (time.seconds, time.nanos)));
        Ok(ranked)
    }

    /// The events of one resource, in order; none if its context does not run there.
    async fn events(&mut self, name: &str) -> anyhow::Result<Vec<Event>> {
        let collection = name.split_once('/').map_or(name, |(collection, _)| collection);
        let context = EventType::all().find(|of| of.collection == collection).map_or("", |of| of.context.as_str());
        let mut admin = AdminServiceClient::new(self.channel(context).await?);
        let (mut events, mut page_token) = (Vec::new(), String::new());
        loop {
            let filter = format!("aggregate = \"{name}\"");
            let page = admin.list_events(ListEventsRequest { page_size: PAGE_SIZE, page_token, filter }).await;
            let page = match page {
                Ok(page) => page.into_inner(),
                Err(status) if status.code() == Code::NotFound => {
                    self.missing.insert(context.to_owned());
                    return Ok(events);
                }
                Err(status) => return Err(explain(&status)),
            };
            events.extend(page.events);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(events);
            }
        }
    }

    /// The notification that welcomed a customer, which only its registration names.
    async fn welcome(&mut self, name: &str) -> anyhow::Result<Option<String>> {
        if !name.starts_with("customers/") {
            return Ok(None);
        }
        let mut customers = CustomerServiceClient::new(self.channel("customer").await?);
        let unknown = |status: &Status| matches!(status.code(), Code::NotFound | Code::Unimplemented);
        match customers.get_customer(GetCustomerRequest { name: name.to_owned() }).await {
            Ok(customer) => Ok(Some(customer.into_inner().notification).filter(|name| !name.is_empty())),
            Err(status) if unknown(&status) => Ok(None),
            Err(status) => Err(explain(&status)),
        }
    }

    /// The connection to the process of a context.
    async fn channel(&mut self, context: &str) -> anyhow::Result<AuthenticatedChannel> {
        let address = self.addresses.get(context).map_or(self.address, String::as_str);
        if let Some(channel) = self.channels.get(address) {
            return Ok(channel.clone());
        }
        let channel = operator::connect(address, self.connector).await?;
        self.channels.insert(address, channel.clone());
        Ok(channel)
    }
}

/// A line for each event: when, what, its id, and the event that caused it.
fn lines(events: &[Event]) -> String {
    let width = |text: fn(&Event) -> usize| events.iter().map(text).max().unwrap_or_default();
    let (kind, id) = (width(|event| event.kind.len()), width(|event| event.event.len()));
    let line = |event: &Event| {
        let cause = if event.causation.is_empty() { String::new() } else { format!("after {}", event.causation) };
        let line =
            format!("{:<27}  {:<kind$}  {:<id$}  {cause}", operator::time(event.create_time), event.kind, event.event);
        line.trim_end().to_owned() + "\n"
    };
    events.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    #[test]
    fn an_event_is_a_line_with_its_cause() {
        let event = |event: &str, kind: &str, causation: &str| Event {
            event: event.to_owned(),
            kind: kind.to_owned(),
            causation: causation.to_owned(),
            create_time: Some(Timestamp { seconds: 1, nanos: 5_000 }),
            ..Event::default()
        };
        let printed = lines(&[event("order/a/1", "OrderPlaced", ""), event("store/a/1", "Opened", "order/a/1")]);
        let expected = "1970-01-01T00:00:01.000005Z  OrderPlaced  order/a/1\n\
                        1970-01-01T00:00:01.000005Z  Opened       store/a/1  after order/a/1\n";
        assert_eq!(printed, expected);
    }

    #[test]
    fn a_name_has_a_collection_and_an_id() {
        assert_eq!(name("orders/a"), Ok("orders/a".to_owned()));
        for wrong in ["", "orders", "orders/", "orders/A b", "orders/a/b"] {
            assert!(name(wrong).expect_err("refused").contains("orders/{uuid}"), "{wrong:?}");
        }
    }
}
