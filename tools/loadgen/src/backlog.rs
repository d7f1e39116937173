//! What still waits in a running instance, read from its pages of metrics.

use std::collections::BTreeMap;

const UNPUBLISHED: &str = "jumun_outbox_unpublished";
const LAG: &str = "jumun_consumer_lag";
const QUEUE: &str = "jumun_engine_queue_length";
const DEAD_LETTERS: &str = "jumun_dead_letters";

/// What waits in all processes together, by metric and labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backlog {
    gauges: BTreeMap<&'static str, BTreeMap<String, u64>>,
}

impl Backlog {
    /// Reads a page in the Prometheus text format.
    pub(crate) fn read(page: &str) -> Result<Self, String> {
        let mut backlog = Self::default();
        for line in page.lines() {
            let Some(name) = [UNPUBLISHED, LAG, QUEUE, DEAD_LETTERS].into_iter().find(|name| is_of(line, name)) else {
                continue;
            };
            let (labels, value) = sample(&line[name.len()..]).ok_or_else(|| format!("{line:?} is not a sample"))?;
            backlog.gauges.entry(name).or_default().insert(labels, value);
        }
        if backlog.gauges.is_empty() { Err(format!("the page has no {QUEUE}")) } else { Ok(backlog) }
    }

    /// Adds the page of another process. Replicas of a context report the same events; the larger figure counts.
    pub(crate) fn merge(&mut self, other: Self) {
        for (name, gauges) in other.gauges {
            let own = self.gauges.entry(name).or_default();
            for (labels, value) in gauges {
                let kept = own.entry(labels).or_default();
                *kept = value.max(*kept);
            }
        }
    }

    /// The lag of each consumer, in events.
    pub(crate) fn lags(&self) -> impl Iterator<Item = (&str, u64)> {
        self.gauges.get(LAG).into_iter().flatten().map(|(consumer, lag)| (consumer.as_str(), *lag))
    }

    pub(crate) fn dead_letters(&self) -> u64 {
        self.gauges.get(DEAD_LETTERS).into_iter().flatten().map(|(_, count)| count).sum()
    }

    /// What waits, e.g. `jumun_outbox_unpublished order` → 12; empty if everything has been carried on.
    pub(crate) fn waiting(&self) -> BTreeMap<String, u64> {
        let mut waiting = BTreeMap::new();
        for name in [UNPUBLISHED, LAG, QUEUE] {
            for (labels, value) in self.gauges.get(name).into_iter().flatten().filter(|(_, value)| **value > 0) {
                waiting.insert(format!("{name} {labels}"), *value);
            }
        }
        waiting
    }
}

fn is_of(line: &str, name: &str) -> bool {
    line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
}

/// The values of the labels, joined by a space, and the value.
fn sample(text: &str) -> Option<(String, u64)> {
    let mut labels = Vec::new();
    let mut rest = text;
    if let Some(inner) = text.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (_, after) = rest.split_once("=\"")?;
            let (label, after) = quoted(after)?;
            labels.push(label);
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    // The gauges are whole numbers. NaN becomes 0.
    Some((labels.join(" "), value.max(0.0) as u64))
}

/// The text up to the closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[index + 1..])),
            '\\' => value.push(match letters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            _ => value.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"# HELP jumun_consumer_lag Events that a consumer has not settled.
# TYPE jumun_consumer_lag gauge
jumun_consumer_lag{consumer="payment-on-order"} 7
jumun_consumer_lag{consumer="store-on-order"} 0
jumun_consumer_lag_other{consumer="x"} 5
jumun_dead_letters{context="order"} 2
jumun_engine_queue_length{context="order",kind="commands"} 3 1700000000000
jumun_engine_queue_length{context="or\"d,e}r",kind="events"} 1e2
jumun_outbox_unpublished{context="order"} 0
"#;

    #[test]
    fn a_page_tells_what_waits() {
        let backlog = Backlog::read(PAGE).expect("a page");
        let waiting: Vec<_> = backlog.waiting().into_iter().collect();
        let expected = [
            ("jumun_consumer_lag payment-on-order", 7),
            ("jumun_engine_queue_length or\"d,e}r events", 100),
            ("jumun_engine_queue_length order commands", 3),
        ];
        assert_eq!(waiting, expected.map(|(name, value)| (name.to_owned(), value)));
        assert_eq!(backlog.lags().collect::<Vec<_>>(), [("payment-on-order", 7), ("store-on-order", 0)]);
        assert_eq!(backlog.dead_letters(), 2);
    }

    #[test]
    fn replicas_are_not_counted_twice() {
        let mut backlog = Backlog::read(PAGE).expect("a page");
        let other = "jumun_consumer_lag{consumer=\"payment-on-order\"} 9\njumun_dead_letters{context=\"store\"} 1";
        backlog.merge(Backlog::read(other).expect("a page"));
        assert_eq!(backlog.waiting()["jumun_consumer_lag payment-on-order"], 9);
        assert_eq!(backlog.dead_letters(), 3);
    }

    #[test]
    fn another_page_is_refused() {
        assert!(Backlog::read("<html>").expect_err("no metrics").contains("jumun_engine_queue_length"));
        assert!(Backlog::read("jumun_consumer_lag{consumer=\"a\"} many").expect_err("no number").contains("many"));
        assert!(Backlog::read("jumun_consumer_lag{consumer=\"a").expect_err("no end").contains("consumer"));
    }
}
