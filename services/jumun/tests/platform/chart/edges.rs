//! Edges of the context map: who may call what. The gateway may call every method that is not only for contexts; a
//! context the methods for contexts, of those that it calls by the context map; nothing else is allowed.

use serde_json::{Value as Json, json};

use super::{
    protos::declared,
    render::{MESHES, NAMESPACE, Objects, list, render, texts, yaml},
};

/// `SERVICE` of jumun.options.v1.Role.
const SERVICE: i32 = 9;

/// Whether a policy's path matches a path.
fn covers(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => pattern == path,
    }
}

/// Whether the policies of a context allow a caller.
fn is_allowed(objects: &Objects, caller: &str, context: &str, method: &str, path: &str) -> bool {
    let account = match caller {
        "gateway" => "ns/istio-ingress/sa/ingress".to_owned(),
        context => format!("ns/{NAMESPACE}/sa/{context}"),
    };
    let principal = format!("cluster.local/{account}");
    let selected = |policy: &&Json| {
        policy["spec"]["action"] == "ALLOW"
            && policy["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] == context
    };
    let from = |rule: &Json| {
        list(&rule["from"]).iter().any(|from| texts(&from["source"]["principals"]).contains(&principal.as_str()))
    };
    let to = |operation: &Json| {
        texts(&operation["methods"]).contains(&method) && texts(&operation["paths"]).iter().any(|it| covers(it, path))
    };
    let rules =
        objects.of_kind("AuthorizationPolicy").filter(selected).flat_map(|policy| list(&policy["spec"]["rules"]));
    rules.filter(|rule| from(rule)).any(|rule| list(&rule["to"]).iter().any(|it| to(&it["operation"])))
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn each_edge_of_the_context_map_is_open_for_its_methods_and_no_other() {
    let map = yaml("helm/jumun/contexts.json");
    for shape in MESHES {
        let objects = render(shape, &[]);
        let contexts = objects.contexts();
        for method in declared(&contexts) {
            let (is_inner, is_outer) =
                (method.roles.contains(&SERVICE), method.roles.iter().any(|role| *role != SERVICE));
            for caller in contexts.iter().copied().filter(|caller| *caller != method.context) {
                let is_edge = list(&map[caller]["calls"]).contains(&json!(method.context));
                let allowed = is_allowed(&objects, caller, &method.context, "POST", &method.grpc);
                assert_eq!(allowed, is_edge && is_inner, "{shape}: {caller} calls {}", method.grpc);
            }
            let grpc = ("POST", method.grpc.clone());
            for (verb, path) in [&grpc].into_iter().chain(&method.json) {
                let allowed = is_allowed(&objects, "gateway", &method.context, verb, path);
                assert_eq!(allowed, is_outer, "{shape}: the gateway calls {verb} {path}");
            }
        }
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn what_no_edge_allows_is_denied_and_nothing_is_spoken_in_plaintext() {
    for shape in MESHES {
        let objects = render(shape, &[]);
        let denied = objects.find("AuthorizationPolicy", "jumun").expect("a policy that allows nothing");
        assert!(denied["spec"]["rules"].is_null() && denied["spec"]["action"].is_null(), "{denied}");
        let peers = objects.find("PeerAuthentication", "jumun").expect("the principals of peers");
        assert_eq!(peers["spec"]["mtls"]["mode"], "STRICT");
        let network = objects.find("NetworkPolicy", "default").expect("a policy that denies everything");
        assert!(network["spec"]["ingress"].is_null());
        for policy in [denied, peers] {
            let selected = policy["spec"]["selector"]["matchLabels"].as_object().expect("labels");
            for context in objects.contexts() {
                let pod = &objects.0.iter().find(|object| {
                    ["Deployment", "StatefulSet"].contains(&object["kind"].as_str().unwrap_or_default())
                        && object["metadata"]["name"] == context
                });
                let labels = &pod.expect("pods")["spec"]["template"]["metadata"]["labels"];
                assert!(selected.iter().all(|(key, value)| labels[key] == *value), "{shape}: {context}");
            }
        }
        for path in ["/jumun.admin.v1.AdminService/ListDeadLetters", "/v1/deadLetters", "/metrics"] {
            for (context, method) in objects.contexts().into_iter().flat_map(|it| [(it, "POST"), (it, "GET")]) {
                assert!(!is_allowed(&objects, "gateway", context, method, path), "{shape}: {context}: {path}");
            }
        }
    }
}
