//! The payment provider as a port, and the simulated provider: it has a durable ledger of its own, and its behavior
//! depends on the payment-method token, as with test cards.

use std::time::Duration;

use engine::{Aggregate, Decision, Engine, StateName};
use jumun_core::{
    Clock, Error, Money, Time, task,
    time::{sleep, timeout},
};

use crate::reasons;

/// The schema of the simulated provider's ledger.
pub const PROVIDER_SCHEMA: &str = "payment_provider";

/// How long the provider may take to answer; after that the outcome is unknown.
const PROVIDER_TIMEOUT: Duration = Duration::from_millis(1500);
/// The least and the greatest delay of `tok_slow`.
const SLOW_MIN_MS: i64 = 400;
const SLOW_MAX_MS: i64 = 620;
/// `tok_late` charges after every caller has timed out.
const LATE: Duration = Duration::from_secs(8);

/// The provider's decision about an authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The amount is held.
    Approved,
    /// It is not held, for this reason.
    Declined(String),
}

/// A payment provider. Every call is idempotent by `key`; an error that is transient leaves the outcome unknown.
#[tonic::async_trait]
pub(crate) trait PaymentProvider: Send + Sync {
    /// Holds an amount.
    async fn authorize(&self, key: &str, amount: Money, token: &str) -> Result<Verdict, Error>;
    /// Captures what is held.
    async fn capture(&self, key: &str) -> Result<(), Error>;
    /// Releases what is held, and refuses later authorizations.
    async fn void(&self, key: &str) -> Result<(), Error>;
    /// Refunds what was captured.
    async fn refund(&self, key: &str) -> Result<(), Error>;
}

/// One row of the simulated provider's ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Charge {
    /// The idempotency key.
    pub id: String,
    /// None when it was voided before it was authorized.
    pub amount: Option<Money>,
    pub state: ChargeState,
    pub decline_reason: String,
    pub create_time: Time,
    pub update_time: Time,
}

engine::states! {
    /// The state of a charge, by the names of the payment's states; the stored names are the ledger's own.
    pub enum ChargeState {
        Authorized = "HELD",
        Declined = "DECLINED",
        Captured = "TAKEN",
        Voided = "RELEASED",
        Refunded = "GIVEN_BACK",
    }
}

impl Charge {
    fn authorize(existing: Option<&Charge>, requested: &Charge) -> Result<Decision<Charge>, Error> {
        match existing {
            None => Decision::save(requested.clone()),
            Some(charge) if charge.amount.is_some_and(|amount| Some(amount) != requested.amount) => {
                Err(Error::request_id_reused())
            }
            Some(_) => Ok(Decision::Leave),
        }
    }

    fn capture(&self, now: Time) -> Result<Decision<Charge>, Error> {
        match self.state {
            ChargeState::Authorized => self.transition(ChargeState::Captured, now),
            ChargeState::Captured | ChargeState::Refunded => Ok(Decision::Leave),
            ChargeState::Declined | ChargeState::Voided => Err(self.refusal("captured")),
        }
    }

    /// Releases what is held; a captured charge is not held any more.
    fn void(&self, now: Time) -> Result<Decision<Charge>, Error> {
        if self.state == ChargeState::Authorized {
            self.transition(ChargeState::Voided, now)
        } else {
            Ok(Decision::Leave)
        }
    }

    fn refund(&self, now: Time) -> Result<Decision<Charge>, Error> {
        match self.state {
            ChargeState::Captured => self.transition(ChargeState::Refunded, now),
            ChargeState::Refunded => Ok(Decision::Leave),
            // The refund overtook the capture. It must be repeated, or the capture would never be refunded.
            ChargeState::Authorized => Err(Error::new(&reasons::NOT_TAKEN_YET, "the charge is not captured yet")),
            ChargeState::Declined | ChargeState::Voided => Err(self.refusal("refunded")),
        }
    }

    fn transition(&self, to: ChargeState, now: Time) -> Result<Decision<Charge>, Error> {
        Decision::save(Charge { state: to, update_time: now, ..self.clone() })
    }

    fn refusal(&self, what: &str) -> Error {
        Error::new(&reasons::PROVIDER_REFUSED, format!("a charge that is {} cannot be {what}", self.state.name()))
    }

    fn verdict(&self) -> Result<Verdict, Error> {
        match self.state {
            ChargeState::Authorized | ChargeState::Captured | ChargeState::Refunded => Ok(Verdict::Approved),
            ChargeState::Declined => Ok(Verdict::Declined(self.decline_reason.clone())),
            ChargeState::Voided => Err(Error::new(&reasons::PAYMENT_VOIDED, "the provider has voided the charge")),
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

/// Moves no money; records each charge in its ledger.
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
        let requested = Charge {
            id: key.to_owned(),
            amount: Some(amount),
            state: if decline_reason.is_empty() { ChargeState::Authorized } else { ChargeState::Declined },
            decline_reason: decline_reason.to_owned(),
            create_time: now,
            update_time: now,
        };
        let done = self.charges.begin(key, move |charge| Charge::authorize(charge, &requested)).await?;
        done.state.ok_or_else(|| Error::internal("a recorded charge is missing"))?.verdict()
    }

    /// Charges after the caller has timed out, unless the charge was voided meanwhile.
    fn charge_late(&self, key: &str, amount: Money) {
        let late = Self { charges: self.charges.clone(), clock: self.clock.clone() };
        let key = key.to_owned();
        task::spawn(async move {
            late.clock.sleep(LATE).await;
            let verdict = late.charge(&key, amount, "").await;
            tracing::debug!(key, ?verdict, "a late charge");
        });
    }

    async fn decide(&self, key: &str, rule: fn(&Charge, Time) -> Result<Decision<Charge>, Error>) -> Result<(), Error> {
        let now = self.clock.now();
        self.charges.command(key, None, move |charge| rule(charge, now)).await.map(drop)
    }

    /// A delay of `tok_slow`; it depends on the clock, so it varies.
    fn slow_delay(&self) -> Duration {
        let millis = SLOW_MIN_MS + self.clock.now().0 % (SLOW_MAX_MS - SLOW_MIN_MS + 1);
        Duration::from_millis(u64::try_from(millis).unwrap_or_default())
    }

    async fn behave(&self, key: &str, amount: Money, token: &str) -> Result<Verdict, Error> {
        match token {
            "tok_visa" => self.charge(key, amount, "").await,
            "tok_declined" => self.charge(key, amount, "INSUFFICIENT_FUNDS").await,
            "tok_slow" => {
                sleep(self.slow_delay()).await;
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
        self.decide(key, Charge::capture).await
    }

    async fn void(&self, key: &str) -> Result<(), Error> {
        let now = self.clock.now();
        let tombstone = Charge {
            id: key.to_owned(),
            amount: None,
            state: ChargeState::Voided,
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
        self.decide(key, Charge::refund).await
    }
}
