//! Describes rules in English, for the violations that clients see.

use prost_reflect::EnumDescriptor;

use crate::rules::{List, Text};

/// The end of the pattern of every resource name.
const NAME: &str = "/[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
const NAME_IN_WORDS: &str = "/{id}, where id is 1 to 63 of a-z, 0-9 and -, and begins and ends with a letter or digit";
/// The pattern of text without control characters.
const PRINTABLE: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

pub(crate) fn length(text: &Text) -> String {
    between(text.min_bytes, text.max_bytes, "bytes")
}

pub(crate) fn count(list: &List) -> String {
    between(list.min_items, list.max_items, "items")
}

pub(crate) fn number((least, most): (Option<i64>, Option<i64>)) -> String {
    match (least, most) {
        (Some(0), None) => "must not be negative".to_owned(),
        (least, most) => between(least, most, "").trim_end().to_owned(),
    }
}

/// The values of an enum without the unspecified one, which counts as absent.
pub(crate) fn value(of: &EnumDescriptor) -> String {
    let names: Vec<_> = of.values().filter(|value| value.number() != 0).map(|value| value.name().to_owned()).collect();
    choice(&names)
}

/// One of these values, without the empty one, which counts as absent.
pub(crate) fn choice(values: &[String]) -> String {
    let values: Vec<_> = values.iter().filter(|value| !value.is_empty()).map(String::as_str).collect();
    format!("must be {}", values.join(" or "))
}

pub(crate) fn pattern(pattern: &str) -> String {
    if pattern == PRINTABLE {
        return "must not contain control characters".to_owned();
    }
    if let Some(collection) = pattern.strip_prefix('^').and_then(|pattern| pattern.strip_suffix(NAME)) {
        let is_literal = collection.bytes().all(|byte| byte.is_ascii_alphabetic());
        return format!("must be {}{NAME_IN_WORDS}", if is_literal { collection } else { "{collection}" });
    }
    let whole = pattern.strip_prefix('^').and_then(|pattern| pattern.strip_suffix('$'));
    match whole.and_then(classes) {
        Some(words) => format!("must be {words}"),
        None => format!("must match {pattern}"),
    }
}

/// Describes a sequence of bounded character classes, e.g. `[A-Z][a-z0-9]{0,7}`; None for any other pattern.
fn classes(mut rest: &str) -> Option<String> {
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (class, after) = rest.strip_prefix('[')?.split_once(']')?;
        let (count, after) = match after.strip_prefix('{').and_then(|after| after.split_once('}')) {
            Some((bounds, after)) => (bounds.replace(',', " to "), after),
            None => ("1".to_owned(), after),
        };
        parts.push(format!("{count} of {}", spaced(class)?));
        rest = after;
    }
    Some(parts.join(" and then "))
}

/// Separates the members of a character class: `A-Za-z_-` becomes `A-Z a-z _ -`.
fn spaced(class: &str) -> Option<String> {
    let members: Vec<char> = class.chars().collect();
    let (mut words, mut at) = (Vec::new(), 0);
    while at < members.len() {
        let is_range = members.get(at + 1) == Some(&'-') && at + 2 < members.len();
        let end = if is_range { at + 3 } else { at + 1 };
        words.push(members[at..end].iter().collect::<String>());
        at = end;
    }
    (!class.starts_with('^') && !class.contains('\\')).then(|| words.join(" "))
}

fn between<T: std::fmt::Display>(least: Option<T>, most: Option<T>, unit: &str) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!("must be {least} to {most} {unit}"),
        (Some(least), None) => format!("must be at least {least} {unit}"),
        (None, Some(most)) => format!("must be at most {most} {unit}"),
        (None, None) => "must be set".to_owned(),
    }
}
