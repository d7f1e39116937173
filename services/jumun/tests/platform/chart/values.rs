//! Values: unknown keys are refused with their path, contradictions with what to do, and every value is documented.
//! down.

use serde_json::Value as Json;

use super::render::{helm, root, yaml};

/// Maps with free keys.
const FREE: [&str; 7] = ["contexts", "podAnnotations", "requests", "limits", "selector", "labels", "storage.className"];

/// Every map of the values, by path.
fn maps(values: &Json, path: &str) -> Vec<String> {
    let entries = values.as_object().into_iter().flatten();
    let inner = entries.filter(|(key, value)| value.is_object() && !FREE.contains(&key.as_str()));
    let inner = inner.flat_map(|(key, value)| {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let mut found = maps(value, &path);
        found.push(path);
        found
    });
    inner.collect()
}

fn refusal(arguments: &[&str]) -> String {
    let output = helm(arguments);
    assert!(!output.status.success(), "{arguments:?} is accepted");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn a_misspelt_key_is_refused_with_its_path_wherever_it_is() {
    let mut paths = maps(&yaml("helm/jumun/values.yaml"), "");
    assert!(paths.len() > 30, "{paths:?}");
    paths.extend(["contexts.order".to_owned(), "contexts.order.database".to_owned()]);
    for path in paths {
        let refusal = refusal(&["--set", &format!("{path}.misspelt=1")]);
        let place = format!("/{}", path.replace('.', "/"));
        assert!(refusal.contains(&place) && refusal.contains("'misspelt' not allowed"), "{path}: {refusal}");
    }
    assert!(refusal(&["--set", "misspelt=1"]).contains("'misspelt' not allowed"));
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn a_value_of_the_wrong_kind_is_refused_with_its_path() {
    for (setting, place) in [
        ("mode=cluster", "/mode"),
        ("defaults.replicas=0", "/defaults/replicas"),
        ("contexts.payment.canary.weight=101", "/contexts/payment/canary/weight"),
        ("defaults.traffic.outlier.interval=1", "/defaults/traffic/outlier/interval"),
        ("nats.url=http://nats", "/nats/url"),
    ] {
        let refusal = refusal(&["--set", setting]);
        assert!(refusal.contains(place), "{setting}: {refusal}");
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn contradicting_values_are_refused_with_what_to_do() {
    let mesh = ["--set", "mode=mesh,auth.mode=off,nats.enabled=true,postgresql.enabled=true"];
    for (setting, words) in [
        ("auth.mode=development", "auth.mode=required"),
        ("auth.mode=required", "auth.issuer"),
        ("auth.mode=required,auth.issuer=a,auth.jwks=https://a/b", "auth.serviceKey.secret"),
        ("nats.enabled=false", "nats.url"),
        ("postgresql.enabled=false", "defaults.database.secret"),
        ("contexts.ordr.replicas=3", "there is no such context"),
        ("contexts.order.database.kind=sqlite,contexts.order.canary.enabled=true", "no canary"),
        ("istio.enabled=true,istio.jwt.enabled=true", "auth.mode=required"),
        (
            "systems.foodDelivery.enabled=false,systems.coffeeShop.enabled=false,systems.education.enabled=false,\
             systems.cleaningService.enabled=false",
            "none is enabled",
        ),
    ] {
        let refusal = refusal(&[&mesh[..], &["--set", setting]].concat());
        assert!(refusal.contains(words), "{setting}: {refusal}");
    }
    assert!(refusal(&["--set", "istio.enabled=true"]).contains("mode=mesh"));
}

#[test]
fn every_value_that_the_schema_knows_is_in_values_yaml() {
    let schema = std::fs::read_to_string(root("helm/jumun/values.schema.json")).expect("the schema");
    let schema: Json = serde_json::from_str(&schema).expect("JSON");
    let mut missing = Vec::new();
    compare(&schema, &schema, &yaml("helm/jumun/values.yaml"), "", &mut missing);
    assert!(missing.is_empty(), "not in values.yaml: {missing:?}");
}

fn compare(schema: &Json, part: &Json, values: &Json, path: &str, missing: &mut Vec<String>) {
    let part = match part["$ref"].as_str() {
        Some(name) => schema.pointer(name.trim_start_matches('#')).expect("a definition"),
        None => part,
    };
    for (key, inner) in part["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{key}");
        match values.get(key) {
            Some(value) => compare(schema, inner, value, &path, missing),
            // Helm adds it.
            None if path == "/global" => {}
            None => missing.push(path),
        }
    }
}
