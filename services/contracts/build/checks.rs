//! Generates the validation of every request as Rust code that reads the decoded message.

use std::{collections::BTreeSet, fmt::Write};

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

use crate::{
    rules::{Reader, Rules, Text},
    wording,
};

/// The prefix of the platform's own packages. Messages of other packages have no rules.
const OWN_PACKAGES: &str = "jumun.";

/// Generates the implementations of `Check` for every message that is part of a request, and of `Received` for every
/// request and response. Fails when a rule is unknown, or would not be enforced.
pub(crate) fn generate(pool: &DescriptorPool) -> Result<String, String> {
    let reader = Reader::new(pool)?;
    let methods: Vec<_> = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    let requests: BTreeSet<_> = methods.iter().map(|method| method.input().full_name().to_owned()).collect();
    let responses: BTreeSet<_> = methods.iter().map(|method| method.output().full_name().to_owned()).collect();
    if let Some(both) = requests.intersection(&responses).next() {
        return Err(format!("{both} is a request and a response: responses must not be validated"));
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
        let (parent, found) = if body.is_empty() { ("_", "_") } else { ("parent", "found") };
        let _ = writeln!(
            self.out,
            "impl Check for {} {{\nfn check(&self, {parent}: &Path<'_>, {found}: &mut Vec<Violation>) {{\n{body}}}\n}}",
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
                    format!("if {own}.is_none() {{ path.add(found, \"is required\"); }}")
                }
                (true, true) => {
                    format!("match &{own} {{ Some(value) => {{ {inner} }} None => path.add(found, \"is required\") }}")
                }
                (true, false) if inner.is_empty() => String::new(),
                (true, false) => format!("if let Some(value) = &{own} {{ {inner} }}"),
                (false, _) => unless_zero(field, &rules, &own, &inner),
            }
        };
        if !checks.is_empty() {
            let _ = writeln!(body, "let path = parent.field({:?});\n{checks}", field.name());
        }
        Ok(())
    }

    /// The checks of a list. The items of a list with a wrong length are not checked, which bounds the violations.
    fn list(&mut self, field: &FieldDescriptor, rules: &Rules, own: &str) -> Result<String, String> {
        let Some(list) = &rules.list else { return Ok(String::new()) };
        let inner = self.value(field, list.items.as_deref().unwrap_or(&Rules::default()))?;
        let is_wrong = outside(&format!("{own}.len()"), list.min_items, list.max_items);
        let words = wording::count(list);
        let each =
            format!("for (index, value) in {own}.iter().enumerate() {{ let path = path.index(index); {inner} }}");
        let each = if inner.is_empty() { String::new() } else { format!(" else {{ {each} }}") };
        Ok(format!("if {is_wrong} {{ path.add(found, {words:?}); }}{each}"))
    }

    /// The checks of a value that is present. Only the first rule that it violates is reported.
    fn value(&mut self, field: &FieldDescriptor, rules: &Rules) -> Result<String, String> {
        let declared = (rules.text.is_some(), rules.number.is_some(), rules.defined_only);
        let mut violated = Vec::new();
        match (field.kind(), declared) {
            (Kind::Message(message), (false, false, false)) if message.full_name().starts_with(OWN_PACKAGES) => {
                self.message(&message)?;
                return Ok("Check::check(value, &path, found);".to_owned());
            }
            (Kind::String, (_, false, false)) => {
                if let Some(text) = &rules.text {
                    self.text(text, &mut violated)?;
                }
            }
            (Kind::Int32 | Kind::Int64, (false, _, false)) => {
                if let Some((least, most)) = rules.number {
                    violated.push((outside("*value", least, most), wording::number((least, most))));
                }
            }
            (Kind::Enum(of), (false, false, true)) => {
                let known = of.values().map(|value| value.number().to_string()).collect::<Vec<_>>().join(" | ");
                violated.push((format!("!matches!(*value, {known})"), wording::value(&of)));
            }
            (_, (false, false, false)) => {}
            _ => return Err("has rules for another type".to_owned()),
        }
        let checks = violated.iter().map(|(wrong, words)| format!("if {wrong} {{ path.add(found, {words:?}); }}"));
        Ok(checks.collect::<Vec<_>>().join(" else "))
    }

    fn text(&mut self, text: &Text, violated: &mut Vec<(String, String)>) -> Result<(), String> {
        if text.min_bytes.is_some() || text.max_bytes.is_some() {
            violated.push((outside("value.len()", text.min_bytes, text.max_bytes), wording::length(text)));
        }
        if !text.one_of.is_empty() {
            let values = text.one_of.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(" | ");
            violated.push((format!("!matches!(value.as_str(), {values})"), wording::choice(&text.one_of)));
        }
        if let Some(pattern) = &text.pattern {
            violated.push((format!("!{}.is_match(value)", self.pattern(pattern)?), wording::pattern(pattern)));
        }
        Ok(())
    }

    /// The name of the static that holds a compiled pattern.
    fn pattern(&mut self, pattern: &str) -> Result<String, String> {
        regex::Regex::new(pattern).map_err(|error| format!("has an invalid pattern: {error}"))?;
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

    /// Fails when rules are declared where nothing enforces them: in responses, in events, and on output-only fields.
    fn refuse_unreachable(&self, pool: &DescriptorPool) -> Result<(), String> {
        for message in pool.all_messages().filter(|message| message.full_name().starts_with(OWN_PACKAGES)) {
            self.reader.refuse_whole(&message)?;
            let is_reached = self.checked.contains(message.full_name());
            for field in message.fields().filter(|field| self.reader.declares(field)) {
                if !is_reached || self.reader.is_output(&field) {
                    return Err(format!("{} declares rules, but is not part of a request", field.full_name()));
                }
            }
        }
        Ok(())
    }
}

/// The checks of a field without presence, where the zero value counts as absent.
fn unless_zero(field: &FieldDescriptor, rules: &Rules, own: &str, inner: &str) -> String {
    let zero = if field.kind() == Kind::String { "\"\"" } else { "0" };
    match (rules.required, rules.skip_zero) {
        (true, _) => format!(
            "let value = &{own}; if *value == {zero} {{ path.add(found, \"is required\"); }} else {{ {inner} }}"
        ),
        (false, true) => format!("let value = &{own}; if *value != {zero} {{ {inner} }}"),
        (false, false) if inner.is_empty() => String::new(),
        (false, false) => format!("let value = &{own}; {inner}"),
    }
}

/// The condition that a number is outside its bounds.
fn outside<T: std::fmt::Display>(value: &str, least: Option<T>, most: Option<T>) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!("!({least}..={most}).contains(&{value})"),
        (Some(least), None) => format!("{value} < {least}"),
        (None, Some(most)) => format!("{value} > {most}"),
        (None, None) => "false".to_owned(),
    }
}

/// The Rust path that prost gives to a message: `crate::jumun::order::v1::order::Item` for `jumun.order.v1.Order.Item`.
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
