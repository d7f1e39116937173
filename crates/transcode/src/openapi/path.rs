//! Path templates in OpenAPI's words: `/v1/{name=things/*}` is `/v1/things/{thing}`.

use std::collections::HashMap;

use prost_reflect::DescriptorPool;

use crate::{
    route::Route,
    template::{Segment, Variable},
};

/// What resources call the id that follows a collection: "thing" follows "things".
pub(super) fn resource_ids(pool: &DescriptorPool) -> HashMap<String, String> {
    let Some(resource) = pool.get_extension_by_name("google.api.resource") else { return HashMap::new() };
    let patterns = pool.all_messages().flat_map(|message| {
        let options = message.options();
        let option = options.get_extension(&resource);
        let patterns =
            option.as_message().and_then(|option| option.get_field_by_name("pattern")?.as_list().map(<[_]>::to_vec));
        patterns.unwrap_or_default()
    });
    patterns.filter_map(|pattern| pattern.as_str().map(ids)).flatten().collect()
}

/// A path and its parameters.
pub(super) struct Described {
    pub(super) text: String,
    pub(super) parameters: Vec<Parameter>,
}

/// A part of a path.
pub(super) struct Parameter {
    pub(super) name: String,
    /// The field that it fills.
    pub(super) field: Option<String>,
    /// What the field has before it, e.g. `things/`; None: it is not the last part of its field.
    pub(super) prefix: Option<String>,
}

impl Described {
    pub(super) fn new(route: &Route, ids: &HashMap<String, String>) -> Self {
        let template = &route.template;
        let mut path = Self { text: String::new(), parameters: Vec::new() };
        for (index, segment) in template.segments.iter().enumerate() {
            path.text.push('/');
            match segment {
                Segment::Literal(text) => path.text.push_str(text),
                Segment::One | Segment::Rest => path.add_parameter(&template.segments, index, &template.variables, ids),
            }
        }
        if let Some(verb) = &template.verb {
            path.text.push(':');
            path.text.push_str(verb);
        }
        path
    }

    fn add_parameter(
        &mut self,
        segments: &[Segment],
        index: usize,
        variables: &[Variable],
        ids: &HashMap<String, String>,
    ) {
        let variable = variables.iter().find(|variable| variable.range.contains(&index));
        let collection = index.checked_sub(1).map(|before| &segments[before]);
        let mut name = match (variable, collection) {
            (Some(variable), _) if variable.range.len() == 1 => variable.field.clone(),
            (_, Some(Segment::Literal(collection))) => ids.get(collection).unwrap_or(collection).clone(),
            _ => "id".to_owned(),
        };
        while self.parameters.iter().any(|taken| taken.name == name) {
            name.push('_');
        }
        self.text.push_str(&format!("{{{name}}}"));
        let prefix = variable.and_then(|variable| prefix(&segments[variable.range.clone()]));
        self.parameters.push(Parameter { name, field: variable.map(|variable| variable.field.clone()), prefix });
    }
}

/// What stands before the one part of a field that is not fixed, which is its last.
fn prefix(segments: &[Segment]) -> Option<String> {
    let (last, fixed) = segments.split_last()?;
    let fixed = fixed.iter().map(|segment| match segment {
        Segment::Literal(text) => Some(format!("{text}/")),
        Segment::One | Segment::Rest => None,
    });
    fixed.collect::<Option<String>>().filter(|_| *last == Segment::One)
}

/// The collections and ids of a pattern such as `things/{thing}`.
fn ids(pattern: &str) -> Vec<(String, String)> {
    let parts: Vec<_> = pattern.split('/').collect();
    let pairs = parts.windows(2).filter_map(|pair| Some((pair[0], pair[1].strip_prefix('{')?.strip_suffix('}')?)));
    pairs.map(|(collection, id)| (collection.to_owned(), id.to_owned())).collect()
}
