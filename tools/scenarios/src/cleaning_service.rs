//! cleaning-service: Mina registers and is welcomed at once, or is not registered; and hears when she leaves.

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
    describe::{Describe, eventually, new_id, seen, told},
    refusal::{Answer, Refusal},
    runner::{Broken, ScenarioRunner, Scene, StepResult},
};

/// Who registers at once.
const RUSH: usize = 200;
/// A late message arrives within this after it was given up.
const LATE: Duration = Duration::from_secs(10);
const LATE_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Who takes part in one run. Their accounts are new, so that one run does not meet another's.
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

/// What is on somebody's phone.
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
    /// An account of this run; the simulated Kakao goes by its first word.
    pub(crate) fn account(&self, word: &str) -> String {
        format!("customers/{word}-{}", self.run)
    }

    pub(crate) fn person(&self, word: &str) -> Customer {
        Customer {
            display_name: "Kim Mina".to_owned(),
            address: "Gangnam-daero 1".to_owned(),
            age: 29,
            phone: "010-1234-5678".to_owned(),
            account: self.account(word),
            ..Customer::default()
        }
    }

    pub(crate) async fn register(&self, customer: &Customer, request_id: &str) -> Answer<Customer> {
        let request = CreateCustomerRequest { customer: Some(customer.clone()), request_id: request_id.to_owned() };
        self.create_customer(request).await
    }

    pub(crate) async fn phone(&self, word: &str) -> Answer<Phone> {
        let filter = format!("recipient = {} AND state = DELIVERED", self.account(word));
        let order_by = "create_time".to_owned();
        let request = ListInboxMessagesRequest { filter, order_by, ..ListInboxMessagesRequest::default() };
        let messages = self.list_inbox_messages(request).await?.inbox_messages;
        Ok(Phone(messages.into_iter().map(|message| message.text).collect()))
    }

    /// Waits until there is one more message that begins so.
    pub(crate) async fn hears(&self, word: &str, count: usize, begins: &str) -> StepResult<Phone> {
        let expected = format!("{count} messages, the last one: {begins}…");
        let holds =
            |phone: &Phone| phone.0.len() == count && phone.0.last().is_some_and(|text| text.starts_with(begins));
        told(eventually(&expected, || self.phone(word), holds).await?)
    }

    async fn customer(&self, name: &str) -> Answer<Customer> {
        self.get_customer(GetCustomerRequest { name: name.to_owned() }).await
    }

    async fn becomes(&self, name: &str, state: State) -> StepResult<Customer> {
        let ask = || self.customer(name);
        let expected = format!("{name} to be {}", state.as_str_name());
        told(eventually(&expected, ask, |customer| customer.state() == state).await?)
    }
}

pub(crate) async fn registering(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let (person, request_id) = (cast.person("mina"), new_id());
    let registered = async {
        seen(cast.register(&person, &request_id).await?, "REGISTERED", |customer| customer.state() == State::Registered)
    };
    let customer = runner.step("Mina registers", registered).await?;
    runner.step("Her phone has the welcome", cast.hears("mina", 1, "Welcome")).await?;
    let again = async {
        let again = cast.register(&person, &request_id).await?;
        ensure!(again == customer, "expected the first answer {}, got {}", customer.describe(), again.describe());
        let phone = cast.phone("mina").await?;
        ensure!(phone.0.len() == 1, "expected one message, got {}", phone.describe());
        Ok(((), "the same answer, to the letter; no second message".to_owned()))
    };
    runner.step("Her phone sends the same request again", again).await?;
    let other = async {
        let other = Customer { phone: "010-9999-9999".to_owned(), ..person.clone() };
        let refusal = refused(cast.register(&other, &request_id).await)?;
        refusal.require(Code::FailedPrecondition, "REQUEST_ID_REUSED")?;
        Ok(((), refusal.to_string()))
    };
    runner.step("It sends another phone under the same request_id", other).await
}

pub(crate) async fn unreached(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let blocked = async {
        let refusal = refused(cast.register(&cast.person("blocked"), &new_id()).await)?;
        refusal.require(Code::FailedPrecondition, "CUSTOMER_NOT_REACHED")?;
        Ok((named(&refusal)?, refusal.to_string()))
    };
    let name = runner.step("Joon blocks messages, and wants to register", blocked).await?;
    runner.step("What became of Joon's registration", cast.becomes(&name, State::Rejected)).await?;
    let (slow, failing, lost, late) = tokio::join!(
        runner.step("Kakao is slow, and Bora waits a little", slow(cast)),
        Box::pin(unconfirmed(runner, cast, "failing", State::Rejected)),
        Box::pin(unconfirmed(runner, cast, "lost", State::Registered)),
        Box::pin(unconfirmed(runner, cast, "late", State::Rejected)),
    );
    slow?;
    failing?;
    lost?;
    late?;
    runner.step("Whose answer was lost is welcomed once", cast.hears("lost", 1, "Welcome")).await?;
    runner.step("The late message meets the tombstone", stays_silent(cast)).await
}

async fn slow(cast: &Cast) -> StepResult<Customer> {
    seen(cast.register(&cast.person("slow"), &new_id()).await?, "REGISTERED", |customer| {
        customer.state() == State::Registered
    })
}

/// The outcome is unknown: the customer is told to ask again, and in the end it is one or the other.
async fn unconfirmed(runner: &ScenarioRunner, cast: &Cast, word: &str, end: State) -> Result<(), Broken> {
    let asked = async {
        let refusal = refused(cast.register(&cast.person(word), &new_id()).await)?;
        refusal.require_retry()?;
        Ok((named(&refusal)?, refusal.to_string()))
    };
    let name = runner.step(&format!("The welcome is {word}"), asked).await?;
    runner.step(&format!("What became of it when it was {word}"), cast.becomes(&name, end)).await.map(drop)
}

async fn stays_silent(cast: &Cast) -> StepResult<()> {
    let begun = Instant::now();
    while begun.elapsed() < LATE {
        let phone = cast.phone("late").await?;
        ensure!(phone.0.is_empty(), "expected nothing, got {}", phone.describe());
        sleep(LATE_POLL_INTERVAL).await;
    }
    Ok(((), "nothing arrives any more".to_owned()))
}

/// Everybody is registered or asked to try again; nobody waits for ever.
pub(crate) async fn rush(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let open = runner.step(&format!("{RUSH} people register at once, and Kakao is slow"), all_at_once(cast)).await?;
    for name in open {
        let ends = async {
            told(eventually("an end", || cast.customer(&name), |customer| customer.state() != State::Pending).await?)
        };
        runner.step("What became of one who was put off", ends).await?;
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
    let mut told = format!("{registered} are REGISTERED");
    for (title, count) in refusals {
        told += &format!(", {count} are asked to try again ({title})");
    }
    Ok((open, told))
}

pub(crate) async fn leaving(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let registered = async { told(cast.register(&cast.person("bora"), &new_id()).await?) };
    let customer = runner.step("Bora registers", registered).await?;
    let cancel = async {
        let request = CancelCustomerRequest { name: customer.name.clone(), request_id: new_id() };
        let cancelled = cast.cancel_customer(request).await?;
        seen(cancelled, "CANCELLED", |customer| customer.state() == State::Cancelled)
    };
    runner.step("Bora cancels; nobody need be notified for that", cancel).await?;
    runner.step("The notice follows, once", cast.hears("bora", 2, "Your registration is cancelled")).await?;
    runner.step("The dashboard shows the registration's course", view(cast, &customer)).await.map(drop)
}

async fn view(cast: &Cast, customer: &Customer) -> StepResult<CustomerView> {
    let ask = || async {
        let filter = format!("account = {}", customer.account);
        let request = ListCustomerViewsRequest { filter, ..ListCustomerViewsRequest::default() };
        let views = cast.list_customer_views(request).await?.customer_views;
        Ok(views.into_iter().next().unwrap_or_default())
    };
    let is_whole = |view: &CustomerView| view.state == "CANCELLED" && view.history.len() == 4;
    told(eventually("CANCELLED, with two notifications delivered", ask, is_whole).await?)
}

/// The refusal that was expected.
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
