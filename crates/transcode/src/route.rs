//! Which call a path and a verb of HTTP stand for, from the `google.api.http` option of every method that is served.

use http::Method;
use jumun_core::contracts::{option, path};
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, ReflectMessage, Value,
};

use crate::template::{Path, Template};

/// A path and a verb of HTTP that stand for a method.
pub(crate) struct Route {
    pub(crate) method: MethodDescriptor,
    /// Its place among the routes of its method.
    pub(crate) place: usize,
    pub(crate) verb: Method,
    /// The path as the annotation writes it.
    pub(crate) path: String,
    pub(crate) template: Template,
    pub(crate) body: Body,
    /// The one field of the answer that is the HTTP body.
    pub(crate) response_body: Option<FieldDescriptor>,
}

/// What the HTTP body is.
pub(crate) enum Body {
    /// There is none.
    None,
    /// The whole request.
    Whole,
    /// One of its fields.
    Field(FieldDescriptor),
}

/// What a request was found to be.
pub(crate) enum Found<'a> {
    /// A call, and what its path says; Err: the field whose text is not readable.
    Call(&'a Route, Result<Vec<(&'a str, String)>, &'a str>),
    /// There is such a path, but for these verbs.
    Other(Vec<Method>),
    Nothing,
}

/// Every route of a process, those that say more before those that say less.
pub(crate) struct Routes(Vec<Route>);

impl Routes {
    /// The routes of these methods. An annotation that cannot be served is an error that names its method.
    pub(crate) fn new(methods: impl Iterator<Item = MethodDescriptor>) -> anyhow::Result<Self> {
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

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter()
    }

    /// What a request is. HEAD is GET without its body.
    pub(crate) fn find(&self, verb: &Method, path: &str) -> Found<'_> {
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
        let (verb, path) = (rule.verb.clone(), rule.path.as_str());
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
    let rules = match option(method, "google.api.http") {
        Some(option) => HttpRule::read_all(option.as_message().ok_or("google.api.http is no message")?)?,
        None => vec![HttpRule { body: "*".to_owned(), ..HttpRule::new(Method::POST, path(method)) }],
    };
    rules.iter().enumerate().map(|(place, rule)| Route::new(method, place, rule)).collect()
}

/// One binding of `google.api.http`.
struct HttpRule {
    verb: Method,
    path: String,
    /// The field that is the body of the request, or `*`.
    body: String,
    /// The field that is the body of the answer.
    response_body: String,
}

impl HttpRule {
    fn new(verb: Method, path: String) -> Self {
        Self { verb, path, body: String::new(), response_body: String::new() }
    }

    /// Reads an option, with its additional bindings.
    fn read_all(option: &DynamicMessage) -> Result<Vec<Self>, String> {
        let mut rules = vec![Self::read(option)?];
        let more = option.get_field_by_name("additional_bindings");
        for binding in more.as_deref().and_then(Value::as_list).into_iter().flatten() {
            rules.push(Self::read(binding.as_message().ok_or("a binding is no message")?)?);
        }
        Ok(rules)
    }

    fn read(option: &DynamicMessage) -> Result<Self, String> {
        let text = |message: &DynamicMessage, name: &str| {
            let value = message.get_field_by_name(name);
            value.as_deref().and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let patterns = option.descriptor().oneofs().find(|oneof| oneof.name() == "pattern");
        let set = patterns.and_then(|oneof| oneof.fields().find(|field| option.has_field(field)));
        let set = set.ok_or("google.api.http has no path")?;
        let (verb, path) = match option.get_field(&set).as_message() {
            Some(custom) => (text(custom, "kind"), text(custom, "path")),
            None => (set.name().to_uppercase(), text(option, set.name())),
        };
        let verb = Method::from_bytes(verb.as_bytes()).map_err(|error| error.to_string())?;
        Ok(Self { body: text(option, "body"), response_body: text(option, "response_body"), ..Self::new(verb, path) })
    }
}

/// The field that a path of names leads to, e.g. `thing.name`.
pub(crate) fn field_at(message: &MessageDescriptor, path: &str) -> Result<FieldDescriptor, String> {
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
    use crate::everything::methods;

    fn method(name: &str) -> MethodDescriptor {
        methods().find(|method| method.name() == name).expect("a method")
    }

    fn rule(path: &str, body: &str) -> HttpRule {
        HttpRule { body: body.to_owned(), ..HttpRule::new(Method::POST, path.to_owned()) }
    }

    #[test]
    fn a_method_without_an_annotation_is_called_by_its_grpc_path() {
        let routes = Routes::new(methods()).expect("routes");
        let found = routes.find(&Method::POST, "/test.Everything/Plain");
        assert!(matches!(found, Found::Call(Route { body: Body::Whole, .. }, Ok(captures)) if captures.is_empty()));
    }

    #[test]
    fn a_known_path_tells_its_verbs() {
        let routes = Routes::new(methods()).expect("routes");
        let allowed = |verb, path| match routes.find(&verb, path) {
            Found::Call(..) => vec!["it is a call".to_owned()],
            Found::Other(verbs) => verbs.iter().map(ToString::to_string).collect(),
            Found::Nothing => vec![],
        };
        assert_eq!(allowed(Method::HEAD, "/v1/things/a"), ["it is a call"]);
        assert_eq!(allowed(Method::DELETE, "/v1/things/a"), ["GET", "PATCH"]);
        assert_eq!(allowed(Method::GET, "/v1/things/a:act"), ["POST"]);
        assert!(allowed(Method::GET, "/v1/things/a:fly").is_empty());
        assert!(allowed(Method::GET, "/v1/others/a").is_empty());
    }

    #[test]
    fn additional_bindings_are_routes_of_their_own() {
        let routes = routes_of(&method("Get")).expect("routes");
        let paths: Vec<_> = routes.iter().map(|route| (route.place, route.path.as_str())).collect();
        assert_eq!(paths, [(0, "/v1/{name=things/*}"), (1, "/v1/numbers/{int32}/{inner.name=things/*}")]);
    }

    #[test]
    fn an_annotation_that_cannot_be_served_is_refused() {
        let act = method("Act");
        for (path, body) in [
            ("v1", ""),
            ("/v1/{nobody}", ""),
            ("/v1/{inner}", ""),
            ("/v1/{words}", ""),
            ("/v1/{inner.name.first}", ""),
            ("/v1/things", "nothing"),
        ] {
            assert!(Route::new(&act, 0, &rule(path, body)).is_err(), "{path} {body}");
        }
        assert!(Route::new(&act, 0, &rule("/v1/{inner.name=things/*}", "inner")).is_ok());
    }
}
