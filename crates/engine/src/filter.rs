//! Filters (AIP-160, a small part of it):
//!
//! ```text
//! filter     = [ comparison { "AND" comparison } ]
//! comparison = field "=" value
//! value      = word | '"' text without quotes '"'
//! ```

use jumun_core::name;

use crate::StateName;

/// A field that a filter may compare; its column has the same name.
#[derive(Clone, Copy, Debug)]
pub struct FilterField {
    /// Its name.
    pub name: &'static str,
    /// Why a value can never match, if so.
    pub check: fn(&str) -> Result<(), String>,
}

impl FilterField {
    /// A resource name.
    pub const fn name(name: &'static str) -> Self {
        Self {
            name,
            check: |value| if name::is_name(value) { Ok(()) } else { Err("must be a resource name".to_owned()) },
        }
    }

    /// One of a closed set of states.
    pub const fn state<S: StateName>() -> Self {
        Self {
            name: "state",
            check: |value| {
                let names: Vec<_> = S::names().map(|(_, name)| name).collect();
                if names.contains(&value) { Ok(()) } else { Err(format!("must be one of {}", names.join(", "))) }
            },
        }
    }
}

/// The columns and values that a filter compares, or where and why it is none.
pub(crate) fn parse(filter: &str, fields: &[FilterField]) -> Result<Vec<(&'static str, String)>, String> {
    let mut reader = Reader { filter, at: 0 };
    let mut comparisons = Vec::new();
    if reader.is_at_end() {
        return Ok(comparisons);
    }
    loop {
        comparisons.push(reader.comparison(fields)?);
        if reader.is_at_end() {
            return Ok(comparisons);
        }
        reader.expect("AND")?;
    }
}

struct Reader<'a> {
    filter: &'a str,
    /// Bytes read.
    at: usize,
}

impl<'a> Reader<'a> {
    fn comparison(&mut self, fields: &[FilterField]) -> Result<(&'static str, String), String> {
        let (start, name) = self.word();
        let field = fields.iter().find(|field| field.name == name).ok_or_else(|| {
            let names: Vec<_> = fields.iter().map(|field| field.name).collect();
            self.wrong(start, &format!("expected one of {}", names.join(", ")))
        })?;
        self.expect("=")?;
        let (start, value) = self.value()?;
        (field.check)(value).map_err(|reason| self.wrong(start, &format!("{name} {reason}")))?;
        Ok((field.name, value.to_owned()))
    }

    fn value(&mut self) -> Result<(usize, &'a str), String> {
        self.skip_space();
        let start = self.at;
        let value = match self.rest().strip_prefix('"') {
            None => self.word().1,
            Some(quoted) => {
                let (value, _) = quoted.split_once('"').ok_or_else(|| self.wrong(start, "a quote has no end"))?;
                self.at += value.len() + 2;
                value
            }
        };
        if value.is_empty() { Err(self.wrong(start, "expected a value")) } else { Ok((start, value)) }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        let (start, word) = if token == "=" { self.sign() } else { self.word() };
        if word == token { Ok(()) } else { Err(self.wrong(start, &format!("expected {token}"))) }
    }

    fn sign(&mut self) -> (usize, &'a str) {
        self.skip_space();
        let (start, sign) = (self.at, self.rest().get(..1).unwrap_or_default());
        self.at += sign.len();
        (start, sign)
    }

    /// Up to the next space, sign or quote.
    fn word(&mut self) -> (usize, &'a str) {
        self.skip_space();
        let (start, rest) = (self.at, self.rest());
        let end = rest.find(|letter: char| letter.is_whitespace() || "=\"".contains(letter)).unwrap_or(rest.len());
        self.at += end;
        (start, &rest[..end])
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.rest().is_empty()
    }

    fn rest(&self) -> &'a str {
        &self.filter[self.at..]
    }

    /// What is wrong, with the place counted in characters from 1.
    fn wrong(&self, at: usize, what: &str) -> String {
        format!("at character {}: {what}", self.filter[..at].chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[FilterField] = &[FilterField::name("borrower"), FilterField { name: "note", check: |_| Ok(()) }];

    #[test]
    fn filters_compare_known_fields() {
        for (filter, read) in [
            ("", vec![]),
            ("  ", vec![]),
            ("note=a", vec![("note", "a")]),
            ("borrower = \"borrowers/mina\"   AND note =b", vec![("borrower", "borrowers/mina"), ("note", "b")]),
            ("note = \"a AND b = c\"AND note = ?", vec![("note", "a AND b = c"), ("note", "?")]),
        ] {
            let read: Vec<_> = read.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
            assert_eq!(parse(filter, FIELDS), Ok(read), "{filter:?}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused_where_it_goes_wrong() {
        for (filter, refusal) in [
            ("who = x", "at character 1: expected one of borrower, note"),
            ("= x", "at character 1: expected one of borrower, note"),
            ("note", "at character 5: expected ="),
            ("note > 3", "at character 6: expected ="),
            ("note é 3", "at character 6: expected ="),
            ("note = ", "at character 8: expected a value"),
            ("note = \"\"", "at character 8: expected a value"),
            ("note = \"é", "at character 8: a quote has no end"),
            ("note = é é", "at character 10: expected AND"),
            ("note = a and note = b", "at character 10: expected AND"),
            ("note = a AND", "at character 13: expected one of borrower, note"),
            ("note = a AND borrower = mina", "at character 25: borrower must be a resource name"),
        ] {
            assert_eq!(parse(filter, FIELDS), Err(refusal.to_owned()), "{filter:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_filter_makes_it_panic(filter in ".{0,64}", pieces in proptest::collection::vec("note|=|AND|\"| |é", 0..12)) {
            let _ = parse(&filter, FIELDS);
            let _ = parse(&pieces.concat(), FIELDS);
        }
    }
}
