//! The events of the contexts of a process, as operators see them.

use contracts::{
    EventType, POOL,
    admin::v1::{Event, ListEventsRequest, ListEventsResponse},
};
use engine::{
    EngineHandle, PageTokens,
    history::{self, EventFilter},
    page_size,
};
use jumun_core::{Envelope, Error, Violations, name::id_in, reasons};
use prost_reflect::DynamicMessage;
use prost_types::Struct;
use runtime::Operations;

/// The engines whose events are listed, and the id of the one aggregate that they are about; None: any.
struct Selection<'a> {
    engines: Vec<&'a dyn EngineHandle>,
    id: Option<String>,
}

/// One page of the events that match the filter.
pub(crate) async fn list(operations: &Operations, request: &ListEventsRequest) -> Result<ListEventsResponse, Error> {
    let mut response = ListEventsResponse::default();
    let Some(first) = operations.engines.first() else { return Ok(response) };
    // A token contains the index of an engine, so it is bound to the list of engines.
    let mut arguments = vec!["events", request.filter.as_str()];
    arguments.extend(operations.engines.iter().map(|engine| engine.database().schema()));
    let tokens = PageTokens::of(first.database(), &arguments).await?;
    let mut violations = Violations::default();
    let filter = violations.take("filter", EventFilter::parse(&request.filter)).unwrap_or_default();
    let of = filter.aggregate.as_deref().and_then(|name| violations.take("filter", type_and_id(name)));
    let position = violations.take("page_token", tokens.read(&request.page_token)).flatten();
    violations.into_result()?;
    let Selection { engines, id } = select(operations, of)?;
    let (first, mut after) = position.as_deref().and_then(read_position).unwrap_or_default();
    let size = page_size(request.page_size);
    for (index, engine) in engines.into_iter().enumerate().skip(first) {
        let room = size - response.events.len();
        let after = std::mem::take(&mut after);
        let page = history::list(engine.database(), id.as_deref(), filter.kind.as_deref(), after, room).await?;
        response.events.extend(page.events.into_iter().map(to_wire));
        if let Some((aggregate, number)) = page.next {
            response.next_page_token = tokens.write(&format!("{index}-{number}-{aggregate}"));
            break;
        }
    }
    Ok(response)
}

/// The type of the events about a resource, and the id in its name.
fn type_and_id(name: &str) -> Result<(&'static EventType, String), String> {
    let found = EventType::all().find_map(|of| Some((of, id_in(&of.collection, name).ok()?.to_owned())));
    found.ok_or_else(|| {
        let collections: Vec<_> = EventType::all().map(|of| of.collection.as_str()).collect();
        format!("names {name:?}, which has no events; {} have events", collections.join(", "))
    })
}

fn select<'a>(operations: &'a Operations, of: Option<(&EventType, String)>) -> Result<Selection<'a>, Error> {
    let Some((of, id)) = of else {
        return Ok(Selection { engines: operations.engines.iter().map(|engine| &**engine).collect(), id: None });
    };
    let engine = operations.engine(&of.context).ok_or_else(|| {
        let message = format!("{} does not run in this process", of.context);
        Error::new(&reasons::NOT_FOUND, message).with("name", &of.context)
    })?;
    Ok(Selection { engines: vec![&**engine], id: Some(id) })
}

/// Parses `{engine}-{number}-{id}`: the page begins after this event of the engine with this index.
fn read_position(position: &str) -> Option<(usize, (String, i64))> {
    let (engine, event) = position.split_once('-')?;
    let (number, id) = event.split_once('-')?;
    Some((engine.parse().ok()?, (id.to_owned(), number.parse().ok()?)))
}

fn to_wire(event: Envelope) -> Event {
    Event {
        event: event.id(),
        aggregate: aggregate(&event.context, &event.aggregate),
        number: event.number,
        create_time: Some(event.time.to_timestamp()),
        causation: event.causation.unwrap_or_default(),
        trace_id: trace_id(event.traceparent.as_deref()),
        payload: payload(&event.context, &event.kind, &event.payload),
        kind: event.kind,
        context: event.context,
    }
}

/// The name of the resource that a context's events are about; only its id if this version does not know the context.
pub(crate) fn aggregate(context: &str, id: &str) -> String {
    let of = EventType::all().find(|of| of.context == context);
    of.map_or_else(|| id.to_owned(), |of| format!("{}/{id}", of.collection))
}

/// The content of an event; None if this version does not know its type.
pub(crate) fn payload(context: &str, kind: &str, bytes: &[u8]) -> Option<Struct> {
    let json = serde_json::to_value(EventType::of(context, kind)?.decode(bytes)?).ok()?;
    let of = POOL.get_message_by_name("google.protobuf.Struct")?;
    DynamicMessage::deserialize(of, json).ok()?.transcode_to().ok()
}

/// The trace id in a `traceparent`; empty without one.
pub(crate) fn trace_id(traceparent: Option<&str>) -> String {
    traceparent.and_then(|text| text.split('-').nth(1)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use contracts::store::v1::{TicketEvent, TicketOpened, ticket_event::Kind};
    use prost::Message;

    use super::*;

    #[test]
    fn a_payload_is_shown_as_its_contract_declares_it() {
        let kind = Some(Kind::Opened(TicketOpened {}));
        let event = TicketEvent { order: "orders/a".to_owned(), store: "stores/b".to_owned(), kind };
        let shown = payload("store", "TicketOpened", &event.encode_to_vec()).expect("a known type");
        let fields: Vec<_> = shown.fields.keys().map(String::as_str).collect();
        assert_eq!(fields, ["opened", "order", "store"]);
        assert_eq!(payload("store", "TicketLost", &event.encode_to_vec()), None);
        assert_eq!(payload("store", "TicketOpened", b"\xff"), None);
    }

    #[test]
    fn only_resources_with_events_are_named() {
        let (of, id) = type_and_id("payments/order-a").expect("a resource with events");
        assert_eq!((of.context.as_str(), id.as_str()), ("payment", "order-a"));
        for wrong in ["orderViews/a", "orders", "orders/A", "ordr/a"] {
            let refused = type_and_id(wrong).expect_err("no events");
            assert!(refused.contains(wrong) && refused.contains("orders, "), "{refused}");
        }
    }

    #[test]
    fn positions_contain_ids_with_dashes() {
        assert_eq!(read_position("3-12-order-a"), Some((3, ("order-a".to_owned(), 12))));
        assert_eq!(read_position("3-12"), None);
    }

    #[test]
    fn a_trace_is_named_by_its_id() {
        assert_eq!(
            trace_id(Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")),
            "0af7651916cd43dd8448eb211c80319c"
        );
        assert_eq!(trace_id(None), "");
    }
}
