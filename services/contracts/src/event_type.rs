//! The types of the events of each context, from the descriptors: what they are about, and how they are decoded.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor};

use crate::POOL;

/// The suffixes of the files that declare events, and of the event messages in them, as the build requires them.
const FILES: &str = "_event.proto";
const MESSAGES: &str = "Event";

static ALL: LazyLock<Vec<EventType>> = LazyLock::new(|| {
    let files = POOL.files().filter(|file| file.name().ends_with(FILES)).collect::<Vec<_>>();
    files.iter().flat_map(|file| file.messages().collect::<Vec<_>>()).filter_map(EventType::new).collect()
});

/// The events about one kind of resource.
#[derive(Clone, Debug)]
pub struct EventType {
    /// The context that emits them, e.g. `order`.
    pub context: String,
    /// The collection of the resources that they are about, e.g. `orders`.
    pub collection: String,
    message: MessageDescriptor,
}

impl EventType {
    /// The type of an event message; None: the message is another one, or part of an event.
    fn new(message: MessageDescriptor) -> Option<Self> {
        let resource = message.full_name().strip_suffix(MESSAGES)?;
        message.oneofs().find(|oneof| oneof.name() == "kind")?;
        let context = message.package_name().strip_prefix("jumun.")?.split('.').next()?.to_owned();
        Some(Self { context, collection: collection_of(&POOL, resource)?, message })
    }

    /// Every type.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        ALL.iter()
    }

    /// The type of a context's events of this kind, e.g. `OrderPlaced`; None: this version does not know it.
    pub fn of(context: &str, kind: &str) -> Option<&'static Self> {
        Self::all().find(|of| of.context == context && of.has_kind(kind))
    }

    /// The content of an event; None: it cannot be decoded.
    pub fn decode(&self, payload: &[u8]) -> Option<DynamicMessage> {
        DynamicMessage::decode(self.message.clone(), payload).ok()
    }

    fn has_kind(&self, kind: &str) -> bool {
        self.message.fields().any(|field| {
            let is_choice = field.containing_oneof().is_some_and(|oneof| oneof.name() == "kind");
            is_choice && matches!(field.kind(), Kind::Message(message) if message.name() == kind)
        })
    }
}

/// The collection of a resource's names, by its pattern (`google.api.resource`).
fn collection_of(pool: &DescriptorPool, resource: &str) -> Option<String> {
    let extension = pool.get_extension_by_name("google.api.resource")?;
    let options = pool.get_message_by_name(resource)?.options();
    let option = options.get_extension(&extension);
    let pattern = option.as_message()?.get_field_by_name("pattern")?.as_list()?.first()?.as_str()?.to_owned();
    pattern.split_once('/').map(|(collection, _)| collection.to_owned())
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::order::v1::{OrderCancelled, OrderEvent, order_event};

    #[test]
    fn every_event_is_about_a_resource() {
        let declared = POOL.all_messages().filter(|message| {
            message.parent_file().name().ends_with(FILES)
                && message.name().ends_with(MESSAGES)
                && message.parent_message().is_none()
        });
        let known: Vec<_> = EventType::all().map(|of| of.message.full_name().to_owned()).collect();
        let declared: Vec<_> = declared.map(|message| message.full_name().to_owned()).collect();
        assert!(declared.len() >= 10 && declared.iter().all(|name| known.contains(name)), "{declared:?} {known:?}");
    }

    #[test]
    fn an_event_is_decoded_by_its_context_and_kind() {
        let kind = order_event::Kind::Cancelled(OrderCancelled { order: "orders/a".to_owned(), ..Default::default() });
        let payload = OrderEvent { kind: Some(kind) }.encode_to_vec();
        let of = EventType::of("order", "OrderCancelled").expect("a type");
        assert_eq!(of.collection, "orders");
        let decoded = of.decode(&payload).expect("a message").transcode_to::<OrderEvent>().expect("the same");
        assert_eq!(decoded.encode_to_vec(), payload);
        assert!(of.decode(b"\xff").is_none());
        assert!(EventType::of("order", "TicketOpened").is_none() && EventType::of("ordr", "OrderPlaced").is_none());
    }
}
