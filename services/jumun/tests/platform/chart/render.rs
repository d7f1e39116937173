//! helm, and the objects that it renders.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use serde::Deserialize;
use serde_json::Value as Json;

use super::super::processes::temp_env::tool;

/// The namespace that the objects are rendered for.
pub(super) const NAMESPACE: &str = "shop";
/// The sets of values in helm/jumun/ci.
pub(super) const SHAPES: [&str; 4] = ["single", "plain", "trial", "production"];
/// Those with Istio.
pub(super) const MESHES: [&str; 2] = ["trial", "production"];

/// The objects that a chart rendered.
pub(super) struct Objects(pub(super) Vec<Json>);

/// A file of the repository.
pub(super) fn root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Renders the chart with more arguments, e.g. `--set mode=mesh`.
pub(super) fn helm(arguments: &[&str]) -> Output {
    let mut helm = Command::new(tool("helm"));
    helm.args(["template", "jumun", "--namespace", NAMESPACE]).arg(root("helm/jumun")).args(arguments);
    helm.output().expect("helm runs: scripts/tools.sh helm")
}

/// A shape with more arguments; it must render.
pub(super) fn render(shape: &str, arguments: &[&str]) -> Objects {
    let values = root(&format!("helm/jumun/ci/{shape}-values.yaml"));
    let values = values.to_str().expect("a path of UTF-8");
    let output = helm(&[&["--values", values], arguments].concat());
    assert!(output.status.success(), "{shape}: {}", String::from_utf8_lossy(&output.stderr));
    Objects(documents(&String::from_utf8_lossy(&output.stdout)))
}

/// The documents of a YAML file.
pub(super) fn documents(text: &str) -> Vec<Json> {
    let read = |document| Json::deserialize(document).expect("YAML");
    yaml_serde::Deserializer::from_str(text).map(read).filter(|document| !document.is_null()).collect()
}

/// The one document of a YAML file of the repository.
pub(super) fn yaml(path: &str) -> Json {
    let text = std::fs::read_to_string(root(path)).expect("a file of the repository");
    documents(&text).pop().expect("a document")
}

impl Objects {
    /// The object of a kind and name.
    pub(super) fn find(&self, kind: &str, name: &str) -> Option<&Json> {
        self.of_kind(kind).find(|object| object["metadata"]["name"] == name)
    }

    /// All of a kind.
    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Json> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    /// The contexts that run, by name.
    pub(super) fn contexts(&self) -> Vec<&str> {
        let known = yaml("helm/jumun/contexts.json");
        let known = known.as_object().expect("contexts");
        let services = self.of_kind("Service").filter_map(|service| service["metadata"]["name"].as_str());
        services.filter(|name| known.contains_key(*name)).collect()
    }
}

/// The items of a list; none where there is no list.
pub(super) fn list(value: &Json) -> &[Json] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The texts of a list.
pub(super) fn texts(value: &Json) -> Vec<&str> {
    list(value).iter().filter_map(Json::as_str).collect()
}
