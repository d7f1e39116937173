//! Money in minor units of a supported currency, and its conversion from and to the parts of `google.type.Money`.

/// The supported currencies, with the number of digits after the decimal point (ISO 4217).
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
    /// An amount in minor units; fails if the currency is not supported.
    pub fn new(currency: &str, minor: i64) -> Result<Self, String> {
        let (currency, _) = CURRENCIES
            .iter()
            .find(|(code, _)| *code == currency)
            .ok_or_else(|| format!("currency_code {currency:?} is not one of {}", codes()))?;
        Ok(Self { currency, minor })
    }

    /// Converts the parts of a `google.type.Money`; fails on fractions finer than the currency's minor unit, and on
    /// overflow.
    pub fn from_parts(currency_code: &str, units: i64, nanos: i32) -> Result<Self, String> {
        let zero = Self::new(currency_code, 0)?;
        let nanos = i64::from(nanos);
        if nanos.abs() >= NANOS_PER_UNIT || (units.signum() * nanos.signum()) < 0 {
            return Err("nanos must be below one unit and of the sign of units".to_owned());
        }
        let per_unit = zero.minor_per_unit();
        let nanos_per_minor = NANOS_PER_UNIT / per_unit;
        if nanos % nanos_per_minor != 0 {
            return Err(format!("{} has no fraction that fine", zero.currency));
        }
        let minor = units
            .checked_mul(per_unit)
            .and_then(|minor| minor.checked_add(nanos / nanos_per_minor))
            .ok_or("the amount is too large")?;
        Ok(Self { minor, ..zero })
    }

    /// Whole units and billionths of a unit: the parts of `google.type.Money`.
    pub fn units_and_nanos(self) -> (i64, i32) {
        let per_unit = self.minor_per_unit();
        let nanos = i32::try_from(self.minor % per_unit * (NANOS_PER_UNIT / per_unit)).unwrap_or_default();
        (self.minor / per_unit, nanos)
    }

    /// ISO 4217 code.
    pub fn currency(self) -> &'static str {
        self.currency
    }

    /// The amount in minor units.
    pub fn minor(self) -> i64 {
        self.minor
    }

    /// `quantity` times the amount; None on overflow.
    pub fn checked_mul(self, quantity: i64) -> Option<Self> {
        Some(Self { minor: self.minor.checked_mul(quantity)?, ..self })
    }

    /// The sum; None on overflow, or if the currencies differ.
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

    #[test]
    fn parts_convert_back_to_the_same_parts() {
        for (currency, units, nanos) in [("EUR", 12, 500_000_000), ("KRW", 9_000, 0), ("USD", -1, -10_000_000)] {
            assert_eq!(Money::from_parts(currency, units, nanos).map(Money::units_and_nanos), Ok((units, nanos)));
        }
    }

    #[test]
    fn rejects_what_the_currency_cannot_represent() {
        for (currency, units, nanos) in [
            ("KRW", 1, 500_000_000),
            ("EUR", 1, 1),
            ("EUR", i64::MAX, 0),
            ("EUR", 1, -500_000_000),
            ("EUR", 0, 1_000_000_000),
            ("eur", 1, 0),
            ("", 1, 0),
        ] {
            assert!(Money::from_parts(currency, units, nanos).is_err(), "{currency} {units} {nanos}");
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
