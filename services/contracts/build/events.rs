//! Writes the kind of every event as Rust: the name of the message that its `kind` holds.

use std::fmt::Write;

use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};

use crate::checks::path;

/// The files in which contexts declare what they announce, and the messages of them that are announced.
const FILES: &str = "_event.proto";
const MESSAGES: &str = "Event";

/// The implementations of `EventKind`.
pub(crate) fn generate(pool: &DescriptorPool) -> Result<String, String> {
    let mut out = String::new();
    for file in pool.files().filter(|file| file.name().ends_with(FILES)) {
        let events: Vec<_> = file.messages().filter(|message| message.name().ends_with(MESSAGES)).collect();
        if events.is_empty() {
            return Err(format!("{} declares no message named …{MESSAGES}", file.name()));
        }
        for event in events {
            write_kinds(&event, &mut out)?;
        }
    }
    Ok(out)
}

fn write_kinds(event: &MessageDescriptor, out: &mut String) -> Result<(), String> {
    let name = event.full_name();
    let oneof = event.oneofs().find(|oneof| oneof.name() == "kind").ok_or_else(|| format!("{name} has no kind"))?;
    let mut cases = String::new();
    for field in oneof.fields() {
        let Kind::Message(message) = field.kind() else { return Err(format!("{} is no message", field.full_name())) };
        // prost puts the enum of a oneof into a module named after the message.
        let case = path(&format!("{}.{}.Kind", event.package_name(), event.name()));
        let _ = writeln!(cases, "Some({case}::{}(_)) => {:?},", camel(field.name()), message.name());
    }
    let _ = writeln!(
        out,
        "impl EventKind for {} {{\nfn kind(&self) -> &'static str {{ match self.kind {{\n{cases}None => \"\", }} }}\n}}",
        path(name)
    );
    Ok(())
}

/// `out_of_stock` as the variant that prost makes of it.
fn camel(name: &str) -> String {
    let word = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    name.split('_').filter(|word| !word.is_empty()).map(word).collect()
}
