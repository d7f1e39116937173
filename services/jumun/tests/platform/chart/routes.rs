//! Routes: each method of the protos reaches its context through the gateway and within the mesh, with enough time, and
//! is retried only where that is safe.

use std::time::Duration;

use serde_json::Value as Json;

use super::{
    protos::{Declared, declared, expression},
    render::{MESHES, NAMESPACE, Objects, list, render},
};

/// The retry conditions for methods that change something: only what provably was not sent.
const UNSENT: &str = "connect-failure,refused-stream";

/// What is called.
struct Call<'a> {
    method: &'a str,
    path: &'a str,
    version: Option<&'a str>,
}

fn matches(rule: &Json, call: &Call<'_>) -> bool {
    let uri = &rule["uri"];
    let path = uri["exact"].as_str().is_some_and(|exact| exact == call.path)
        || uri["prefix"].as_str().is_some_and(|prefix| call.path.starts_with(prefix))
        || uri["regex"].as_str().is_some_and(|regex| expression(&format!("^(?:{regex})$")).is_match(call.path));
    let method = rule["method"]["exact"].as_str().is_none_or(|method| method == call.method);
    let version = rule["headers"]["x-jumun-version"]["exact"].as_str();
    path && method && version.is_none_or(|version| Some(version) == call.version)
}

/// The first route of a VirtualService that matches a call.
fn route<'a>(service: &'a Json, call: &Call<'_>) -> Option<&'a Json> {
    list(&service["spec"]["http"]).iter().find(|route| list(&route["match"]).iter().any(|rule| matches(rule, call)))
}

/// The VirtualService of the gateway that matches a call, and its route. Their order is not defined, so no two may
/// match the same call.
fn at_gateway<'a>(objects: &'a Objects, call: &Call<'_>) -> Option<(&'a str, &'a Json)> {
    let services = objects.of_kind("VirtualService").filter(|service| service["spec"]["gateways"].is_array());
    let found: Vec<_> =
        services.filter_map(|service| Some((service["metadata"]["name"].as_str()?, route(service, call)?))).collect();
    assert!(
        found.len() <= 1,
        "{} is wanted by several: {:?}",
        call.path,
        found.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    found.into_iter().next()
}

/// What is wrong with a method's route.
fn wrong(method: &Declared, route: &Json) -> Option<String> {
    let host = format!("{}.{NAMESPACE}.svc.cluster.local", method.context);
    let elsewhere = list(&route["route"]).iter().any(|to| to["destination"]["host"] != host.as_str());
    let timeout = route["timeout"].as_str().map(|text| text.trim_end_matches('s').parse().expect("seconds"));
    let timeout = timeout.map(Duration::from_secs);
    let too_short = if method.is_stream { timeout.is_some() } else { timeout.is_none_or(|it| it <= method.deadline) };
    let retried = route["retries"]["retryOn"].as_str();
    let unsafe_retry = if method.is_read && !method.is_stream { retried.is_none() } else { retried != Some(UNSENT) };
    let attempts = route["retries"]["attempts"].as_u64();
    let what = [
        (elsewhere, "goes elsewhere"),
        (too_short, "has too little time"),
        (unsafe_retry, "is retried although it may have been performed"),
        (attempts.is_none(), "does not declare its retries"),
    ];
    let what: Vec<_> = what.into_iter().filter(|(wrong, _)| *wrong).map(|(_, what)| what).collect();
    (!what.is_empty()).then(|| format!("{} {}", method.grpc, what.join(", ")))
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn every_method_and_path_of_the_protos_is_routed_through_the_gateway() {
    for shape in MESHES {
        let objects = render(shape, &[]);
        let methods = declared(&objects.contexts());
        assert!(methods.len() > 20, "{shape}");
        for method in &methods {
            let grpc = ("POST", method.grpc.clone());
            for (verb, path) in [&grpc].into_iter().chain(&method.json) {
                let found = at_gateway(&objects, &Call { method: verb, path, version: None });
                let (name, route) = found.unwrap_or_else(|| panic!("{shape}: {verb} {path} has no route"));
                assert_eq!(name, format!("{}-ingress", method.context), "{shape}: {verb} {path}");
                assert_eq!(wrong(method, route), None, "{shape}: {verb} {path}");
                let preflight = Call { method: "OPTIONS", path, version: None };
                assert!(at_gateway(&objects, &preflight).is_some_and(|(at, _)| at == name), "{shape}: OPTIONS {path}");
            }
        }
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn every_method_is_routed_within_the_mesh() {
    for shape in MESHES {
        let objects = render(shape, &[]);
        for method in declared(&objects.contexts()) {
            let service = objects.find("VirtualService", &method.context).expect("a VirtualService");
            let route = route(service, &Call { method: "POST", path: &method.grpc, version: None });
            let route = route.unwrap_or_else(|| panic!("{shape}: {} has no route", method.grpc));
            assert_eq!(wrong(&method, route), None, "{shape}");
        }
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn a_request_that_asks_for_the_canary_stays_with_it_and_the_others_go_by_weight() {
    let objects = render("production", &[]);
    let contexts: Vec<_> = objects.contexts().into_iter().filter(|context| *context != "dashboard").collect();
    for method in declared(&contexts) {
        let within = objects.find("VirtualService", &method.context).expect("a VirtualService");
        let subsets = |version: Option<&str>| {
            let call = Call { method: "POST", path: &method.grpc, version };
            let routes = [route(within, &call), at_gateway(&objects, &call).map(|(_, route)| route)];
            routes.map(|route| {
                let to = list(&route.expect("a route")["route"]).iter();
                to.map(|to| format!("{} {}", to["destination"]["subset"], to["weight"])).collect::<Vec<_>>().join(", ")
            })
        };
        for subsets in subsets(Some("canary")) {
            assert_eq!(subsets, "\"canary\" null", "{}", method.grpc);
        }
        for subsets in subsets(None) {
            assert_eq!(subsets, "\"stable\" 90, \"canary\" 10", "{}", method.grpc);
        }
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn the_admin_service_and_unknown_paths_have_no_route() {
    for shape in MESHES {
        let objects = render(shape, &[]);
        let admin = declared(&["admin", "bench"]);
        assert!(admin.len() > 3);
        let json = admin.iter().flat_map(|method| &method.json).map(|(verb, path)| (*verb, path.as_str()));
        let grpc = admin.iter().map(|method| ("POST", method.grpc.as_str()));
        for (method, path) in
            json.chain(grpc).chain([("GET", "/metrics"), ("GET", "/v1/nothing"), ("POST", "/no.Such/Method")])
        {
            let found = at_gateway(&objects, &Call { method, path, version: None });
            assert!(found.is_none(), "{shape}: {method} {path} is routed to {:?}", found.map(|(name, _)| name));
        }
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn a_failing_replica_is_ejected_before_a_customer_notices() {
    for shape in MESHES {
        for rule in render(shape, &[]).of_kind("DestinationRule") {
            let policy = &rule["spec"]["trafficPolicy"];
            let outlier = &policy["outlierDetection"];
            // If the limit for 5xx were not higher, the one for gateway errors would not count; at 10 %, none of three
            // would be ejected.
            assert!(outlier["consecutiveGatewayErrors"].as_u64() < outlier["consecutive5xxErrors"].as_u64(), "{rule}");
            assert!(outlier["maxEjectionPercent"].as_u64() >= Some(34), "{rule}");
            assert!(policy["connectionPool"]["http"]["http2MaxRequests"].is_u64(), "{rule}");
            assert!(policy["retryBudget"]["percent"].is_number(), "{rule}");
            assert!(list(&rule["spec"]["subsets"]).iter().all(|subset| subset["trafficPolicy"].is_null()), "{rule}");
        }
    }
}
