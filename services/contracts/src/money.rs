//! Converts `google.type.Money` to and from the platform's `Money`.

use crate::Money;

impl From<jumun_core::Money> for Money {
    fn from(money: jumun_core::Money) -> Self {
        let (units, nanos) = money.units_and_nanos();
        Self { currency_code: money.currency().to_owned(), units, nanos }
    }
}

impl TryFrom<&Money> for jumun_core::Money {
    type Error = String;

    /// Fails for an unknown currency, for fractions of its minor unit, and on overflow.
    fn try_from(money: &Money) -> Result<Self, String> {
        Self::from_parts(&money.currency_code, money.units, money.nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_survives_the_wire() {
        let wire = Money { currency_code: "EUR".to_owned(), units: 12, nanos: 500_000_000 };
        let amount = jumun_core::Money::try_from(&wire).expect("an amount");
        assert_eq!((amount.minor(), Money::from(amount)), (1250, wire));
    }
}
