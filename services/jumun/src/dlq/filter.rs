//! Which dead letters a command is about, by what they have in common.

use clap::Args;
use contracts::admin::v1::DeadLetter;

/// Filters: a dead letter must match each that is given.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Only those of this context, e.g. store
    #[arg(long, value_name = "CONTEXT")]
    pub(crate) context: Option<String>,
    /// Only those of this consumer, e.g. store-on-order
    #[arg(long, value_name = "CONSUMER")]
    pub(crate) consumer: Option<String>,
    /// Only those of events of this type, e.g. OrderPlaced
    #[arg(long, value_name = "TYPE")]
    pub(crate) event_type: Option<String>,
    /// Only those whose reason contains this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason_contains: Option<String>,
}

impl Filter {
    /// Whether a dead letter matches.
    pub(crate) fn matches(&self, letter: &DeadLetter) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        is(&self.context, &letter.context)
            && is(&self.consumer, &letter.consumer)
            && is(&self.event_type, &letter.kind)
            && self.reason_contains.as_ref().is_none_or(|text| letter.reason.contains(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_must_match_every_filter() {
        let letter = DeadLetter {
            context: "store".to_owned(),
            consumer: "store-on-order".to_owned(),
            kind: "OrderPlaced".to_owned(),
            reason: "UNREADABLE_EVENT: orders/a has no summary".to_owned(),
            ..DeadLetter::default()
        };
        let filter = |context: &str, event_type: &str, reason: &str| {
            let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let (context, event_type, reason_contains) = (given(context), given(event_type), given(reason));
            Filter { context, consumer: Some("store-on-order".to_owned()), event_type, reason_contains }
                .matches(&letter)
        };
        assert!(Filter::default().matches(&letter) && filter("", "", "") && filter("store", "OrderPlaced", "summary"));
        assert!(!filter("stor", "", "") && !filter("store", "OrderCancelled", "") && !filter("", "", "Summary"));
        let other = Filter { consumer: Some("store".to_owned()), ..Filter::default() };
        assert!(!other.matches(&letter));
    }
}
