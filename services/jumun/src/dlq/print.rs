//! Dead letters as text.

use contracts::admin::v1::DeadLetter;
use serde_json::Value as Json;

use crate::operator::time;

/// The columns of the table, except the last, which is the reason.
const HEADS: [&str; 5] = ["NAME", "TIME", "CONSUMER", "TYPE", "EVENT"];

/// A line for each dead letter, below a line of heads; empty if there are none.
pub(super) fn table(letters: &[DeadLetter]) -> String {
    if letters.is_empty() {
        return String::new();
    }
    let cells = |letter: &DeadLetter| {
        let DeadLetter { name, consumer, kind, event, reason, .. } = letter;
        let time = time(letter.create_time);
        ([name.clone(), time, consumer.clone(), kind.clone(), event.clone()], on_one_line(reason))
    };
    let head = (HEADS.map(str::to_owned), "REASON".to_owned());
    let rows: Vec<_> = std::iter::once(head).chain(letters.iter().map(cells)).collect();
    let width = |column: usize| rows.iter().map(|(cells, _)| cells[column].len()).max().unwrap_or_default();
    let widths: Vec<_> = (0..HEADS.len()).map(width).collect();
    let line = |(cells, reason): &([String; 5], String)| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}  "));
        cells.collect::<String>() + reason + "\n"
    };
    rows.iter().map(line).collect()
}

/// Everything about a dead letter, a line for each field, and the content of its event as JSON.
pub(super) fn details(letter: &DeadLetter, payload: &Json) -> anyhow::Result<String> {
    let number = letter.number.to_string();
    let (create_time, event_time) = (time(letter.create_time), time(letter.event_time));
    let payload = match payload {
        Json::Null => "cannot be decoded by this version".to_owned(),
        payload => serde_json::to_string_pretty(payload)?,
    };
    let reason = on_one_line(&letter.reason);
    let fields = [
        ("name", letter.name.as_str()),
        ("context", &letter.context),
        ("consumer", &letter.consumer),
        ("reason", &reason),
        ("create time", &create_time),
        ("event", &letter.event),
        ("type", &letter.kind),
        ("aggregate", &letter.aggregate),
        ("number", &number),
        ("event time", &event_time),
        ("trace id", &letter.trace_id),
        ("payload", &payload),
    ];
    let shown = fields.iter().filter(|(_, value)| !value.is_empty());
    Ok(shown.map(|(name, value)| format!("{name:<12} {value}\n")).collect())
}

/// Text without line breaks and other control characters.
fn on_one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn letter(number: u32, reason: &str) -> DeadLetter {
        DeadLetter {
            name: format!("deadLetters/store-{number}"),
            consumer: "store-on-order".to_owned(),
            kind: "OrderPlaced".to_owned(),
            event: format!("order/a/{number}"),
            reason: reason.to_owned(),
            ..DeadLetter::default()
        }
    }

    #[test]
    fn the_columns_are_aligned_and_a_reason_stays_on_its_line() {
        let table = table(&[letter(1, "no\nsummary"), letter(10, "gone")]);
        let expected = [
            "NAME                  TIME  CONSUMER        TYPE         EVENT       REASON",
            "deadLetters/store-1         store-on-order  OrderPlaced  order/a/1   no summary",
            "deadLetters/store-10        store-on-order  OrderPlaced  order/a/10  gone",
        ];
        assert_eq!(table.lines().collect::<Vec<_>>(), expected);
        assert_eq!(super::table(&[]), "");
    }

    #[test]
    fn the_details_end_with_the_content() {
        let shown = details(&letter(1, "gone"), &json!({"order": "orders/a"})).expect("text");
        assert!(shown.starts_with("name         deadLetters/store-1\n"), "{shown}");
        assert!(shown.ends_with("payload      {\n  \"order\": \"orders/a\"\n}\n"), "{shown}");
        let unknown = details(&letter(1, "gone"), &Json::Null).expect("text");
        assert!(unknown.ends_with("payload      cannot be decoded by this version\n"), "{unknown}");
    }
}
