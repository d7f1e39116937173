//! No business word in `crates/`: neither in code and comments, nor in tests, protos and SQL.

use std::collections::BTreeSet;

use crate::{Finding, Sources};

/// Packages of the platform's own contracts. Their folders name no context.
const PLATFORM: [&str; 3] = ["admin", "bench", "options"];
/// Roles that every platform has: mechanism knows them.
const PLATFORM_ROLES: [&str; 3] = ["unspecified", "operator", "service"];
/// Business words that are no name in the contracts, in parts as [`parts`] makes them.
const MORE: [&str; 26] = [
    "barista",
    "cashier",
    "cleaner",
    "cleaning",
    "coffee",
    "courier",
    "couriers",
    "course",
    "courses",
    "enrol",
    "food",
    "kakao",
    "meal",
    "meals",
    "menu",
    "pay",
    "paying",
    "restaurant",
    "restaurants",
    "school",
    "seat",
    "shop",
    "shops",
    "stock",
    "student",
    "students",
];
/// Words of English and of the trade that look like the business, by the files that may have them. They are exact text,
/// and whole words.
const EXCEPTIONS: [(&str, &str); 17] = [
    // How things are sorted.
    ("crates/", "in order"),
    ("crates/", "in_order"),
    ("crates/", "in no order"),
    ("crates/", "in this order"),
    ("crates/", "order of"),
    ("crates/", "The order in"),
    ("crates/", "the order in"),
    ("crates/", "table's order"),
    ("crates/", "order_by"),
    ("crates/", "ORDER BY"),
    // What is kept: the verb, an atomic value, HTTP's and TLS's words.
    ("crates/", "to store"),
    ("crates/", "cannot store"),
    ("crates/", ".store("),
    ("crates/", "no-store"),
    ("crates/", "RootCertStore"),
    // A process that serves customers, not what a kitchen makes.
    ("crates/", "production process"),
    // A bus delivers events.
    ("crates/", "delivery of events"),
];
/// Where events are delivered, the word is the trade's.
const DELIVERING: &str = "crates/eventing/";
const DELIVERIES: [&str; 2] = ["delivery", "deliveries"];

/// The business words: the contexts, roles and resources of the contracts, and more.
pub fn of_business(sources: &Sources) -> BTreeSet<String> {
    let mut words: BTreeSet<String> = MORE.iter().map(|word| (*word).to_owned()).collect();
    for (path, text) in sources {
        let Some((context, _)) = path.strip_prefix("proto/jumun/").and_then(|rest| rest.split_once('/')) else {
            continue;
        };
        if !PLATFORM.contains(&context) {
            words.insert(context.to_owned());
        }
        for line in text.lines().map(str::trim) {
            let resource = ["plural: \"", "singular: \""].iter().find_map(|key| line.strip_prefix(key));
            words.extend(resource.map(|name| parts(name).join(" ")));
        }
        words.extend(roles(text));
    }
    words
}

/// The values of `enum Role`, in lower case.
fn roles(proto: &str) -> impl Iterator<Item = String> + '_ {
    let values = proto.lines().skip_while(|line| !line.starts_with("enum Role {")).skip(1);
    values.take_while(|line| !line.starts_with('}')).filter_map(|line| {
        let name = line.split_once(" = ")?.0.trim().strip_prefix("ROLE_").unwrap_or(line.split_once(" = ")?.0.trim());
        let name = name.to_lowercase();
        (!name.starts_with("//") && !PLATFORM_ROLES.contains(&name.as_str())).then_some(name)
    })
}

/// Business words in `crates/`.
pub fn in_mechanism(sources: &Sources, words: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in sources.iter().filter(|(path, _)| path.starts_with("crates/")) {
        let mut look = |line: usize, text: &str| {
            let parts = format!(" {} ", parts(&without_exceptions(path, text)).join(" "));
            for word in words.iter().filter(|word| parts.contains(&format!(" {word} "))) {
                if !DELIVERIES.contains(&word.as_str()) || !path.starts_with(DELIVERING) {
                    findings.push(Finding::new(path, line, format!("{word:?} is a business word")));
                }
            }
        };
        look(1, path.strip_prefix("crates/").unwrap_or(path));
        for (index, line) in text.lines().enumerate() {
            look(index + 1, line);
        }
    }
    findings
}

fn without_exceptions(path: &str, line: &str) -> String {
    let is_inner = |character: char| character.is_alphanumeric() || character == '_';
    let mut line = line.to_owned();
    for (_, phrase) in EXCEPTIONS.iter().filter(|(prefix, _)| path.starts_with(prefix)) {
        while let Some(begin) = line.match_indices(phrase).map(|(begin, _)| begin).find(|begin| {
            let end = begin + phrase.len();
            let within_before = phrase.starts_with(is_inner) && line[..*begin].ends_with(is_inner);
            let within_after = phrase.ends_with(is_inner) && line[end..].starts_with(is_inner);
            !within_before && !within_after
        }) {
            line.replace_range(begin..begin + phrase.len(), "|");
        }
    }
    line
}

/// The words of a text, in lower case: `OrderPlaced`, `order_placed` and `order-placed` are `order` and `placed`.
fn parts(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let characters: Vec<char> = text.chars().collect();
    for (index, character) in characters.iter().copied().enumerate() {
        let begins = character.is_uppercase()
            && (index.checked_sub(1).is_some_and(|before| characters[before].is_lowercase())
                || characters.get(index + 1).is_some_and(|after| after.is_lowercase()));
        if (begins || !character.is_alphabetic()) && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
        }
        if character.is_alphabetic() {
            part.extend(character.to_lowercase());
        }
    }
    parts.extend((!part.is_empty()).then_some(part));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{shown, sources};

    #[test]
    fn the_contracts_name_the_business() {
        let files = [
            ("proto/jumun/warehouse/v1/warehouse.proto", "    plural: \"stockItems\"\n    singular: \"stockItem\"\n"),
            (
                "proto/jumun/options/v1/options.proto",
                "enum Role {\n  // Never = sent.\n  ROLE_UNSPECIFIED = 0;\n  RIDER = 1;\n  SERVICE = 2;\n}\n",
            ),
        ];
        let words = of_business(&sources(&files));
        for word in ["warehouse", "stock item", "stock items", "rider", "kakao"] {
            assert!(words.contains(word), "{word}");
        }
        for word in ["options", "service", "unspecified", "item"] {
            assert!(!words.contains(word), "{word}");
        }
    }

    #[test]
    fn a_business_word_in_mechanism_is_found_with_its_line() {
        let words = ["order", "orders", "store", "delivery", "stock item"].map(str::to_owned).into();
        let found = |path: &str, line: &str| {
            let text = format!("// A thing.\n{line}\n");
            shown(&in_mechanism(&sources(&[(path, &text)]), &words)).first().cloned()
        };
        for line in
            ["CreateOrder", "/v1/orders/a", "order-placed", "StockItem", "the order, of", "orders_by_x", "STORE"]
        {
            let finding = found("crates/engine/src/a.rs", line).unwrap_or_else(|| panic!("{line} is business"));
            assert!(finding.starts_with("crates/engine/src/a.rs:2: ") && finding.ends_with("is a business word"));
        }
        assert_eq!(
            found("crates/engine/src/order.rs", ""),
            Some("crates/engine/src/order.rs:1: \"order\" is a business word".into())
        );
        for line in
            ["the order of ids", "ORDER BY order_by", "Ordering", "value.store(1)", "stored", "events in order."]
        {
            assert_eq!(found("crates/engine/src/a.rs", line), None, "{line}");
        }
        assert_eq!(found("crates/eventing/src/a.rs", "LocalDelivery"), None);
        assert_eq!(found("services/order/src/a.rs", "order"), None);
    }
}
