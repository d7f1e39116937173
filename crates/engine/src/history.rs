//! The history of a context: the events that it has emitted, page by page.

use jumun_core::{Envelope, Error};

use crate::{
    filter::{self, FilterField},
    outbox::Key,
    rows::read_event,
    storage::{Database, select},
};

/// Maximum number of events that are read for a page of one kind: the table has no index on it. So such a page may have
/// fewer events than requested, or none, and yet be followed by others.
const MAX_SCANNED: usize = 1000;
/// The fields that a filter may compare.
const FIELDS: &[FilterField] = &[FilterField::name("aggregate"), FilterField { name: "kind", check: |_| Ok(()) }];

/// The events that a list contains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The name of the resource that they are about; None: any.
    pub aggregate: Option<String>,
    /// Their type; None: any.
    pub kind: Option<String>,
}

impl EventFilter {
    /// Reads a filter such as `aggregate = "things/a" AND kind = ThingMoved`; the error completes the sentence
    /// "filter …".
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut filter = Self::default();
        for (field, value) in filter::parse(text, FIELDS)? {
            let slot = if field == "kind" { &mut filter.kind } else { &mut filter.aggregate };
            if slot.replace(value).is_some() {
                return Err(format!("compares {field} twice"));
            }
        }
        Ok(filter)
    }
}

/// One page of a history.
#[derive(Debug)]
pub struct EventPage {
    /// The events, by aggregate and number.
    pub events: Vec<Envelope>,
    /// Where the next page begins: after this event; None on the last page.
    pub next: Option<Key>,
}

/// The events after `after`, at most `size`: of one aggregate or all, and of one kind or all.
pub async fn list(
    database: &Database,
    aggregate: Option<&str>,
    kind: Option<&str>,
    after: Key,
    size: usize,
) -> Result<EventPage, Error> {
    // One event more than the page size shows whether there is a next page.
    let limit = if kind.is_some() { MAX_SCANNED.max(size + 1) } else { size + 1 };
    let (condition, of_aggregate) = match aggregate {
        Some(id) => ("aggregate = ? AND ", Some(id.to_owned())),
        None => ("", None),
    };
    let sql = format!(
        "{} WHERE {condition}(aggregate, number) > (?, ?) ORDER BY aggregate, number LIMIT {limit}",
        select::<Envelope>(&["seq"])
    );
    let (schema, begin) = (database.schema().to_owned(), after.clone());
    let read: Vec<Envelope> = database
        .read(move |connection| {
            let mut binds = Vec::with_capacity(3);
            binds.extend(of_aggregate.as_deref().map(Into::into));
            binds.extend([begin.0.as_str().into(), begin.1.into()]);
            let rows = connection.query(&sql, &binds)?;
            rows.into_iter().map(|row| read_event(&schema, row)).collect()
        })
        .await?;
    Ok(page(read, kind, after, size, limit))
}

/// The page of the events that were read, which are all that remain if they are fewer than `limit`.
fn page(read: Vec<Envelope>, kind: Option<&str>, after: Key, size: usize, limit: usize) -> EventPage {
    let (mut events, mut last, mut is_complete) = (Vec::new(), after, read.len() < limit);
    for event in read {
        let is_wanted = kind.is_none_or(|kind| kind == event.kind);
        if is_wanted && events.len() == size {
            is_complete = false;
            break;
        }
        last = (event.aggregate.clone(), event.number);
        if is_wanted {
            events.push(event);
        }
    }
    EventPage { events, next: (!is_complete).then_some(last) }
}

#[cfg(test)]
mod tests {
    use jumun_core::Time;

    use super::*;

    fn event(number: i64, kind: &str) -> Envelope {
        Envelope {
            context: "things".to_owned(),
            sequence: 0,
            aggregate: "a".to_owned(),
            number,
            kind: kind.to_owned(),
            payload: Vec::new(),
            time: Time(number),
            traceparent: None,
            causation: None,
        }
    }

    /// The numbers on the page, and the number that the next page begins after.
    fn numbers(read: &[(i64, &str)], kind: Option<&str>, size: usize, limit: usize) -> (Vec<i64>, Option<i64>) {
        let read = read.iter().map(|(number, kind)| event(*number, kind)).collect();
        let page = page(read, kind, (String::new(), 0), size, limit);
        (page.events.iter().map(|event| event.number).collect(), page.next.map(|(_, number)| number))
    }

    #[test]
    fn a_page_ends_where_the_next_begins() {
        let read = [(1, "Made"), (2, "Moved"), (3, "Made")];
        assert_eq!(numbers(&read, None, 2, 3), (vec![1, 2], Some(2)));
        assert_eq!(numbers(&read, None, 3, 4), (vec![1, 2, 3], None));
        assert_eq!(numbers(&read, Some("Made"), 1, 9), (vec![1], Some(2)), "what was skipped is not read again");
        assert_eq!(numbers(&read, Some("Made"), 2, 9), (vec![1, 3], None));
        assert_eq!(numbers(&read, Some("Lost"), 2, 9), (vec![], None));
        assert_eq!(numbers(&read, Some("Lost"), 2, 3), (vec![], Some(3)), "there may be some further on");
    }

    #[test]
    fn a_filter_names_an_aggregate_and_a_kind() {
        let filter = |aggregate: Option<&str>, kind: Option<&str>| {
            Ok(EventFilter { aggregate: aggregate.map(str::to_owned), kind: kind.map(str::to_owned) })
        };
        assert_eq!(EventFilter::parse(""), filter(None, None));
        assert_eq!(EventFilter::parse("kind = Moved"), filter(None, Some("Moved")));
        assert_eq!(
            EventFilter::parse("aggregate = \"things/a\" AND kind = Moved"),
            filter(Some("things/a"), Some("Moved"))
        );
        let refused = |text: &str| EventFilter::parse(text).expect_err("refused");
        assert_eq!(refused("kind = Made AND kind = Moved"), "compares kind twice");
        assert_eq!(refused("number = 1"), "at character 1: expected one of aggregate, kind");
        assert_eq!(refused("aggregate = a"), "at character 13: aggregate must be a resource name");
    }
}
