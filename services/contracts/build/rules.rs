//! Reads the `buf.validate` rules of a field. Only the rules that the protos use are supported; any other fails the
//! build, so that no rule is declared without being enforced.

use prost_reflect::{DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, Value};

/// The rules of one field.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// The field must be set.
    pub(crate) required: bool,
    /// The other rules do not apply to an empty or zero value.
    pub(crate) skip_zero: bool,
    pub(crate) text: Option<Text>,
    /// The minimum and the maximum.
    pub(crate) number: Option<(Option<i64>, Option<i64>)>,
    /// The value must be one of the enum's values.
    pub(crate) defined_only: bool,
    pub(crate) list: Option<List>,
}

/// The rules of a string.
#[derive(Debug, Default)]
pub(crate) struct Text {
    pub(crate) min_bytes: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) pattern: Option<String>,
    /// The permitted values; empty: any.
    pub(crate) one_of: Vec<String>,
}

/// The rules of a repeated field.
#[derive(Debug, Default)]
pub(crate) struct List {
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) items: Option<Box<Rules>>,
}

/// Reads the options that declare rules.
pub(crate) struct Reader {
    field: ExtensionDescriptor,
    message: ExtensionDescriptor,
    oneof: ExtensionDescriptor,
    behavior: ExtensionDescriptor,
}

const OUTPUT_ONLY: i32 = 3;
const REQUIRED: i32 = 2;
const IGNORE_IF_ZERO_VALUE: i32 = 1;

impl Reader {
    pub(crate) fn new(pool: &DescriptorPool) -> Result<Self, String> {
        let extension = |name: &str| pool.get_extension_by_name(name).ok_or_else(|| format!("no proto imports {name}"));
        Ok(Self {
            field: extension("buf.validate.field")?,
            message: extension("buf.validate.message")?,
            oneof: extension("buf.validate.oneof")?,
            behavior: extension("google.api.field_behavior")?,
        })
    }

    /// The rules of a field of a request. Fails when a rule is unknown or would not be enforced.
    pub(crate) fn rules(&self, field: &FieldDescriptor) -> Result<Rules, String> {
        let (options, declares) = (field.options(), self.declares(field));
        let rules = if declares {
            let value = options.get_extension(&self.field);
            read_rules(value.as_message().ok_or("not a message")?)?
        } else {
            Rules::default()
        };
        if self.behaves(field, REQUIRED) && !declares {
            return Err("is REQUIRED, but no rule enforces it".to_owned());
        }
        if (field.is_list() && rules.list.as_ref().is_none_or(|list| list.max_items.is_none())) || field.is_map() {
            return Err("is repeated in a request, and needs repeated.max_items (a map cannot have it)".to_owned());
        }
        let is_choice = field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic());
        if is_choice && (declares || matches!(field.kind(), Kind::Message(_))) {
            return Err("is part of a oneof, for which rules are not supported".to_owned());
        }
        refuse_ignored(field, &rules)?;
        Ok(rules)
    }

    /// Whether the field is OUTPUT_ONLY.
    pub(crate) fn is_output(&self, field: &FieldDescriptor) -> bool {
        self.behaves(field, OUTPUT_ONLY)
    }

    /// Whether a field has rules.
    pub(crate) fn declares(&self, field: &FieldDescriptor) -> bool {
        field.options().has_extension(&self.field)
    }

    /// Fails when a message, or one of its oneofs, has rules as a whole.
    pub(crate) fn refuse_whole(&self, message: &prost_reflect::MessageDescriptor) -> Result<(), String> {
        let of_oneof = message.oneofs().any(|oneof| oneof.options().has_extension(&self.oneof));
        if of_oneof || message.options().has_extension(&self.message) {
            return Err(format!("{}: rules of a whole message or oneof are not supported", message.full_name()));
        }
        Ok(())
    }

    fn behaves(&self, field: &FieldDescriptor, behavior: i32) -> bool {
        let options = field.options();
        let behaviors = options.get_extension(&self.behavior);
        behaviors.as_list().is_some_and(|list| list.iter().any(|value| value.as_enum_number() == Some(behavior)))
    }
}

/// Fails when a rule has no effect on this kind of field.
fn refuse_ignored(field: &FieldDescriptor, rules: &Rules) -> Result<(), String> {
    let items = rules.list.as_ref().and_then(|list| list.items.as_deref());
    let is_ignored = (rules.list.is_some() && !field.is_list())
        || (rules.required && field.is_list())
        || (rules.skip_zero && (field.is_list() || field.supports_presence()))
        || items.is_some_and(|items| items.required || items.skip_zero || items.list.is_some());
    if is_ignored { Err("has rules without effect on this kind of field".to_owned()) } else { Ok(()) }
}

fn read_rules(message: &DynamicMessage) -> Result<Rules, String> {
    let mut rules = Rules::default();
    for (name, value) in set_fields(message)? {
        match (name.as_str(), value) {
            ("required", Value::Bool(required)) => rules.required = required,
            ("ignore", Value::EnumNumber(IGNORE_IF_ZERO_VALUE)) => rules.skip_zero = true,
            ("string", Value::Message(of)) => rules.text = Some(read_text(&of)?),
            ("int32" | "int64", Value::Message(of)) => rules.number = Some(read_number(&of)?),
            ("enum", Value::Message(of)) => rules.defined_only = read_enum(&of)?,
            ("repeated", Value::Message(of)) => rules.list = Some(read_list(&of)?),
            (name, _) => return Err(unknown(name)),
        }
    }
    Ok(rules)
}

fn read_text(message: &DynamicMessage) -> Result<Text, String> {
    let mut text = Text::default();
    for (name, value) in set_fields(message)? {
        match (name.as_str(), value) {
            ("min_bytes", Value::U64(bytes)) => text.min_bytes = Some(bytes),
            ("max_bytes", Value::U64(bytes)) => text.max_bytes = Some(bytes),
            ("pattern", Value::String(pattern)) => text.pattern = Some(pattern),
            ("in", Value::List(values)) => {
                text.one_of = values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect();
            }
            (name, _) => return Err(unknown(&format!("string.{name}"))),
        }
    }
    Ok(text)
}

fn read_number(message: &DynamicMessage) -> Result<(Option<i64>, Option<i64>), String> {
    let mut bounds = (None, None);
    for (name, value) in set_fields(message)? {
        let bound = value.as_i32().map(i64::from).or(value.as_i64());
        match name.as_str() {
            "gte" => bounds.0 = bound,
            "lte" => bounds.1 = bound,
            name => return Err(unknown(&format!("int32.{name}"))),
        }
    }
    Ok(bounds)
}

fn read_enum(message: &DynamicMessage) -> Result<bool, String> {
    let mut defined_only = false;
    for (name, value) in set_fields(message)? {
        match (name.as_str(), value) {
            ("defined_only", Value::Bool(only)) => defined_only = only,
            (name, _) => return Err(unknown(&format!("enum.{name}"))),
        }
    }
    Ok(defined_only)
}

fn read_list(message: &DynamicMessage) -> Result<List, String> {
    let mut list = List::default();
    for (name, value) in set_fields(message)? {
        match (name.as_str(), value) {
            ("min_items", Value::U64(items)) => list.min_items = Some(items),
            ("max_items", Value::U64(items)) => list.max_items = Some(items),
            ("items", Value::Message(of)) => list.items = Some(Box::new(read_rules(&of)?)),
            (name, _) => return Err(unknown(&format!("repeated.{name}"))),
        }
    }
    Ok(list)
}

/// The fields that are set, by name. Fails for extensions (predefined rules), and for fields that the vendored proto
/// does not define.
fn set_fields(message: &DynamicMessage) -> Result<Vec<(String, Value)>, String> {
    if let Some((extension, _)) = message.extensions().next() {
        return Err(unknown(extension.full_name()));
    }
    if let Some(field) = message.unknown_fields().next() {
        return Err(unknown(&format!("number {}", field.number())));
    }
    Ok(message.fields().map(|(field, value)| (field.name().to_owned(), value.clone())).collect())
}

fn unknown(rule: &str) -> String {
    format!("the rule {rule} is not supported: add it to services/contracts/build, or use another")
}
