//! Path templates in OpenAPI's words: `/v1/{name=orders/*}` is `/v1/orders/{order}`.

use std::{collections::HashMap, sync::LazyLock};

use contracts::google::api::ResourceDescriptor;

use super::super::{
    route::Route,
    template::{Segment, Variable},
};
use crate::descriptors::POOL;

/// What resources call the id that follows a collection: "order" follows "orders".
static IDS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let Some(resource) = POOL.get_extension_by_name("google.api.resource") else { return HashMap::new() };
    let resources = POOL.all_messages().filter_map(|message| {
        let options = message.options();
        options.get_extension(&resource).as_message()?.transcode_to::<ResourceDescriptor>().ok()
    });
    resources.flat_map(|resource| resource.pattern).flat_map(|pattern| ids(&pattern)).collect()
});

/// A path and its parameters.
pub(super) struct Described {
    pub(super) text: String,
    /// Each with the field that it is the whole of, if it is.
    pub(super) parameters: Vec<(String, Option<String>)>,
}

impl Described {
    pub(super) fn new(route: &Route) -> Self {
        let template = &route.template;
        let mut path = Self { text: String::new(), parameters: Vec::new() };
        for (index, segment) in template.segments.iter().enumerate() {
            path.text.push('/');
            match segment {
                Segment::Literal(text) => path.text.push_str(text),
                Segment::One | Segment::Rest => {
                    let before = index.checked_sub(1).map(|before| &template.segments[before]);
                    let variable = template.variables.iter().find(|variable| variable.range.contains(&index));
                    path.add_parameter(variable, before);
                }
            }
        }
        if let Some(verb) = &template.verb {
            path.text.push(':');
            path.text.push_str(verb);
        }
        path
    }

    fn add_parameter(&mut self, variable: Option<&Variable>, before: Option<&Segment>) {
        let whole = variable.filter(|variable| variable.range.len() == 1).map(|variable| variable.field.clone());
        let mut name = match (&whole, before) {
            (Some(field), _) => field.clone(),
            (None, Some(Segment::Literal(collection))) => IDS.get(collection).unwrap_or(collection).clone(),
            (None, _) => "id".to_owned(),
        };
        while self.parameters.iter().any(|(taken, _)| *taken == name) {
            name.push('_');
        }
        self.text.push_str(&format!("{{{name}}}"));
        self.parameters.push((name, whole));
    }
}

/// The collections and ids of a pattern such as `orders/{order}`.
fn ids(pattern: &str) -> Vec<(String, String)> {
    let parts: Vec<_> = pattern.split('/').collect();
    let pairs = parts.windows(2).filter_map(|pair| Some((pair[0], pair[1].strip_prefix('{')?.strip_suffix('}')?)));
    pairs.map(|(collection, id)| (collection.to_owned(), id.to_owned())).collect()
}
