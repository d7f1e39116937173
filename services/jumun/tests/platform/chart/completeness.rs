//! Each context has every object that it needs in the mesh, and missing ones are named.

use serde_json::{Value as Json, json};

use super::render::{MESHES, Objects, SHAPES, list, render, yaml};

/// The missing objects of a context, by name.
fn missing(objects: &Objects, context: &str) -> Vec<String> {
    let stateful = objects.find("StatefulSet", context).is_some();
    let workload = if stateful { "StatefulSet" } else { "Deployment" };
    let ingress = format!("{context}-ingress");
    let from_ingress = format!("{context}-from-ingress");
    let mut wanted = vec![
        ("Service", context),
        (workload, context),
        ("PodDisruptionBudget", context),
        ("NetworkPolicy", context),
        ("ServiceAccount", context),
        ("ConfigMap", context),
        ("DestinationRule", context),
        ("VirtualService", context),
        ("VirtualService", &ingress),
        ("AuthorizationPolicy", &from_ingress),
        ("Sidecar", context),
    ];
    if !stateful {
        wanted.push(("HorizontalPodAutoscaler", context));
    }
    let edges = edges(objects, context);
    let policies = edges.iter().map(|(_, policy)| ("AuthorizationPolicy", policy.as_str()));
    let objects_missing = wanted.into_iter().chain(policies).filter(|(kind, name)| objects.find(kind, name).is_none());
    let objects_missing = objects_missing.map(|(kind, name)| format!("{kind} {name}"));
    let probes = ["startupProbe", "livenessProbe", "readinessProbe"].into_iter().filter(|probe| {
        let workload = objects.find(workload, context);
        workload.is_some_and(|it| it["spec"]["template"]["spec"]["containers"][0][probe]["grpc"]["port"] != 8080)
    });
    let network = edges.iter().filter(|(caller, _)| !lets_in(objects, context, caller));
    objects_missing
        .chain(probes.map(|probe| format!("{probe} of {context}")))
        .chain(network.map(|(caller, _)| format!("NetworkPolicy edge {caller} to {context}")))
        .collect()
}

/// The callers of a context by the context map, with the name of the policy that allows each.
fn edges(objects: &Objects, context: &str) -> Vec<(String, String)> {
    let map = yaml("helm/jumun/contexts.json");
    let calls = |caller: &str| list(&map[caller]["calls"]).contains(&json!(context));
    let callers = objects.contexts().into_iter().filter(|caller| calls(caller));
    callers.map(|caller| (caller.to_owned(), format!("{context}-from-{caller}"))).collect()
}

/// Whether the NetworkPolicies allow a caller's pods, at both ends.
fn lets_in(objects: &Objects, context: &str, caller: &str) -> bool {
    let names = |peers: &Json, name: &str| {
        let labels = |peer: &Json| peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == name;
        list(peers).iter().any(labels)
    };
    let rules = |of: &str, direction: &str, ends: &str, name: &str| {
        let policy = objects.find("NetworkPolicy", of);
        policy.is_some_and(|policy| list(&policy["spec"][direction]).iter().any(|rule| names(&rule[ends], name)))
    };
    rules(context, "ingress", "from", caller) && rules(caller, "egress", "to", context)
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn every_context_has_all_that_it_needs() {
    let objects = render("trial", &["--set", "nats.enabled=true"]);
    let contexts = objects.contexts();
    let known = yaml("helm/jumun/contexts.json");
    assert_eq!(contexts.len(), known.as_object().map_or(0, serde_json::Map::len), "{contexts:?}");
    let missing: Vec<_> = contexts.iter().flat_map(|context| missing(&objects, context)).collect();
    assert!(missing.is_empty(), "missing: {missing:#?}");
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn what_a_context_lacks_is_named() {
    let whole = render("trial", &[]);
    let of_payment = |object: &&Json| object["metadata"]["labels"]["app"] == "payment";
    for object in whole.0.iter().filter(of_payment) {
        let without = Objects(whole.0.iter().filter(|other| *other != object).cloned().collect());
        // Without its Service the context does not count as running, so it is named here.
        let missing = missing(&without, "payment");
        let (kind, name) =
            (object["kind"].as_str().expect("a kind"), object["metadata"]["name"].as_str().expect("a name"));
        assert!(
            missing.iter().any(|missing| missing.contains(&format!("{kind} {name}"))
                || missing.contains("NetworkPolicy edge") && kind == "NetworkPolicy"),
            "without {kind} {name}: {missing:?}"
        );
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn no_object_is_rendered_twice_and_none_holds_a_secret() {
    for shape in SHAPES {
        let objects = render(shape, &[]);
        let mut names: Vec<_> =
            objects.0.iter().map(|object| format!("{} {}", object["kind"], object["metadata"]["name"])).collect();
        names.sort();
        let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "{shape}: {twice:?}");
        assert_eq!(objects.of_kind("Secret").count(), 0, "{shape}: the chart creates no Secrets");
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn a_change_of_weights_changes_routes_and_restarts_nothing() {
    let weighted = |weight: &str| render("production", &["--set", &format!("defaults.canary.weight={weight}")]);
    let (few, many) = (weighted("10"), weighted("50"));
    let changed: Vec<_> =
        few.0.iter().zip(&many.0).filter(|(few, many)| few != many).map(|(few, _)| &few["kind"]).collect();
    assert!(!changed.is_empty() && changed.iter().all(|kind| *kind == "VirtualService"), "{changed:?}");
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn a_change_of_settings_restarts_the_pods_that_read_them() {
    let checksum = |objects: &Objects, context: &str| {
        let deployment = objects.find("Deployment", context).expect("a Deployment");
        deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"].clone()
    };
    let before = render("trial", &[]);
    let after = render("trial", &["--set", "config.log=debug"]);
    for context in before.contexts() {
        assert_ne!(checksum(&before, context), checksum(&after, context), "{context}");
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn a_systems_contexts_run_where_it_is_enabled_and_nowhere_else() {
    for shape in MESHES {
        let all = render(shape, &[]).contexts().len();
        let objects = render(shape, &["--set", "systems.education.enabled=false"]);
        assert!(objects.find("Service", "enrollment").is_none() && objects.find("Service", "payment").is_some());
        assert!(objects.find("AuthorizationPolicy", "payment-from-enrollment").is_none());
        assert!(objects.contexts().len() < all);
    }
}
