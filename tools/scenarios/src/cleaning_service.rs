//! cleaning-service: Mina is registered once a welcome message was delivered, and is notified when she cancels.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use client::AuthenticatedChannel;
use contracts::{
    customer::v1::{
        CancelCustomerRequest, CreateCustomerRequest, Customer, GetCustomerRequest, customer::State,
        customer_service_client::CustomerServiceClient,
    },
    dashboard::v1::{
        CustomerView, ListCustomerViewsRequest, ListCustomerViewsResponse,
        dashboard_service_client::DashboardServiceClient,
    },
    notification::v1::{
        ListInboxMessagesRequest, ListInboxMessagesResponse, notification_service_client::NotificationServiceClient,
    },
};
use jumun_core::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tonic::Code;

use crate::{
    addresses::Addresses,
    clients::{calls, connect},
    describe::{Describe, checked, described, eventually, new_id},
    refusal::{Answer, Refusal},
    runner::{ScenarioRunner, Scene, StepFailed, StepResult},
};

/// Number of people who register at the same time.
const RUSH: usize = 200;
/// A late message arrives within this time after its registration was rejected.
const LATE: Duration = Duration::from_secs(10);
const LATE_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The participants of one run. Their accounts are new in each run, so that runs do not affect each other.
#[derive(Clone)]
pub(crate) struct Cast {
    customers: CustomerServiceClient<AuthenticatedChannel>,
    notifications: NotificationServiceClient<AuthenticatedChannel>,
    dashboard: DashboardServiceClient<AuthenticatedChannel>,
    run: String,
}

impl Cast {
    pub(crate) async fn connect(addresses: &Addresses<'_>) -> anyhow::Result<Self> {
        Ok(Self {
            customers: CustomerServiceClient::new(connect("customer", addresses).await?),
            notifications: NotificationServiceClient::new(connect("notification", addresses).await?),
            dashboard: DashboardServiceClient::new(connect("dashboard", addresses).await?),
            // The last digits of a version 7 UUID are random; the first are the time.
            run: new_id().split_off(24),
        })
    }

    calls! {
        customers.create_customer(CreateCustomerRequest) -> Customer;
        customers.get_customer(GetCustomerRequest) -> Customer;
        customers.cancel_customer(CancelCustomerRequest) -> Customer;
        notifications.list_inbox_messages(ListInboxMessagesRequest) -> ListInboxMessagesResponse;
        dashboard.list_customer_views(ListCustomerViewsRequest) -> ListCustomerViewsResponse;
    }
}

impl Describe for Customer {
    fn describe(&self) -> String {
        let reason = if self.state_reason.is_empty() { String::new() } else { format!(" ({})", self.state_reason) };
        format!("{} is {}{reason}", self.name, self.state().as_str_name())
    }
}

/// The messages on a phone.
pub(crate) struct Phone(pub(crate) Vec<String>);

impl Describe for Phone {
    fn describe(&self) -> String {
        if self.0.is_empty() { "nothing".to_owned() } else { self.0.join(" ") }
    }
}

impl Describe for CustomerView {
    fn describe(&self) -> String {
        let history: Vec<_> = self.history.iter().map(|entry| entry.state.as_str()).collect();
        format!("{} is {}: {}", self.name, self.state, history.join(", "))
    }
}

impl Cast {
    /// An account of this run. The simulated Kakao behaves according to its first part.
    pub(crate) fn account(&self, id: &str) -> String {
        format!("customers/{id}-{}", self.run)
    }

    pub(crate) fn person(&self, id: &str) -> Customer {
        Customer {
            display_name: "Kim Mina".to_owned(),
            address: "Gangnam-daero 1".to_owned(),
            age: 29,
            phone: "010-1234-5678".to_owned(),
            account: self.account(id),
            ..Customer::default()
        }
    }

    pub(crate) async fn register(&self, customer: &Customer, request_id: &str) -> Answer<Customer> {
        let request = CreateCustomerRequest { customer: Some(customer.clone()), request_id: request_id.to_owned() };
        self.create_customer(request).await
    }

    pub(crate) async fn phone(&self, id: &str) -> Answer<Phone> {
        let filter = format!("recipient = {} AND state = DELIVERED", self.account(id));
        let order_by = "create_time".to_owned();
        let request = ListInboxMessagesRequest { filter, order_by, ..ListInboxMessagesRequest::default() };
        let messages = self.list_inbox_messages(request).await?.inbox_messages;
        Ok(Phone(messages.into_iter().map(|message| message.text).collect()))
    }

    /// Waits until the phone has `count` messages, the last of which starts with `begins`.
    pub(crate) async fn receives(&self, id: &str, count: usize, begins: &str) -> StepResult<Phone> {
        let expected = format!("{count} messages, the last one: {begins}…");
        let holds =
            |phone: &Phone| phone.0.len() == count && phone.0.last().is_some_and(|text| text.starts_with(begins));
        described(eventually(&expected, || self.phone(id), holds).await?)
    }

    async fn customer(&self, name: &str) -> Answer<Customer> {
        self.get_customer(GetCustomerRequest { name: name.to_owned() }).await
    }

    async fn becomes(&self, name: &str, state: State) -> StepResult<Customer> {
        let ask = || self.customer(name);
        let expected = format!("{name} to be {}", state.as_str_name());
        described(eventually(&expected, ask, |customer| customer.state() == state).await?)
    }
}

pub(crate) async fn registering(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let (person, request_id) = (cast.person("mina"), new_id());
    let registered = async {
        checked(cast.register(&person, &request_id).await?, "REGISTERED", |customer| {
            customer.state() == State::Registered
        })
    };
    let customer = runner.step("Mina registers", registered).await?;
    runner.step("Her phone receives the welcome", cast.receives("mina", 1, "Welcome")).await?;
    let again = async {
        let again = cast.register(&person, &request_id).await?;
        ensure!(again == customer, "expected the first answer {}, got {}", customer.describe(), again.describe());
        let phone = cast.phone("mina").await?;
        ensure!(phone.0.len() == 1, "expected one message, got {}", phone.describe());
        Ok(((), "the same response; no second message".to_owned()))
    };
    runner.step("Her phone sends the same request again", again).await?;
    let other = async {
        let other = Customer { phone: "010-9999-9999".to_owned(), ..person.clone() };
        let refusal = refused(cast.register(&other, &request_id).await)?;
        refusal.require(Code::FailedPrecondition, "REQUEST_ID_REUSED")?;
        Ok(((), refusal.to_string()))
    };
    runner.step("It sends another phone number with the same request_id", other).await
}

pub(crate) async fn unreached(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let blocked = async {
        let refusal = refused(cast.register(&cast.person("blocked"), &new_id()).await)?;
        refusal.require(Code::FailedPrecondition, "CUSTOMER_NOT_REACHED")?;
        Ok((named(&refusal)?, refusal.to_string()))
    };
    let name = runner.step("Joon blocks messages, and tries to register", blocked).await?;
    runner.step("Joon's registration is rejected", cast.becomes(&name, State::Rejected)).await?;
    let (slow, failing, lost, late) = tokio::join!(
        runner.step("Kakao is slow, and Bora is registered after a delay", slow(cast)),
        Box::pin(unconfirmed(runner, cast, "failing", State::Rejected)),
        Box::pin(unconfirmed(runner, cast, "lost", State::Registered)),
        Box::pin(unconfirmed(runner, cast, "late", State::Rejected)),
    );
    slow?;
    failing?;
    lost?;
    late?;
    runner.step("The customer whose response was lost has one welcome", cast.receives("lost", 1, "Welcome")).await?;
    runner.step("The late message is rejected", stays_silent(cast)).await
}

async fn slow(cast: &Cast) -> StepResult<Customer> {
    checked(cast.register(&cast.person("slow"), &new_id()).await?, "REGISTERED", |customer| {
        customer.state() == State::Registered
    })
}

/// The outcome of the welcome is unknown: the caller is asked to retry, and the registration reaches the state `end`.
async fn unconfirmed(runner: &ScenarioRunner, cast: &Cast, id: &str, end: State) -> Result<(), StepFailed> {
    let asked = async {
        let refusal = refused(cast.register(&cast.person(id), &new_id()).await)?;
        refusal.require_retry()?;
        Ok((named(&refusal)?, refusal.to_string()))
    };
    let name = runner.step(&format!("The welcome is {id}: the outcome is unknown"), asked).await?;
    runner.step(&format!("The registration with the {id} welcome is settled"), cast.becomes(&name, end)).await.map(drop)
}

async fn stays_silent(cast: &Cast) -> StepResult<()> {
    let begun = Instant::now();
    while begun.elapsed() < LATE {
        let phone = cast.phone("late").await?;
        ensure!(phone.0.is_empty(), "expected nothing, got {}", phone.describe());
        sleep(LATE_POLL_INTERVAL).await;
    }
    Ok(((), "no message arrives".to_owned()))
}

/// Every customer is registered or asked to retry, and every registration is settled.
pub(crate) async fn rush(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let open = runner.step(&format!("{RUSH} people register at once, and Kakao is slow"), all_at_once(cast)).await?;
    for name in open {
        let ends = async {
            described(
                eventually("an end", || cast.customer(&name), |customer| customer.state() != State::Pending).await?,
            )
        };
        runner.step("A registration that was to be retried is settled", ends).await?;
    }
    Ok(())
}

async fn all_at_once(cast: &Cast) -> StepResult<Vec<String>> {
    let mut people = JoinSet::new();
    for index in 0..RUSH {
        let cast = cast.clone();
        people.spawn(async move { cast.register(&cast.person(&format!("slow-{index}")), &new_id()).await });
    }
    let (mut registered, mut open, mut refusals) = (0, Vec::new(), BTreeMap::<String, usize>::new());
    while let Some(answer) = people.join_next().await {
        match answer? {
            Ok(_) => registered += 1,
            Err(refusal) => {
                let after = refusal.require_retry()?;
                open.extend(refusal.metadata.get("customer").cloned());
                *refusals.entry(format!("{} in {} s", refusal.title(), after.as_secs_f64())).or_default() += 1;
            }
        }
    }
    let mut text = format!("{registered} are REGISTERED");
    for (title, count) in refusals {
        text += &format!(", {count} are asked to retry ({title})");
    }
    Ok((open, text))
}

pub(crate) async fn leaving(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let registered = async { described(cast.register(&cast.person("bora"), &new_id()).await?) };
    let customer = runner.step("Bora registers", registered).await?;
    let cancel = async {
        let request = CancelCustomerRequest { name: customer.name.clone(), request_id: new_id() };
        let cancelled = cast.cancel_customer(request).await?;
        checked(cancelled, "CANCELLED", |customer| customer.state() == State::Cancelled)
    };
    runner.step("Bora cancels; this does not wait for a notification", cancel).await?;
    runner.step("She is notified once", cast.receives("bora", 2, "Your registration is cancelled")).await?;
    runner.step("The dashboard shows the history of the registration", view(cast, &customer)).await.map(drop)
}

async fn view(cast: &Cast, customer: &Customer) -> StepResult<CustomerView> {
    let ask = || async {
        let filter = format!("account = {}", customer.account);
        let request = ListCustomerViewsRequest { filter, ..ListCustomerViewsRequest::default() };
        let views = cast.list_customer_views(request).await?.customer_views;
        Ok(views.into_iter().next().unwrap_or_default())
    };
    let is_whole = |view: &CustomerView| view.state == "CANCELLED" && view.history.len() == 4;
    described(eventually("CANCELLED, with two notifications delivered", ask, is_whole).await?)
}

/// Returns the expected error.
fn refused<T: Describe>(answer: Answer<T>) -> anyhow::Result<Box<Refusal>> {
    match answer {
        Ok(value) => anyhow::bail!("expected a refusal, got {}", value.describe()),
        Err(refusal) => Ok(refusal),
    }
}

fn named(refusal: &Refusal) -> anyhow::Result<String> {
    let customer = refusal.metadata.get("customer").cloned();
    customer.with_context(|| format!("expected metadata that names the customer, got {refusal}"))
}
