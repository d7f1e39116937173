//! One list of layers for the server, and one for the client.

use crate::{Finding, Sources, scan::programs};

/// The files that hold a list of layers: each one chain from `ServiceBuilder::new()`.
const LISTS: [&str; 2] = ["crates/rpc/src/stack.rs", "crates/rpc/src/channel.rs"];
/// Layers that translate another protocol to gRPC, before the list: by file and code.
const TRANSLATORS: [(&str, &str); 2] = [
    ("crates/transcode/src/http_api.rs", "GrpcWebLayer::new().layer("),
    ("crates/transcode/src/http_api.rs", "origins.policy().map(|policy| policy.layer("),
];
const BUILDER: &str = "ServiceBuilder::new()";
const LAYER: &str = ".layer(";

/// Layers that are put on outside the lists.
pub fn outside_the_lists(sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    for program in programs(sources).iter().filter(|program| !program.path.starts_with("tools/")) {
        let is_list = LISTS.contains(&program.path.as_str());
        let mut within_list = false;
        let mut lists = 0;
        for (index, line) in program.code.lines().enumerate() {
            let mut found = |what: &str| findings.push(Finding::new(&program.path, index + 1, what));
            if line.contains(BUILDER) {
                lists += 1;
                within_list = is_list && lists == 1;
                if !within_list {
                    found("a second list of layers; the lists are in crates/rpc/src/stack.rs and channel.rs");
                }
            } else if line.contains(LAYER) {
                let is_translator = |(path, code): &(&str, &str)| program.path == *path && line.contains(code);
                let is_listed = within_list && line.trim_start().starts_with(LAYER);
                if !is_listed && !TRANSLATORS.iter().any(is_translator) {
                    found("a layer outside the lists in crates/rpc/src/stack.rs and channel.rs");
                }
            } else if !line.trim().is_empty() {
                within_list = false;
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{shown, sources};

    #[test]
    fn a_layer_outside_the_list_is_found_with_its_line() {
        let list = "let a = ServiceBuilder::new()\n    .layer(A)\n    // B\n    .layer(B(\"b\"))\n    .service(c);\n";
        let second = format!("{list}let d = C.layer(c);\n{list}");
        let files = [
            ("crates/rpc/src/channel.rs", second.as_str()),
            ("crates/rpc/src/stack.rs", list),
            ("crates/transcode/src/http_api.rs", "let a = GrpcWebLayer::new().layer(b);\nlet c = D.layer(a);\n"),
            ("services/order/src/lib.rs", "// .layer(\nlet server = Server::builder()\n    .layer(Auth);\n"),
        ];
        let outside = "a layer outside the lists in crates/rpc/src/stack.rs and channel.rs";
        let again = "a second list of layers; the lists are in crates/rpc/src/stack.rs and channel.rs";
        assert_eq!(
            shown(&outside_the_lists(&sources(&files))),
            [
                format!("crates/rpc/src/channel.rs:6: {outside}"),
                format!("crates/rpc/src/channel.rs:7: {again}"),
                format!("crates/rpc/src/channel.rs:8: {outside}"),
                format!("crates/rpc/src/channel.rs:10: {outside}"),
                format!("crates/transcode/src/http_api.rs:2: {outside}"),
                format!("services/order/src/lib.rs:3: {outside}"),
            ]
        );
    }
}
