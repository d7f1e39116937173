//! Path templates of `google.api.http`, e.g. `/v1/{name=things/*}:cancel`.

use std::{borrow::Cow, ops::Range};

use percent_encoding::percent_decode_str;

/// A path template, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) segments: Vec<Segment>,
    pub(crate) variables: Vec<Variable>,
    /// What follows the last colon.
    pub(crate) verb: Option<String>,
}

/// What stands between two slashes. Sorted by precedence: what says more comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Segment {
    /// Just this text.
    Literal(String),
    /// `*`: any one segment.
    One,
    /// `**`: all that follows.
    Rest,
}

/// A part of the path that fills a field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// The field's path in the request message, e.g. `thing.name`.
    pub(crate) field: String,
    /// Its segments.
    pub(crate) range: Range<usize>,
}

/// The path of a request, taken apart but not decoded.
pub(crate) struct Path<'a> {
    segments: Vec<&'a str>,
    verb: Option<&'a str>,
}

impl<'a> Path<'a> {
    /// A colon in the last segment starts the verb; one that belongs to an id is written `%3A`.
    pub(crate) fn new(path: &'a str) -> Self {
        let path = path.strip_prefix('/').unwrap_or(path);
        let last = path.rfind('/').map_or(0, |slash| slash + 1);
        let (path, verb) = match path[last..].rfind(':') {
            Some(colon) => (&path[..last + colon], Some(&path[last + colon + 1..])),
            None => (path, None),
        };
        Self { segments: path.split('/').collect(), verb }
    }
}

impl Template {
    /// Reads a template; an error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix('/').ok_or("it does not begin with /")?;
        let mut template = Self { segments: Vec::new(), variables: Vec::new(), verb: None };
        let rest = template.parse_segments(rest, true)?;
        if let Some(verb) = rest.strip_prefix(':') {
            template.verb = Some(literal(verb)?.to_owned());
        } else if !rest.is_empty() {
            return Err(format!("{rest:?} does not belong there"));
        }
        let rests = template.segments.iter().position(|segment| *segment == Segment::Rest);
        if rests.is_some_and(|position| position + 1 < template.segments.len()) {
            return Err("** must be the last segment".to_owned());
        }
        Ok(template)
    }

    /// Reads segments up to what cannot be one, which it returns.
    fn parse_segments<'a>(&mut self, mut text: &'a str, outside: bool) -> Result<&'a str, String> {
        loop {
            text = match text.strip_prefix('{') {
                Some(variable) if outside => self.parse_variable(variable)?,
                _ => self.parse_segment(text)?,
            };
            match text.strip_prefix('/') {
                Some(next) => text = next,
                None => return Ok(text),
            }
        }
    }

    fn parse_variable<'a>(&mut self, text: &'a str) -> Result<&'a str, String> {
        let end = text.find(['=', '}']).ok_or("a { is not closed")?;
        let (field, start) = (text[..end].to_owned(), self.segments.len());
        let rest = match text[end..].strip_prefix('=') {
            Some(pattern) => self.parse_segments(pattern, false)?,
            None => {
                self.segments.push(Segment::One);
                &text[end..]
            }
        };
        self.variables.push(Variable { field, range: start..self.segments.len() });
        rest.strip_prefix('}').ok_or_else(|| "a { is not closed".to_owned())
    }

    fn parse_segment<'a>(&mut self, text: &'a str) -> Result<&'a str, String> {
        let (segment, rest) = text.split_at(text.find(['/', ':', '}']).unwrap_or(text.len()));
        self.segments.push(match segment {
            "*" => Segment::One,
            "**" => Segment::Rest,
            text => Segment::Literal(literal(text)?.to_owned()),
        });
        Ok(rest)
    }

    /// What a path fills the variables with; None: it is another path. Text that is no UTF-8 is an error with its field.
    pub(crate) fn captures<'t>(&'t self, path: &Path<'_>) -> Option<Result<Vec<(&'t str, String)>, &'t str>> {
        let here = self.verb.as_deref() == path.verb && self.fits(&path.segments);
        here.then(|| self.variables.iter().map(|variable| self.capture(variable, &path.segments)).collect())
    }

    fn fits(&self, path: &[&str]) -> bool {
        let open = self.segments.last() == Some(&Segment::Rest);
        let fixed = self.segments.len() - usize::from(open);
        (path.len() == fixed || open && path.len() >= fixed)
            && self.segments.iter().zip(path).all(|(segment, part)| match segment {
                Segment::Literal(text) => percent_decode_str(part).eq(text.bytes()),
                Segment::One => !part.is_empty(),
                Segment::Rest => true,
            })
    }

    fn capture<'t>(&'t self, variable: &'t Variable, path: &[&str]) -> Result<(&'t str, String), &'t str> {
        let covered = &self.segments[variable.range.clone()];
        let end = if covered.last() == Some(&Segment::Rest) { path.len() } else { variable.range.end };
        let parts = &path[variable.range.start..end];
        let text = match (covered, parts) {
            // One segment stands for itself; in several, a slash that was escaped is not one that separates.
            ([Segment::One | Segment::Literal(_)], [part]) => decode(part).map(Cow::into_owned),
            _ => decode_but_slashes(&parts.join("/")),
        };
        text.map(|text| (variable.field.as_str(), text)).ok_or(&variable.field)
    }
}

fn literal(text: &str) -> Result<&str, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    if !text.is_empty() && text.bytes().all(allowed) { Ok(text) } else { Err(format!("{text:?} is not a segment")) }
}

/// Text with its %-escapes resolved; None when it is no UTF-8.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

fn decode_but_slashes(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("%2F").into_iter().chain(rest.find("%2f")).min() {
        decoded.push_str(&decode(&rest[..at])?);
        decoded.push_str(&rest[at..at + 3]);
        rest = &rest[at + 3..];
    }
    decoded.push_str(&decode(rest)?);
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The template, a path, and what is captured; None: they do not match.
    type Case = (&'static str, &'static str, Option<&'static [(&'static str, &'static str)]>);

    const CASES: &[Case] = &[
        ("/v1/things", "/v1/things", Some(&[])),
        ("/v1/things", "/v1/%74hings", Some(&[])),
        ("/v1/things", "/v1/things/", None),
        ("/v1/things", "/v1/things:cancel", None),
        ("/v1/things", "v2/things", None),
        ("/v1/{name=things/*}", "/v1/things/a", Some(&[("name", "things/a")])),
        ("/v1/{name=things/*}", "/v1/things/a%20b%3Ac", Some(&[("name", "things/a b:c")])),
        ("/v1/{name=things/*}", "/v1/things/a%2Fb%2fc", Some(&[("name", "things/a%2Fb%2fc")])),
        ("/v1/{name=things/*}", "/v1/things/a/b", None),
        ("/v1/{name=things/*}", "/v1/things/", None),
        ("/v1/{name=things/*}", "/v1/things", None),
        ("/v1/{name=things/*}", "/v1/things/a:cancel", None),
        ("/v1/{name=things/*}:cancel", "/v1/things/a:cancel", Some(&[("name", "things/a")])),
        ("/v1/{name=things/*}:cancel", "/v1/things/a:b:cancel", Some(&[("name", "things/a:b")])),
        ("/v1/{name=things/*}:cancel", "/v1/things/a%3Acancel", None),
        ("/v1/{name=things/*}:cancel", "/v1/things/:cancel", None),
        ("/v1/views:watch", "/v1/views:watch", Some(&[])),
        ("/v1/{id}/{kind}", "/v1/a%2Fb/c", Some(&[("id", "a/b"), ("kind", "c")])),
        ("/v1/{thing.name=things/*}", "/v1/things/a", Some(&[("thing.name", "things/a")])),
        ("/v1/{path=files/**}", "/v1/files/a/b%20c", Some(&[("path", "files/a/b c")])),
        ("/v1/{path=files/**}:get", "/v1/files/a/b:get", Some(&[("path", "files/a/b")])),
        ("/v1/{path=**}", "/v1", Some(&[("path", "")])),
        ("/v1/{a=shelves/*/items/*}", "/v1/shelves/1/items/2", Some(&[("a", "shelves/1/items/2")])),
        ("/test.Everything/Plain", "/test.Everything/Plain", Some(&[])),
    ];

    #[test]
    fn templates_match_as_google_api_http_says() {
        for (template, path, expected) in CASES {
            let parsed = Template::parse(template).unwrap_or_else(|error| panic!("{template}: {error}"));
            let captured = parsed.captures(&Path::new(path)).map(|captured| captured.expect("UTF-8"));
            let captured: Option<Vec<_>> = captured
                .as_ref()
                .map(|captured| captured.iter().map(|(field, text)| (*field, text.as_str())).collect());
            assert_eq!(captured.as_deref(), *expected, "{template} and {path}");
        }
    }

    #[test]
    fn text_that_is_no_utf8_is_told_with_its_field() {
        let template = Template::parse("/v1/{name=things/*}").expect("a template");
        assert_eq!(template.captures(&Path::new("/v1/things/%FF")), Some(Err("name")));
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for wrong in ["", "v1", "/", "/v1/", "/v1/{name", "/v1/{name=}", "/{a={b}}", "/**/a", "/v1/a b", "/v1:", "/a}b"]
        {
            assert!(Template::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_says_more_takes_precedence() {
        assert!(Segment::Literal("a".to_owned()) < Segment::One && Segment::One < Segment::Rest);
    }
}
