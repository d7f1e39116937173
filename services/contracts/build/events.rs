//! Generates `EventKind` for every event: its kind is the name of the message in its oneof `kind`.

use std::fmt::Write;

use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};

use crate::checks::path;

/// The suffixes of the files that declare events, and of the event messages in them.
const FILES: &str = "_event.proto";
const MESSAGES: &str = "Event";

/// Generates the implementations of `EventKind`. Fails when a file declares no event, or an event has no kinds.
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
    let oneof =
        event.oneofs().find(|oneof| oneof.name() == "kind").ok_or_else(|| format!("{name} has no oneof `kind`"))?;
    let mut cases = String::new();
    for field in oneof.fields() {
        let Kind::Message(message) = field.kind() else {
            return Err(format!("{} is not a message", field.full_name()));
        };
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

/// The name of the variant that prost generates for a field: `OutOfStock` for `out_of_stock`.
fn camel(name: &str) -> String {
    let capitalized = |part: &str| part[..1].to_ascii_uppercase() + &part[1..];
    name.split('_').filter(|part| !part.is_empty()).map(capitalized).collect()
}
