//! Which dead letters are redriven or discarded, and how.

use clap::{ArgGroup, Args};

use super::filter::Filter;

/// Arguments of `jumun dlq redrive` and `jumun dlq discard`.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("selection").required(true).multiple(true).args(SELECTORS))]
pub(crate) struct Selection {
    /// Names of dead letters, e.g. deadLetters/store-1
    #[arg(value_name = "NAME", value_parser = letter_name, conflicts_with_all = FILTERS)]
    pub(super) names: Vec<String>,
    #[command(flatten)]
    pub(super) filter: Filter,
    /// All dead letters
    #[arg(long, conflicts_with_all = ["names", "context", "consumer", "event_type", "reason_contains"])]
    all: bool,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Maximum number of dead letters per second [default: no maximum]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) rate: Option<u32>,
}

const FILTERS: [&str; 4] = ["context", "consumer", "event_type", "reason_contains"];
/// The arguments of which at least one is needed.
const SELECTORS: [&str; 6] = ["names", "context", "consumer", "event_type", "reason_contains", "all"];

/// Parses the name of a dead letter.
pub(super) fn letter_name(text: &str) -> Result<String, String> {
    match position(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("must be the name of a dead letter, e.g. deadLetters/store-1".to_owned()),
    }
}

/// The context and the number in the name of a dead letter; None: it is malformed.
pub(super) fn position(name: &str) -> Option<(&str, u64)> {
    let (context, number) = name.strip_prefix("deadLetters/")?.rsplit_once('-')?;
    let is_context = !context.is_empty() && context.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let is_number = (1..=18).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_context && is_number { Some((context, number.parse().ok()?)) } else { None }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        selection: Selection,
    }

    fn parse(arguments: &[&str]) -> Result<Selection, String> {
        let line = Line::try_parse_from(["redrive"].iter().chain(arguments));
        line.map(|line| line.selection).map_err(|error| error.to_string())
    }

    #[test]
    fn names_or_filters_or_all_must_be_given_and_only_one_of_them() {
        let named = parse(&["deadLetters/store-1", "deadLetters/dashboard_customer-12", "--rate", "5"]).expect("names");
        assert_eq!((named.names.len(), named.rate, named.dry_run), (2, Some(5), false));
        let filtered = parse(&["--context", "store", "--reason-contains", "x", "--dry-run"]).expect("filters");
        assert!(filtered.dry_run && filtered.filter.context.as_deref() == Some("store"));
        assert!(parse(&["--all"]).is_ok());
        for wrong in [
            &[][..],
            &["--dry-run"],
            &["deadLetters/store-1", "--all"],
            &["deadLetters/store-1", "--context", "store"],
            &["--all", "--consumer", "store-on-order"],
            &["--all", "--rate", "0"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(parse(&[]).expect_err("nothing is selected").contains("--all"));
    }

    #[test]
    fn a_malformed_name_is_refused() {
        for wrong in ["store-1", "deadLetters/store", "deadLetters/store-", "deadLetters/-1", "deadLetters/store-1x"] {
            let refused = parse(&[wrong]).expect_err("malformed");
            assert!(refused.contains("deadLetters/store-1"), "{refused}");
        }
    }
}
