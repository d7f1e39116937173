//! Converts messages and enums to JSON Schema.

use std::collections::BTreeMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde_json::{Map, Value as Json, json};

use jumun_core::contracts::comment;

use super::limits::limits;
use crate::json::is_well_known;

/// The direction of a message. Fields that a request must have may be absent in a response, because canonical JSON
/// omits default values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Direction {
    Request,
    Response,
}

/// The schemas that references point to, by name.
#[derive(Default)]
pub(super) struct Schemas(BTreeMap<String, Json>);

impl Schemas {
    pub(super) fn finish(self) -> Map<String, Json> {
        self.0.into_iter().collect()
    }

    /// A reference to the schema of a message.
    pub(super) fn message(&mut self, message: &MessageDescriptor, direction: Direction) -> Json {
        if is_well_known(message) {
            return well_known(message);
        }
        let name = match direction {
            Direction::Response => message.full_name().to_owned(),
            Direction::Request => format!("{}-Input", message.full_name()),
        };
        if !self.0.contains_key(&name) {
            // A message may contain itself: the entry ends the recursion.
            self.0.insert(name.clone(), Json::Null);
            let object = self.object(message, direction, |_| false);
            self.0.insert(name.clone(), object);
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    /// The schema of a message without some of its fields.
    pub(super) fn object(
        &mut self,
        message: &MessageDescriptor,
        direction: Direction,
        without: impl Fn(&FieldDescriptor) -> bool,
    ) -> Json {
        let fields: Vec<_> = message.fields().filter(|field| !without(field)).collect();
        let properties: Map<_, _> =
            fields.iter().map(|field| (field.json_name().to_owned(), self.field(field, direction))).collect();
        let description = comment(&message.parent_file(), message.path());
        let mut object = json!({"type": "object", "description": description, "properties": properties});
        if direction == Direction::Request {
            object["additionalProperties"] = false.into();
            let required: Vec<_> =
                fields.iter().filter(|field| is_required(field)).map(FieldDescriptor::json_name).collect();
            if !required.is_empty() {
                object["required"] = required.into();
            }
        }
        object
    }

    /// The schema of a field: its kind, comment, rules and behavior.
    pub(super) fn field(&mut self, field: &FieldDescriptor, direction: Direction) -> Json {
        let mut schema = match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                json!({"type": "object", "additionalProperties": self.kind(&entry.map_entry_value_field().kind(), direction)})
            }
            kind if field.is_list() => json!({"type": "array", "items": self.kind(&kind, direction)}),
            kind => self.kind(&kind, direction),
        };
        schema["description"] = comment(&field.parent_message().parent_file(), field.path()).into();
        if direction == Direction::Request {
            add_limits(&mut schema, limits(field));
        }
        if has_behavior(field, "OUTPUT_ONLY") {
            schema["readOnly"] = true.into();
        }
        schema
    }

    fn kind(&mut self, kind: &Kind, direction: Direction) -> Json {
        match kind {
            Kind::Message(message) => self.message(message, direction),
            Kind::Enum(of) => self.names(of),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Kind::Double | Kind::Float => json!({"type": "number"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                json!({"type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX})
            }
            Kind::Uint32 | Kind::Fixed32 => {
                json!({"type": "integer", "format": "uint32", "minimum": 0, "maximum": u32::MAX})
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({"type": "string", "format": "int64", "pattern": "^(0|-?[1-9][0-9]{0,17})$"})
            }
            Kind::Uint64 | Kind::Fixed64 => {
                json!({"type": "string", "format": "uint64", "pattern": "^(0|[1-9][0-9]{0,18})$"})
            }
        }
    }

    /// A reference to the schema of an enum.
    fn names(&mut self, of: &EnumDescriptor) -> Json {
        let schema = self.0.entry(of.full_name().to_owned());
        schema.or_insert_with(|| {
            let about = comment(&of.parent_file(), of.path());
            let values = of
                .values()
                .map(|value| format!("\n- `{}`: {}", value.name(), comment(&of.parent_file(), value.path())));
            let description = format!("{about}\n{}", values.collect::<String>());
            let names: Vec<_> = of.values().map(|value| value.name().to_owned()).collect();
            json!({"type": "string", "description": description, "enum": names})
        });
        json!({"$ref": format!("#/components/schemas/{}", of.full_name())})
    }
}

/// Adds keywords to a schema, recursively to the schema of its items.
fn add_limits(schema: &mut Json, limits: Map<String, Json>) {
    for (keyword, value) in limits {
        match value {
            Json::Object(of_items) => add_limits(&mut schema[&keyword], of_items),
            value => schema[&keyword] = value,
        }
    }
}

/// The schema of a message that has a JSON form of its own.
fn well_known(message: &MessageDescriptor) -> Json {
    match message.name() {
        "Timestamp" => json!({"type": "string", "format": "date-time"}),
        "Duration" => json!({"type": "string", "pattern": r"^-?[0-9]{1,11}(\.[0-9]{1,9})?s$"}),
        "FieldMask" => json!({"type": "string"}),
        "Any" => json!({"type": "object", "required": ["@type"], "properties": {"@type": {"type": "string"}}}),
        "Struct" | "Empty" => json!({"type": "object"}),
        "ListValue" => json!({"type": "array"}),
        "BoolValue" => json!({"type": ["boolean", "null"]}),
        "StringValue" | "BytesValue" | "Int64Value" | "UInt64Value" => json!({"type": ["string", "null"]}),
        "Int32Value" | "UInt32Value" => json!({"type": ["integer", "null"]}),
        "FloatValue" | "DoubleValue" => json!({"type": ["number", "null"]}),
        // google.protobuf.Value: any JSON.
        _ => json!({}),
    }
}

/// Whether a request must have the field (`google.api.field_behavior`).
pub(super) fn is_required(field: &FieldDescriptor) -> bool {
    has_behavior(field, "REQUIRED")
}

fn has_behavior(field: &FieldDescriptor, wanted: &str) -> bool {
    let behavior = field.parent_message().parent_pool().get_extension_by_name("google.api.field_behavior");
    let Some(behavior) = behavior else { return false };
    let Kind::Enum(names) = behavior.kind() else { return false };
    let Some(wanted) = names.get_value_by_name(wanted) else { return false };
    let options = field.options();
    let declared = options.get_extension(&behavior);
    declared.as_list().is_some_and(|list| list.contains(&Value::EnumNumber(wanted.number())))
}
