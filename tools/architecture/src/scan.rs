//! Splits Rust sources into code and string literals, without comments and tests.

use std::collections::BTreeSet;

use crate::Sources;

/// What marks an item that is there in tests alone.
const TEST_ONLY: &str = "#[cfg(test)]";

/// A file of a crate's `src/` that is no test. Both texts are as long as the file: what does not belong is blank, so
/// that an offset leads to its line.
pub(crate) struct Program {
    pub(crate) path: String,
    /// Without comments, literals and tests.
    pub(crate) code: String,
    /// The string literals, with their quotes.
    pub(crate) literals: String,
    /// Where each line ends.
    lines: Vec<usize>,
}

impl Program {
    /// The line of an offset in either text.
    pub(crate) fn line(&self, offset: usize) -> usize {
        1 + self.lines.partition_point(|end| *end < offset)
    }

    /// The crate's folder, e.g. `crates/engine`.
    pub(crate) fn folder(&self) -> &str {
        self.path.split_once("/src/").map_or("", |(folder, _)| folder)
    }
}

/// The programs among the sources.
pub(crate) fn programs(sources: &Sources) -> Vec<Program> {
    let mut tests = BTreeSet::new();
    let mut programs = Vec::new();
    for (path, text) in sources.iter().filter(|(path, _)| path.ends_with(".rs") && path.contains("/src/")) {
        let (mut code, mut literals) = split(text);
        for (begin, end) in test_items(&code) {
            if let Some(name) = module_name(&code[begin + TEST_ONLY.len()..end]) {
                tests.insert(format!("{}/{name}", children(path)));
            }
            blank(&mut code, begin, end);
            blank(&mut literals, begin, end);
        }
        let lines = text.match_indices('\n').map(|(end, _)| end).collect();
        programs.push(Program { path: path.clone(), code, literals, lines });
    }
    programs.retain(|program| {
        let is_within = |module: &String| {
            program.path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        !tests.iter().any(is_within)
    });
    programs
}

/// The folder in which the modules that a file declares are.
pub(crate) fn children(path: &str) -> &str {
    let module = path.strip_suffix(".rs").unwrap_or(path);
    ["/lib", "/main"].iter().find_map(|root| module.strip_suffix(root)).unwrap_or(module)
}

fn split(text: &str) -> (String, String) {
    let bytes = text.as_bytes();
    let (mut code, mut literals) = (String::with_capacity(text.len()), String::with_capacity(text.len()));
    let mut at = 0;
    while at < bytes.len() {
        let (end, kind) = if bytes[at..].starts_with(b"//") {
            (find(bytes, at, b"\n"), Kind::Other)
        } else if bytes[at..].starts_with(b"/*") {
            (end_of_block_comment(bytes, at), Kind::Other)
        } else if let Some(end) = end_of_string(bytes, at) {
            (end, Kind::Literal)
        } else if let Some(end) = end_of_character(text, at) {
            (end, Kind::Other)
        } else {
            (at + text[at..].chars().next().map_or(1, char::len_utf8), Kind::Code)
        };
        let part = &text[at..end];
        code.extend(if matches!(kind, Kind::Code) { Some(part) } else { None });
        literals.extend(if matches!(kind, Kind::Literal) { Some(part) } else { None });
        for text in [&mut code, &mut literals] {
            if text.len() < end {
                text.extend(blanks(part));
            }
        }
        at = end;
    }
    (code, literals)
}

/// What a part of a source is; comments and characters are nothing that a rule looks at.
enum Kind {
    Code,
    Literal,
    Other,
}

fn blanks(part: &str) -> impl Iterator<Item = char> + '_ {
    part.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' })
}

/// Replaces a range, in which only whole characters are, by blanks; lines stay.
fn blank(text: &mut String, begin: usize, end: usize) {
    let blanks: String = blanks(&text[begin..end]).collect();
    text.replace_range(begin..end, &blanks);
}

/// Where `wanted` begins, or the text ends.
fn find(bytes: &[u8], from: usize, wanted: &[u8]) -> usize {
    bytes[from..].windows(wanted.len()).position(|window| window == wanted).map_or(bytes.len(), |found| from + found)
}

fn end_of_block_comment(bytes: &[u8], begin: usize) -> usize {
    let (mut depth, mut at) = (0, begin);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => depth += 1,
            [b'*', b'/', ..] => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            break;
        }
    }
    at
}

fn end_of_string(bytes: &[u8], begin: usize) -> Option<usize> {
    if bytes[begin] == b'"' {
        let mut at = begin + 1;
        while at < bytes.len() && bytes[at] != b'"' {
            at += if bytes[at] == b'\\' { 2 } else { 1 };
        }
        return Some((at + 1).min(bytes.len()));
    }
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins = begin == 0 || !is_inner(bytes[begin - 1]) || (matches!(bytes[begin - 1], b'b' | b'c'));
    if bytes[begin] != b'r' || !begins {
        return None;
    }
    let hashes = bytes[begin + 1..].iter().take_while(|byte| **byte == b'#').count();
    let body = begin + 1 + hashes;
    if bytes.get(body) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = [b'"'].into_iter().chain(std::iter::repeat_n(b'#', hashes)).collect();
    Some((find(bytes, body + 1, &close) + close.len()).min(bytes.len()))
}

/// `'a'` is a character, `'a` a lifetime.
fn end_of_character(text: &str, begin: usize) -> Option<usize> {
    let rest = text[begin..].strip_prefix('\'')?;
    if rest.starts_with('\\') {
        return rest[2..].find('\'').map(|end| begin + 1 + 2 + end + 1);
    }
    let first = rest.chars().next()?;
    rest[first.len_utf8()..].starts_with('\'').then(|| begin + 1 + first.len_utf8() + 1)
}

/// The items that are there in tests alone.
fn test_items(code: &str) -> Vec<(usize, usize)> {
    let mut items = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find(TEST_ONLY) {
        let begin = from + found;
        let end = end_of_item(code, begin + TEST_ONLY.len());
        items.push((begin, end));
        from = end;
    }
    items
}

/// An item ends with `;`, or with the brace that closes its body.
fn end_of_item(code: &str, begin: usize) -> usize {
    let mut depth = 0;
    for (at, character) in code[begin..].char_indices() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' => depth -= 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return begin + at + 1;
                }
            }
            ';' if depth == 0 => return begin + at + 1,
            _ => {}
        }
    }
    code.len()
}

/// The module that `mod name;` declares, whatever attributes stand before it.
fn module_name(item: &str) -> Option<&str> {
    let (before, name) = item.trim().strip_suffix(';')?.rsplit_once(' ')?;
    before.ends_with("mod").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources;

    #[test]
    fn code_literals_comments_and_tests_are_told_apart() {
        let text = "let a = \"x // \\\" y\"; // b\n/* c /* d */ e */ f('\"', 'g', r#\"h\"#);\n#[cfg(test)]\nmod tests { fn i() {} }\nj";
        let files = [("a/src/k.rs", text), ("a/src/lib.rs", "#[cfg(test)]\nmod l;"), ("a/src/l.rs", "m")];
        let programs = programs(&sources(&files));
        assert_eq!(
            programs.iter().map(|program| program.path.as_str()).collect::<Vec<_>>(),
            ["a/src/k.rs", "a/src/lib.rs"]
        );
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&programs[0].code), "let a = ; f( , , ); j");
        assert_eq!(words(&programs[0].literals), "\"x // \\\" y\" r#\"h\"#");
        assert_eq!(programs[0].line(programs[0].code.find('j').expect("it is code")), 5);
    }
}
