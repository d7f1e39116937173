//! The `buf.validate` rules of a field as JSON Schema keywords, so that the document states which values are rejected.

use prost_reflect::{DynamicMessage, FieldDescriptor, Value};
use serde_json::{Map, Value as Json};

/// Rules that have a keyword with the same value, for every kind of field.
const KEYWORDS: [(&str, &str); 11] = [
    ("min_len", "minLength"),
    ("max_len", "maxLength"),
    // A character has at least one byte.
    ("max_bytes", "maxLength"),
    ("pattern", "pattern"),
    ("gte", "minimum"),
    ("lte", "maximum"),
    ("gt", "exclusiveMinimum"),
    ("lt", "exclusiveMaximum"),
    ("min_items", "minItems"),
    ("max_items", "maxItems"),
    ("in", "enum"),
];

/// The rules of a field as keywords.
pub(super) fn limits(field: &FieldDescriptor) -> Map<String, Json> {
    declared(field).map(|rules| keywords(&rules)).unwrap_or_default()
}

/// The pattern of a string field without a prefix that is a literal part of the path.
pub(super) fn pattern_after(field: &FieldDescriptor, prefix: &str) -> Option<String> {
    let limits = limits(field);
    let pattern = limits.get("pattern")?.as_str()?.strip_prefix('^')?.strip_prefix(prefix)?;
    Some(format!("^{pattern}"))
}

fn declared(field: &FieldDescriptor) -> Option<DynamicMessage> {
    let extension = field.parent_message().parent_pool().get_extension_by_name("buf.validate.field")?;
    let options = field.options();
    options.has_extension(&extension).then(|| options.get_extension(&extension).as_message().cloned())?
}

/// The keywords for the rules of every kind.
fn keywords(rules: &DynamicMessage) -> Map<String, Json> {
    let mut keywords = Map::new();
    for (kind, of_kind) in rules.fields() {
        let Some(of_kind) = of_kind.as_message() else { continue };
        for (rule, value) in of_kind.fields() {
            let keyword = KEYWORDS.iter().find(|(name, _)| *name == rule.name());
            match (keyword, value) {
                // 64-bit numbers are strings in JSON, for which `minimum` and `maximum` do not apply.
                (Some((_, keyword)), value) if !kind.name().ends_with("64") => {
                    keywords.insert((*keyword).to_owned(), to_json(value));
                }
                // A character has at most four bytes.
                (None, Value::U64(bytes)) if rule.name() == "min_bytes" => {
                    keywords.insert("minLength".to_owned(), bytes.div_ceil(4).into());
                }
                (None, Value::Message(of_items)) if rule.name() == "items" => {
                    keywords.insert("items".to_owned(), self::keywords(of_items).into());
                }
                _ => {}
            }
        }
    }
    keywords
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::String(text) => text.as_str().into(),
        Value::I32(number) => (*number).into(),
        Value::U32(number) => (*number).into(),
        Value::U64(number) => (*number).into(),
        Value::F32(number) => (*number).into(),
        Value::F64(number) => (*number).into(),
        Value::List(values) => values.iter().map(to_json).collect(),
        _ => Json::Null,
    }
}
