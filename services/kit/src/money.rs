//! Money in minor units of a known currency, and `google.type.Money` on the wire.

use contracts::Money as WireMoney;

/// The currencies that are taken, with the number of digits after the decimal point (ISO 4217).
const CURRENCIES: &[(&str, u32)] = &[
    ("AUD", 2),
    ("CAD", 2),
    ("CHF", 2),
    ("CNY", 2),
    ("EUR", 2),
    ("GBP", 2),
    ("HKD", 2),
    ("INR", 2),
    ("JPY", 0),
    ("KRW", 0),
    ("SEK", 2),
    ("SGD", 2),
    ("TWD", 2),
    ("USD", 2),
    ("VND", 0),
];

const NANOS_PER_UNIT: i64 = 1_000_000_000;

/// An amount, e.g. 1250 minor units of EUR for 12.50 €.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    currency: &'static str,
    minor: i64,
}

impl Money {
    /// An amount of minor units of a currency that is taken.
    pub fn new(currency: &str, minor: i64) -> Result<Self, String> {
        let (currency, _) = CURRENCIES
            .iter()
            .find(|(code, _)| *code == currency)
            .ok_or_else(|| format!("currency_code {currency:?} is not one of {}", codes()))?;
        Ok(Self { currency, minor })
    }

    /// Reads an amount from the wire; refuses fractions finer than the currency's minor unit, and overflow.
    pub fn from_wire(wire: &WireMoney) -> Result<Self, String> {
        let zero = Self::new(&wire.currency_code, 0)?;
        let nanos = i64::from(wire.nanos);
        if nanos.abs() >= NANOS_PER_UNIT || (wire.units.signum() * nanos.signum()) < 0 {
            return Err("nanos must be below one unit and of the sign of units".to_owned());
        }
        let per_unit = zero.minor_per_unit();
        let nanos_per_minor = NANOS_PER_UNIT / per_unit;
        if nanos % nanos_per_minor != 0 {
            return Err(format!("{} has no fraction that fine", zero.currency));
        }
        let minor = wire
            .units
            .checked_mul(per_unit)
            .and_then(|minor| minor.checked_add(nanos / nanos_per_minor))
            .ok_or("the amount is too large")?;
        Ok(Self { minor, ..zero })
    }

    /// The amount as the wire writes it.
    pub fn to_wire(self) -> WireMoney {
        let per_unit = self.minor_per_unit();
        WireMoney {
            currency_code: self.currency.to_owned(),
            units: self.minor / per_unit,
            nanos: i32::try_from(self.minor % per_unit * (NANOS_PER_UNIT / per_unit)).unwrap_or_default(),
        }
    }

    /// ISO 4217 code.
    pub fn currency(self) -> &'static str {
        self.currency
    }

    /// How many minor units.
    pub fn minor(self) -> i64 {
        self.minor
    }

    /// `quantity` times the amount; None when it is too large.
    pub fn checked_mul(self, quantity: i64) -> Option<Self> {
        Some(Self { minor: self.minor.checked_mul(quantity)?, ..self })
    }

    /// The sum; None when it is too large or the currencies differ.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        (self.currency == other.currency)
            .then(|| self.minor.checked_add(other.minor))
            .flatten()
            .map(|minor| Self { minor, ..self })
    }

    fn minor_per_unit(self) -> i64 {
        let digits = CURRENCIES.iter().find(|(code, _)| *code == self.currency).map_or(0, |(_, digits)| *digits);
        10_i64.pow(digits)
    }
}

fn codes() -> String {
    CURRENCIES.iter().map(|(code, _)| *code).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(currency: &str, units: i64, nanos: i32) -> WireMoney {
        WireMoney { currency_code: currency.to_owned(), units, nanos }
    }

    #[test]
    fn what_is_read_is_written_again() {
        for money in [wire("EUR", 12, 500_000_000), wire("KRW", 9_000, 0), wire("USD", -1, -10_000_000)] {
            assert_eq!(Money::from_wire(&money).map(Money::to_wire), Ok(money));
        }
    }

    #[test]
    fn refuses_what_the_currency_cannot_hold() {
        for money in [
            wire("KRW", 1, 500_000_000),
            wire("EUR", 1, 1),
            wire("EUR", i64::MAX, 0),
            wire("EUR", 1, -500_000_000),
            wire("EUR", 0, 1_000_000_000),
            wire("eur", 1, 0),
            wire("", 1, 0),
        ] {
            assert!(Money::from_wire(&money).is_err(), "{money:?}");
        }
    }

    #[test]
    fn sums_never_wrap_nor_mix_currencies() {
        let won = Money::new("KRW", i64::MAX).expect("a currency");
        assert_eq!(won.checked_add(won), None);
        assert_eq!(won.checked_mul(2), None);
        assert_eq!(won.checked_add(Money::new("EUR", 0).expect("a currency")), None);
    }
}
