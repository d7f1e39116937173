//! Writes the checks of every request as Rust: they read the decoded message, and cost what the comparisons cost.

use std::{collections::BTreeSet, fmt::Write};

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

use crate::{
    rules::{Reader, Rules, Text},
    wording,
};

/// Our own packages; what others publish declares no rules of ours.
const OURS: &str = "jumun.";

/// The implementations of `Check` for every message that requests are made of, and of `Received` for every request and
/// response.
pub(crate) fn generate(pool: &DescriptorPool) -> Result<String, String> {
    let reader = Reader::new(pool)?;
    let methods: Vec<_> = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    let requests: BTreeSet<_> = methods.iter().map(|method| method.input().full_name().to_owned()).collect();
    let responses: BTreeSet<_> = methods.iter().map(|method| method.output().full_name().to_owned()).collect();
    if let Some(both) = requests.intersection(&responses).next() {
        return Err(format!("{both} is a request and a response: it would be checked in both directions"));
    }
    let mut writer = Writer { reader, out: String::new(), patterns: Vec::new(), checked: BTreeSet::new() };
    for method in &methods {
        writer.message(&method.input())?;
    }
    for name in &requests {
        let received = "fn check(&self) -> Vec<Violation> { violations(self) }";
        let _ =
            writeln!(writer.out, "impl Received for {} {{ const IS_REQUEST: bool = true; {received} }}", path(name));
    }
    for name in &responses {
        let _ = writeln!(writer.out, "impl Received for {} {{}}", path(name));
    }
    writer.refuse_unreachable(pool)?;
    writer.write_patterns();
    Ok(writer.out)
}

struct Writer {
    reader: Reader,
    out: String,
    patterns: Vec<String>,
    checked: BTreeSet<String>,
}

impl Writer {
    fn message(&mut self, message: &MessageDescriptor) -> Result<(), String> {
        if !self.checked.insert(message.full_name().to_owned()) {
            return Ok(());
        }
        let mut body = String::new();
        for field in message.fields().filter(|field| !self.reader.is_output(field)).collect::<Vec<_>>() {
            self.field(&field, &mut body).map_err(|reason| format!("{} {reason}", field.full_name()))?;
        }
        let (at, found) = if body.is_empty() { ("_", "_") } else { ("at", "found") };
        let _ = writeln!(
            self.out,
            "impl Check for {} {{\nfn check(&self, {at}: &Path<'_>, {found}: &mut Vec<Violation>) {{\n{body}}}\n}}",
            path(message.full_name())
        );
        Ok(())
    }

    fn field(&mut self, field: &FieldDescriptor, body: &mut String) -> Result<(), String> {
        let rules = self.reader.rules(field)?;
        let own = format!("self.r#{}", field.name());
        let checks = if field.is_list() {
            self.list(field, &rules, &own)?
        } else {
            let inner = self.value(field, &rules)?;
            match (field.supports_presence(), rules.required) {
                (true, true) if inner.is_empty() => {
                    format!("if {own}.is_none() {{ place.add(found, \"is required\"); }}")
                }
                (true, true) => {
                    format!("match &{own} {{ Some(value) => {{ {inner} }} None => place.add(found, \"is required\") }}")
                }
                (true, false) if inner.is_empty() => String::new(),
                (true, false) => format!("if let Some(value) = &{own} {{ {inner} }}"),
                (false, _) => unless_zero(field, &rules, &own, &inner),
            }
        };
        if !checks.is_empty() {
            let _ = writeln!(body, "let place = at.field({:?});\n{checks}", field.name());
        }
        Ok(())
    }

    /// A list of the wrong length is not looked into: what there is to say about its items would be as long as itself.
    fn list(&mut self, field: &FieldDescriptor, rules: &Rules, own: &str) -> Result<String, String> {
        let Some(list) = &rules.list else { return Ok(String::new()) };
        let inner = self.value(field, list.items.as_deref().unwrap_or(&Rules::default()))?;
        let is_wrong = outside(&format!("{own}.len()"), list.min_items, list.max_items);
        let words = wording::count(list);
        let each =
            format!("for (index, value) in {own}.iter().enumerate() {{ let place = place.index(index); {inner} }}");
        let each = if inner.is_empty() { String::new() } else { format!(" else {{ {each} }}") };
        Ok(format!("if {is_wrong} {{ place.add(found, {words:?}); }}{each}"))
    }

    /// The checks of one value that is there. The first rule that it breaks is reported.
    fn value(&mut self, field: &FieldDescriptor, rules: &Rules) -> Result<String, String> {
        let declared = (rules.text.is_some(), rules.number.is_some(), rules.defined_only);
        let mut broken = Vec::new();
        match (field.kind(), declared) {
            (Kind::Message(message), (false, false, false)) if message.full_name().starts_with(OURS) => {
                self.message(&message)?;
                return Ok("Check::check(value, &place, found);".to_owned());
            }
            (Kind::String, (_, false, false)) => {
                if let Some(text) = &rules.text {
                    self.text(text, &mut broken)?;
                }
            }
            (Kind::Int32 | Kind::Int64, (false, _, false)) => {
                if let Some((least, most)) = rules.number {
                    broken.push((outside("*value", least, most), wording::number((least, most))));
                }
            }
            (Kind::Enum(of), (false, false, true)) => {
                let known = of.values().map(|value| value.number().to_string()).collect::<Vec<_>>().join(" | ");
                broken.push((format!("!matches!(*value, {known})"), wording::value(&of)));
            }
            (_, (false, false, false)) => {}
            _ => return Err("has rules of another type".to_owned()),
        }
        let checks = broken.iter().map(|(wrong, words)| format!("if {wrong} {{ place.add(found, {words:?}); }}"));
        Ok(checks.collect::<Vec<_>>().join(" else "))
    }

    fn text(&mut self, text: &Text, broken: &mut Vec<(String, String)>) -> Result<(), String> {
        if text.min_bytes.is_some() || text.max_bytes.is_some() {
            broken.push((outside("value.len()", text.min_bytes, text.max_bytes), wording::length(text)));
        }
        if !text.among.is_empty() {
            let values = text.among.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(" | ");
            broken.push((format!("!matches!(value.as_str(), {values})"), wording::choice(&text.among)));
        }
        if let Some(pattern) = &text.pattern {
            broken.push((format!("!{}.is_match(value)", self.pattern(pattern)?), wording::pattern(pattern)));
        }
        Ok(())
    }

    /// The name of a compiled pattern.
    fn pattern(&mut self, pattern: &str) -> Result<String, String> {
        regex::Regex::new(pattern).map_err(|error| format!("has no pattern: {error}"))?;
        let known = self.patterns.iter().position(|known| known == pattern);
        let index = known.unwrap_or_else(|| {
            self.patterns.push(pattern.to_owned());
            self.patterns.len() - 1
        });
        Ok(format!("PATTERN_{index}"))
    }

    fn write_patterns(&mut self) {
        for (index, pattern) in self.patterns.iter().enumerate() {
            let _ = writeln!(
                self.out,
                "static PATTERN_{index}: LazyLock<Regex> = LazyLock::new(|| compiled({pattern:?}));"
            );
        }
    }

    /// Refuses rules where nothing enforces them: in responses, events, and fields that callers do not set.
    fn refuse_unreachable(&self, pool: &DescriptorPool) -> Result<(), String> {
        for message in pool.all_messages().filter(|message| message.full_name().starts_with(OURS)) {
            self.reader.refuse_whole(&message)?;
            let is_reached = self.checked.contains(message.full_name());
            for field in message.fields().filter(|field| self.reader.declares(field)) {
                if !is_reached || self.reader.is_output(&field) {
                    return Err(format!("{} declares rules, but no request sets it", field.full_name()));
                }
            }
        }
        Ok(())
    }
}

/// The checks of a field that is always there, where zero counts as absent.
fn unless_zero(field: &FieldDescriptor, rules: &Rules, own: &str, inner: &str) -> String {
    let zero = if field.kind() == Kind::String { "\"\"" } else { "0" };
    match (rules.required, rules.skip_zero) {
        (true, _) => format!(
            "let value = &{own}; if *value == {zero} {{ place.add(found, \"is required\"); }} else {{ {inner} }}"
        ),
        (false, true) => format!("let value = &{own}; if *value != {zero} {{ {inner} }}"),
        (false, false) if inner.is_empty() => String::new(),
        (false, false) => format!("let value = &{own}; {inner}"),
    }
}

/// The condition under which a number is outside its bounds.
fn outside<T: std::fmt::Display>(value: &str, least: Option<T>, most: Option<T>) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!("!({least}..={most}).contains(&{value})"),
        (Some(least), None) => format!("{value} < {least}"),
        (None, Some(most)) => format!("{value} > {most}"),
        (None, None) => "false".to_owned(),
    }
}

/// Where prost puts a message: `jumun.order.v1.Order.Item` is `crate::jumun::order::v1::order::Item`.
/// A message, or what prost nests below it, as Rust names it.
pub(crate) fn path(full_name: &str) -> String {
    let segments: Vec<_> = full_name.split('.').collect();
    let (name, scopes) = segments.split_last().unwrap_or((&"", &[]));
    let scopes = scopes.iter().map(|scope| format!("r#{}::", snake(scope))).collect::<String>();
    format!("crate::{scopes}{name}")
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for (index, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
