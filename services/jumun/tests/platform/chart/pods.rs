//! Pods: the Pod Security Standard `restricted`, start and end.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::render::{Objects, SHAPES, list, render};

/// The longest time from SIGTERM to the end: lame duck, drain, last events (crates/runtime/src/runtime.rs,
/// listener.rs).
const DRAIN: Duration = Duration::from_secs(1 + 15 + 3 + 2 + 3);

/// Every pod template, with the name of its owner.
fn pods(objects: &Objects) -> Vec<(String, &Json)> {
    let spec = |object: &'_ Json| -> Option<&'static str> {
        match object["kind"].as_str()? {
            "Pod" => Some("/spec"),
            "Deployment" | "StatefulSet" | "Job" => Some("/spec/template/spec"),
            _ => None,
        }
    };
    let named = |object: &Json| format!("{} {}", object["kind"], object["metadata"]["name"]);
    objects.0.iter().filter_map(|object| Some((named(object), object.pointer(spec(object)?)?))).collect()
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn every_pod_is_restricted() {
    for shape in SHAPES {
        for (name, pod) in pods(&render(shape, &[])) {
            let security = &pod["securityContext"];
            assert_eq!(security["runAsNonRoot"], true, "{shape}: {name}");
            assert!(security["runAsUser"].as_u64() > Some(0), "{shape}: {name}");
            assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault", "{shape}: {name}");
            assert_eq!(pod["automountServiceAccountToken"], false, "{shape}: {name}");
            for container in list(&pod["containers"]) {
                let security = &container["securityContext"];
                assert_eq!(security["readOnlyRootFilesystem"], true, "{shape}: {name}");
                assert_eq!(security["allowPrivilegeEscalation"], false, "{shape}: {name}");
                assert_eq!(security["capabilities"]["drop"], json!(["ALL"]), "{shape}: {name}");
                assert!(container["resources"]["limits"]["memory"].is_string(), "{shape}: {name}");
            }
        }
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn a_process_ends_before_its_time_is_up_and_none_is_taken_away_before_another_is_there() {
    for shape in SHAPES {
        let objects = render(shape, &[]);
        for (name, pod) in pods(&objects) {
            let jumun = list(&pod["containers"]).iter().find(|container| container["name"] == "jumun");
            let Some(jumun) = jumun else { continue };
            let sleep = jumun["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().expect("a pause");
            let grace = pod["terminationGracePeriodSeconds"].as_u64().expect("a bound");
            assert!(grace > sleep + DRAIN.as_secs(), "{shape}: {name}: {grace} s");
        }
        for deployment in objects.of_kind("Deployment") {
            assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], 0, "{shape}");
        }
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn the_runtime_role_is_not_that_of_the_migration() {
    let objects = render("production", &[]);
    let secret = |kind: &str, name: &str| {
        let object = objects.find(kind, name).expect("an object");
        let environment = &object["spec"]["template"]["spec"]["containers"][0]["env"];
        let url = list(environment).iter().find(|variable| variable["name"] == "JUMUN_ORDER_DATABASE_URL");
        url.expect("a URL")["valueFrom"]["secretKeyRef"]["name"].clone()
    };
    assert_eq!(secret("Deployment", "order"), "database");
    assert_eq!(secret("Job", "migration"), "database-owner");
    let config = objects.find("ConfigMap", "order").expect("settings");
    assert_eq!(config["data"]["JUMUN_MIGRATE"], "false");
}
