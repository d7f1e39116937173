//! The methods that a measurement calls, and in which proportion.

use std::{fmt::Write as _, str::FromStr};

/// The maximum weight of a method; it bounds the length of the sequence.
const MAX_WEIGHT: u16 = 100;

/// A method that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    CreateOrder,
    GetOrder,
    Echo,
}

impl Call {
    const ALL: [Self; 3] = [Self::CreateOrder, Self::GetOrder, Self::Echo];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CreateOrder => "create-order",
            Self::GetOrder => "get-order",
            Self::Echo => "echo",
        }
    }
}

/// A repeating sequence of calls in which each method has its share, spread evenly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mix {
    sequence: Vec<Call>,
}

impl Mix {
    /// One method alone.
    pub(crate) fn only(call: Call) -> Self {
        Self { sequence: vec![call] }
    }

    /// The call of a turn.
    pub(crate) fn at(&self, turn: u64) -> Call {
        let length = u64::try_from(self.sequence.len()).unwrap_or(u64::MAX);
        self.sequence[usize::try_from(turn % length).unwrap_or_default()]
    }

    pub(crate) fn contains(&self, call: Call) -> bool {
        self.sequence.contains(&call)
    }

    /// Spreads the methods by smooth weighted round robin.
    fn spread(weights: &[(Call, u16)]) -> Self {
        let total: i32 = weights.iter().map(|(_, weight)| i32::from(*weight)).sum();
        let mut credits = vec![0_i32; weights.len()];
        let mut sequence = Vec::new();
        for _ in 0..total {
            for (credit, (_, weight)) in credits.iter_mut().zip(weights) {
                *credit += i32::from(*weight);
            }
            let richest = (0..credits.len()).max_by_key(|index| (credits[*index], std::cmp::Reverse(*index)));
            let Some(richest) = richest else { break };
            credits[richest] -= total;
            sequence.push(weights[richest].0);
        }
        Self { sequence }
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut weights: Vec<(Call, u16)> = Vec::new();
        for part in text.split(',') {
            let (name, weight) = part.split_once('=').ok_or_else(|| format!("{part:?} is not METHOD=WEIGHT"))?;
            let call = Call::ALL.into_iter().find(|call| call.name() == name).ok_or_else(|| unknown(name))?;
            let weight = weight.parse().ok().filter(|weight| (1..=MAX_WEIGHT).contains(weight));
            let weight =
                weight.ok_or_else(|| format!("the weight of {name} is not a number from 1 to {MAX_WEIGHT}"))?;
            if weights.iter().any(|(known, _)| *known == call) {
                return Err(format!("{name} is there twice"));
            }
            weights.push((call, weight));
        }
        Ok(Self::spread(&weights))
    }
}

fn unknown(name: &str) -> String {
    let mut text = format!("unknown method {name:?}: use");
    for call in Call::ALL {
        let _ = write!(text, " {}", call.name());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_has_its_share_spread_over_the_sequence() {
        let mix: Mix = "create-order=4,get-order=2".parse().expect("a mix");
        let names: Vec<_> = (0..6).map(|turn| mix.at(turn).name()).collect();
        assert_eq!(names, ["create-order", "get-order", "create-order", "create-order", "get-order", "create-order"]);
        assert_eq!(mix.at(6), mix.at(0));
        assert!(mix.contains(Call::GetOrder) && !mix.contains(Call::Echo));
    }

    #[test]
    fn a_wrong_mix_is_explained() {
        for (wrong, word) in [
            ("", "METHOD=WEIGHT"),
            ("create-order", "METHOD=WEIGHT"),
            ("create-order=1,", "METHOD=WEIGHT"),
            ("cancel-order=1", "cancel-order"),
            ("create-order=0", "1 to 100"),
            ("create-order=-1", "1 to 100"),
            ("create-order=101", "1 to 100"),
            ("echo=1,echo=2", "twice"),
        ] {
            let error = wrong.parse::<Mix>().expect_err(wrong);
            assert!(error.contains(word), "{wrong:?}: {error}");
        }
    }
}
