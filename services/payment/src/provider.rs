//! The payment provider as a port, and the simulated provider that is shipped: durable like a real one, with books of
//! its own, behaving by payment-method token as test cards do.

use std::time::Duration;

use engine::{Aggregate, Decision, Engine, StateName};
use jumun_core::{
    Clock, Error, Money, Time, task,
    time::{sleep, timeout},
};

use crate::reasons;

/// The schema of the simulated provider's books.
pub const PROVIDER_SCHEMA: &str = "payment_provider";

/// How long the provider may take to answer. What takes longer is unknown.
const PROVIDER_TIMEOUT: Duration = Duration::from_millis(1500);
/// `tok_slow` takes between these.
const SLOW_MIN_MS: i64 = 400;
const SLOW_MAX_MS: i64 = 620;
/// `tok_late` charges after everybody has given up.
const LATE: Duration = Duration::from_secs(8);

/// What the provider says about a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The amount is held.
    Approved,
    /// It is not, for this reason.
    Declined(String),
}

/// A payment provider. Every call is idempotent by `key`; an error that is transient leaves the outcome unknown.
#[tonic::async_trait]
pub(crate) trait PaymentProvider: Send + Sync {
    /// Holds an amount.
    async fn authorize(&self, key: &str, amount: Money, token: &str) -> Result<Verdict, Error>;
    /// Takes what is held.
    async fn capture(&self, key: &str) -> Result<(), Error>;
    /// Releases what is held, and refuses what is asked for later.
    async fn void(&self, key: &str) -> Result<(), Error>;
    /// Gives back what was taken.
    async fn refund(&self, key: &str) -> Result<(), Error>;
}

/// One row of the simulated provider's books.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Charge {
    /// The idempotency key.
    pub id: String,
    /// None when it was voided before it was asked for.
    pub amount: Option<Money>,
    pub state: ChargeState,
    pub decline_reason: String,
    pub create_time: Time,
    pub update_time: Time,
}

engine::states! {
    /// Where the money of a charge is.
    pub enum ChargeState {
        Held = "HELD",
        Declined = "DECLINED",
        Taken = "TAKEN",
        Released = "RELEASED",
        GivenBack = "GIVEN_BACK",
    }
}

impl Charge {
    fn asked(existing: Option<&Charge>, asked: &Charge) -> Result<Decision<Charge>, Error> {
        match existing {
            None => Decision::save(asked.clone()),
            Some(charge) if charge.amount.is_some_and(|amount| Some(amount) != asked.amount) => {
                Err(Error::request_id_reused())
            }
            Some(_) => Ok(Decision::Leave),
        }
    }

    fn capture(&self, now: Time) -> Result<Decision<Charge>, Error> {
        match self.state {
            ChargeState::Held => self.turn(ChargeState::Taken, now),
            ChargeState::Taken | ChargeState::GivenBack => Ok(Decision::Leave),
            ChargeState::Declined | ChargeState::Released => Err(self.refusal("taken")),
        }
    }

    /// Releases what is held; what is taken already is not held any more.
    fn void(&self, now: Time) -> Result<Decision<Charge>, Error> {
        if self.state == ChargeState::Held { self.turn(ChargeState::Released, now) } else { Ok(Decision::Leave) }
    }

    fn refund(&self, now: Time) -> Result<Decision<Charge>, Error> {
        match self.state {
            ChargeState::Taken => self.turn(ChargeState::GivenBack, now),
            ChargeState::GivenBack => Ok(Decision::Leave),
            // The refund overtook the capture: it is to come again, or the capture would stay.
            ChargeState::Held => Err(Error::new(&reasons::NOT_TAKEN_YET, "it is not taken yet")),
            ChargeState::Declined | ChargeState::Released => Err(self.refusal("given back")),
        }
    }

    fn turn(&self, to: ChargeState, now: Time) -> Result<Decision<Charge>, Error> {
        Decision::save(Charge { state: to, update_time: now, ..self.clone() })
    }

    fn refusal(&self, what: &str) -> Error {
        Error::new(&reasons::PROVIDER_REFUSED, format!("a charge that is {} cannot be {what}", self.state.name()))
    }

    fn verdict(&self) -> Result<Verdict, Error> {
        match self.state {
            ChargeState::Held | ChargeState::Taken | ChargeState::GivenBack => Ok(Verdict::Approved),
            ChargeState::Declined => Ok(Verdict::Declined(self.decline_reason.clone())),
            ChargeState::Released => {
                Err(Error::new(&reasons::PAYMENT_VOIDED, "the provider was told not to charge it"))
            }
        }
    }
}

impl Aggregate for Charge {
    type Event = ();
    type Resource = ();

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) {}
}

/// Charges nobody, and keeps books as if it did.
pub(crate) struct SimulatedProvider {
    charges: Engine<Charge>,
    clock: Clock,
}

impl SimulatedProvider {
    pub(crate) fn new(charges: Engine<Charge>, clock: Clock) -> Self {
        Self { charges, clock }
    }

    async fn charge(&self, key: &str, amount: Money, decline_reason: &str) -> Result<Verdict, Error> {
        let now = self.clock.now();
        let asked = Charge {
            id: key.to_owned(),
            amount: Some(amount),
            state: if decline_reason.is_empty() { ChargeState::Held } else { ChargeState::Declined },
            decline_reason: decline_reason.to_owned(),
            create_time: now,
            update_time: now,
        };
        let done = self.charges.begin(key, move |charge| Charge::asked(charge, &asked)).await?;
        done.state.ok_or_else(|| Error::internal("a charge was written and is not there"))?.verdict()
    }

    /// Charges when nobody waits any more, unless it was told not to meanwhile.
    fn charge_late(&self, key: &str, amount: Money) {
        let late = Self { charges: self.charges.clone(), clock: self.clock.clone() };
        let key = key.to_owned();
        task::spawn(async move {
            late.clock.sleep(LATE).await;
            let verdict = late.charge(&key, amount, "").await;
            tracing::debug!(key, ?verdict, "a late charge");
        });
    }

    async fn turn(&self, key: &str, rule: fn(&Charge, Time) -> Result<Decision<Charge>, Error>) -> Result<(), Error> {
        let now = self.clock.now();
        self.charges.command(key, None, move |charge| rule(charge, now)).await.map(drop)
    }

    /// As slow as a provider on a bad day; another wait each time.
    fn slowness(&self) -> Duration {
        let millis = SLOW_MIN_MS + self.clock.now().0 % (SLOW_MAX_MS - SLOW_MIN_MS + 1);
        Duration::from_millis(u64::try_from(millis).unwrap_or_default())
    }

    async fn behave(&self, key: &str, amount: Money, token: &str) -> Result<Verdict, Error> {
        match token {
            "tok_visa" => self.charge(key, amount, "").await,
            "tok_declined" => self.charge(key, amount, "INSUFFICIENT_FUNDS").await,
            "tok_slow" => {
                sleep(self.slowness()).await;
                self.charge(key, amount, "").await
            }
            "tok_error" => Err(Error::new(&reasons::PROVIDER_FAILED, "the payment provider failed")),
            "tok_lost" => {
                self.charge(key, amount, "").await?;
                std::future::pending().await
            }
            "tok_late" => {
                self.charge_late(key, amount);
                std::future::pending().await
            }
            _ => {
                let mut violations = jumun_core::Violations::default();
                violations.add("payment_method", "is not a payment method");
                violations.into_result()?;
                Err(Error::internal("no violation"))
            }
        }
    }
}

#[tonic::async_trait]
impl PaymentProvider for SimulatedProvider {
    async fn authorize(&self, key: &str, amount: Money, token: &str) -> Result<Verdict, Error> {
        match timeout(PROVIDER_TIMEOUT, self.behave(key, amount, token)).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(&reasons::PROVIDER_TIMED_OUT, "the payment provider did not answer in time")),
        }
    }

    async fn capture(&self, key: &str) -> Result<(), Error> {
        self.turn(key, Charge::capture).await
    }

    async fn void(&self, key: &str) -> Result<(), Error> {
        let now = self.clock.now();
        let tombstone = Charge {
            id: key.to_owned(),
            amount: None,
            state: ChargeState::Released,
            decline_reason: String::new(),
            create_time: now,
            update_time: now,
        };
        let rule = move |charge: Option<&Charge>| match charge {
            None => Decision::save(tombstone.clone()),
            Some(charge) => charge.void(now),
        };
        self.charges.execute(key, None, rule).await.map(drop)
    }

    async fn refund(&self, key: &str) -> Result<(), Error> {
        self.turn(key, Charge::refund).await
    }
}
