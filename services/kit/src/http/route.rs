//! Which call a path and a verb of HTTP stand for, from the `google.api.http` option of every method that is served.

use contracts::google::api::{HttpRule, http_rule::Pattern};
use http::Method;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};

use super::template::{Path, Template};
use crate::descriptors;

/// A path and a verb of HTTP that stand for a method.
pub(super) struct Route {
    pub(super) method: MethodDescriptor,
    /// Its place among the routes of its method.
    pub(super) place: usize,
    pub(super) verb: Method,
    /// The path as the annotation writes it.
    pub(super) path: String,
    pub(super) template: Template,
    pub(super) body: Body,
    /// The one field of the answer that is the HTTP body.
    pub(super) response_body: Option<FieldDescriptor>,
}

/// What the HTTP body is.
pub(super) enum Body {
    /// There is none.
    None,
    /// The whole request.
    Whole,
    /// One of its fields.
    Field(FieldDescriptor),
}

/// What a request was found to be.
pub(super) enum Found<'a> {
    /// A call, and what its path says; Err: the field whose text is not readable.
    Call(&'a Route, Result<Vec<(&'a str, String)>, &'a str>),
    /// There is such a path, but for these verbs.
    Other(Vec<Method>),
    Nothing,
}

/// Every route of a process, those that say more before those that say less.
pub(super) struct Routes(Vec<Route>);

impl Routes {
    /// The routes of these services.
    pub(super) fn new(services: &[&str]) -> anyhow::Result<Self> {
        Self::of(descriptors::methods().filter(|method| services.contains(&method.parent_service().full_name())))
    }

    /// The routes of these methods. An annotation that cannot be served is an error that names its method.
    pub(super) fn of(methods: impl Iterator<Item = MethodDescriptor>) -> anyhow::Result<Self> {
        let mut routes = Vec::new();
        for method in methods {
            let of_method = routes_of(&method).map_err(|error| anyhow::anyhow!("{}: {error}", method.full_name()));
            routes.extend(of_method?);
        }
        routes.sort_by(|one, other| one.template.segments.cmp(&other.template.segments));
        for (index, route) in routes.iter().enumerate() {
            if let Some(other) = routes[..index].iter().find(|other| route.collides_with(other)) {
                let (one, other) = (route.method.full_name(), other.method.full_name());
                anyhow::bail!("{one} and {other} are both {} {}", route.verb, route.path);
            }
        }
        Ok(Self(routes))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter()
    }

    /// What a request is. HEAD is GET without its body.
    pub(super) fn find(&self, verb: &Method, path: &str) -> Found<'_> {
        let verb = if verb == Method::HEAD { &Method::GET } else { verb };
        let path = Path::new(path);
        let mut others = Vec::new();
        for route in &self.0 {
            match route.template.captures(&path) {
                Some(captures) if route.verb == *verb => return Found::Call(route, captures),
                Some(_) => others.push(route.verb.clone()),
                None => {}
            }
        }
        if others.is_empty() { Found::Nothing } else { Found::Other(others) }
    }
}

impl Route {
    fn collides_with(&self, other: &Self) -> bool {
        self.verb == other.verb
            && self.template.segments == other.template.segments
            && self.template.verb == other.template.verb
    }

    fn new(method: &MethodDescriptor, place: usize, rule: &HttpRule) -> Result<Self, String> {
        let (verb, path) = pattern(rule)?;
        let template = Template::parse(path).map_err(|error| format!("{path}: {error}"))?;
        for variable in &template.variables {
            let field = field_at(&method.input(), &variable.field)?;
            if field.is_list() || field.is_map() || matches!(field.kind(), Kind::Message(_)) {
                return Err(format!("{} cannot be part of a path", variable.field));
            }
        }
        let body = match rule.body.as_str() {
            "" => Body::None,
            "*" => Body::Whole,
            field => Body::Field(field_at(&method.input(), field)?),
        };
        let response_body = match rule.response_body.as_str() {
            "" => None,
            field => Some(field_at(&method.output(), field)?),
        };
        Ok(Self { method: method.clone(), place, verb, path: path.to_owned(), template, body, response_body })
    }
}

/// A method's routes: what it is annotated with or, without an annotation, its gRPC path.
fn routes_of(method: &MethodDescriptor) -> Result<Vec<Route>, String> {
    if method.is_client_streaming() {
        return Err("a stream of requests cannot be served as HTTP/JSON".to_owned());
    }
    let rule = match descriptors::option(method, "google.api.http") {
        Some(option) => option.as_message().ok_or("google.api.http is no message")?.transcode_to::<HttpRule>(),
        None => Ok(HttpRule {
            pattern: Some(Pattern::Post(descriptors::path(method))),
            body: "*".to_owned(),
            ..HttpRule::default()
        }),
    };
    let rule = rule.map_err(|error| error.to_string())?;
    let rules = std::iter::once(&rule).chain(&rule.additional_bindings);
    rules.enumerate().map(|(place, rule)| Route::new(method, place, rule)).collect()
}

fn pattern(rule: &HttpRule) -> Result<(Method, &str), String> {
    Ok(match rule.pattern.as_ref().ok_or("google.api.http has no path")? {
        Pattern::Get(path) => (Method::GET, path),
        Pattern::Put(path) => (Method::PUT, path),
        Pattern::Post(path) => (Method::POST, path),
        Pattern::Delete(path) => (Method::DELETE, path),
        Pattern::Patch(path) => (Method::PATCH, path),
        Pattern::Custom(custom) => {
            (Method::from_bytes(custom.kind.as_bytes()).map_err(|error| error.to_string())?, &custom.path)
        }
    })
}

/// The field that a path of names leads to, e.g. `order.name`.
pub(super) fn field_at(message: &MessageDescriptor, path: &str) -> Result<FieldDescriptor, String> {
    let unknown = || format!("{} has no {path}", message.full_name());
    let (parents, name) = path.rsplit_once('.').map_or((None, path), |(parents, name)| (Some(parents), name));
    let message = match parents {
        None => message.clone(),
        Some(parents) => field_at(message, parents)?.kind().as_message().cloned().ok_or_else(unknown)?,
    };
    message.get_field_by_name(name).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(path: &str) -> MethodDescriptor {
        descriptors::methods().find(|method| descriptors::path(method) == path).expect("a method")
    }

    fn rule(path: &str, body: &str) -> HttpRule {
        HttpRule { pattern: Some(Pattern::Post(path.to_owned())), body: body.to_owned(), ..HttpRule::default() }
    }

    #[test]
    fn a_method_without_an_annotation_is_called_by_its_grpc_path() {
        let routes = Routes::new(&["jumun.bench.v1.BenchService"]).expect("routes");
        let found = routes.find(&Method::POST, "/jumun.bench.v1.BenchService/Echo");
        assert!(matches!(found, Found::Call(Route { body: Body::Whole, .. }, Ok(captures)) if captures.is_empty()));
    }

    #[test]
    fn a_known_path_tells_its_verbs() {
        let routes = Routes::new(&["jumun.order.v1.OrderService"]).expect("routes");
        let allowed = |verb, path| match routes.find(&verb, path) {
            Found::Call(..) => vec!["it is a call".to_owned()],
            Found::Other(verbs) => verbs.iter().map(ToString::to_string).collect(),
            Found::Nothing => vec![],
        };
        assert_eq!(allowed(Method::HEAD, "/v1/orders/a"), ["it is a call"]);
        assert_eq!(allowed(Method::DELETE, "/v1/orders"), ["POST", "GET"]);
        assert_eq!(allowed(Method::GET, "/v1/orders/a:cancel"), ["POST"]);
        assert!(allowed(Method::GET, "/v1/orders/a:fly").is_empty());
        assert!(allowed(Method::GET, "/v1/payments/a").is_empty());
    }

    #[test]
    fn additional_bindings_are_routes_of_their_own() {
        let more = HttpRule { additional_bindings: vec![rule("/v1/{name=old/*}", "")], ..rule("/v1/{name=new/*}", "") };
        let create = method("/jumun.order.v1.OrderService/GetOrder");
        let routes = std::iter::once(&more).chain(&more.additional_bindings).map(|rule| Route::new(&create, 0, rule));
        let paths: Vec<_> = routes.map(|route| route.expect("a route").path).collect();
        assert_eq!(paths, ["/v1/{name=new/*}", "/v1/{name=old/*}"]);
    }

    #[test]
    fn an_annotation_that_cannot_be_served_is_refused() {
        let create = method("/jumun.order.v1.OrderService/CreateOrder");
        for (path, body) in [
            ("v1", ""),
            ("/v1/{nobody}", ""),
            ("/v1/{order}", ""),
            ("/v1/{order.items}", ""),
            ("/v1/{order.name.first}", ""),
            ("/v1/orders", "nothing"),
        ] {
            assert!(Route::new(&create, 0, &rule(path, body)).is_err(), "{path} {body}");
        }
        assert!(Route::new(&create, 0, &rule("/v1/{order.name=orders/*}", "order")).is_ok());
    }
}
