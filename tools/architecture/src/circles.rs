//! No circle of modules inside a crate. A module is a file; it depends on what its paths (`use` and others) lead to,
//! through re-exports. A parent that only re-exports its children does not depend on them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    Finding, Sources,
    scan::{Program, children, programs},
};

/// What declares an item of the module.
const DECLARING: [&str; 10] =
    ["struct", "enum", "union", "trait", "type", "fn", "const", "static", "mod", "macro_rules"];
/// Re-exports are followed this far.
const MAX_HOPS: usize = 8;

/// Names from the root of a crate, e.g. `["storage", "Table"]`.
type Names = Vec<String>;

/// What a path leads to, and where it stands.
struct Use {
    path: Names,
    line: usize,
    /// For a re-export, where its name is used otherwise in the same file.
    reexport: Option<Option<usize>>,
}

#[derive(Default)]
struct Module {
    file: String,
    items: BTreeSet<String>,
    /// Imported names; None: from another crate.
    imports: BTreeMap<String, Option<Names>>,
    globs: Vec<Names>,
    uses: Vec<Use>,
}

/// The modules of a crate by their names.
type Modules = BTreeMap<Names, Module>;

/// The shortest circles, none of which has an arrow of another.
pub fn of_modules(sources: &Sources) -> Vec<Finding> {
    let mut crates: BTreeMap<String, Vec<Program>> = BTreeMap::new();
    for program in programs(sources) {
        crates.entry(program.folder().to_owned()).or_default().push(program);
    }
    crates.iter().flat_map(|(folder, programs)| of_crate(folder, programs)).collect()
}

fn of_crate(folder: &str, programs: &[Program]) -> Vec<Finding> {
    let names: BTreeSet<Names> = programs.iter().map(|program| names(folder, &program.path)).collect();
    let modules: Modules =
        programs.iter().map(|program| (names_of(folder, program), Reader::read(folder, program, &names))).collect();
    let edges: Edges = modules.iter().map(|(name, module)| (name, edges(name, module, &modules))).collect();
    let mut circles: Vec<_> = modules.keys().filter_map(|start| shortest_circle(start, &edges)).collect();
    circles.sort_by_key(Vec::len);
    let mut reported = BTreeSet::new();
    let mut findings = Vec::new();
    for circle in circles {
        let steps: Vec<_> =
            (0..circle.len()).map(|index| (circle[index], circle[(index + 1) % circle.len()])).collect();
        // One wrong arrow closes many circles: the shortest of them tells which it is.
        if steps.iter().any(|step| reported.contains(step)) {
            continue;
        }
        let line = |(from, to): (&Names, &Names)| edges[from][to];
        let tell =
            |step: &(&Names, &Names)| format!("{}:{} uses {}", modules[step.0].file, line(*step), modules[step.1].file);
        let what = format!("a circle: {}", steps.iter().map(tell).collect::<Vec<_>>().join(", "));
        findings.push(Finding::new(&modules[circle[0]].file, line(steps[0]), what));
        reported.extend(steps);
    }
    findings
}

/// Where each module uses another one first.
type Edges<'a> = BTreeMap<&'a Names, BTreeMap<&'a Names, usize>>;

fn edges<'a>(name: &Names, module: &Module, modules: &'a Modules) -> BTreeMap<&'a Names, usize> {
    let mut edges = BTreeMap::new();
    for Use { path, line, reexport } in &module.uses {
        let Some(target) = resolve(path, modules, MAX_HOPS).filter(|target| *target != name) else { continue };
        let line = match reexport {
            Some(used) if target.starts_with(name) => *used,
            _ => Some(*line),
        };
        if let Some(line) = line {
            edges.entry(target).or_insert(line);
        }
    }
    edges
}

/// The module that declares what a path leads to; None: another crate does.
fn resolve<'a>(path: &[String], modules: &'a Modules, hops: usize) -> Option<&'a Names> {
    let length = (0..=path.len()).rev().find(|length| modules.contains_key(&path[..*length]))?;
    let (name, module) = modules.get_key_value(&path[..length])?;
    let Some(item) = path.get(length).filter(|item| !module.items.contains(*item) && hops > 0) else {
        return Some(name);
    };
    if let Some(import) = module.imports.get(item) {
        let whole: Names = import.as_ref()?.iter().chain(&path[length + 1..]).cloned().collect();
        return resolve(&whole, modules, hops - 1);
    }
    // A macro is known in the root, wherever it is declared.
    let is_macro = |module: &Module| module.items.contains(&format!("{item}!"));
    if let Some((declaring, _)) = modules.iter().find(|(_, module)| length == 0 && is_macro(module)) {
        return Some(declaring);
    }
    let from_glob = module.globs.iter().find_map(|glob| {
        let whole: Names = glob.iter().cloned().chain([item.clone()]).collect();
        let found = resolve(&whole, modules, hops - 1)?;
        modules[found].items.contains(item).then_some(found)
    });
    Some(from_glob.unwrap_or(name))
}

fn shortest_circle<'a>(start: &'a Names, edges: &Edges<'a>) -> Option<Vec<&'a Names>> {
    let mut before: BTreeMap<&Names, &Names> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(module) = queue.pop_front() {
        for next in edges[module].keys().copied() {
            if next == start {
                let mut circle = vec![module];
                while let Some(previous) = circle.last().and_then(|last| before.get(last)) {
                    circle.push(previous);
                }
                circle.reverse();
                return Some(circle);
            }
            if !before.contains_key(next) {
                before.insert(next, module);
                queue.push_back(next);
            }
        }
    }
    None
}

fn names_of(folder: &str, program: &Program) -> Names {
    names(folder, &program.path)
}

fn names(folder: &str, path: &str) -> Names {
    let within = children(path).strip_prefix(folder).and_then(|rest| rest.strip_prefix("/src")).unwrap_or_default();
    within.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Reads the items, imports and paths of a file.
struct Reader<'a> {
    tokens: Vec<(usize, &'a str)>,
    at: usize,
    program: &'a Program,
    known: &'a BTreeSet<Names>,
    /// The module, and the modules within the file that surround the present place.
    path: Names,
    module: Module,
    /// Names in the code, outside of `use`.
    mentioned: BTreeMap<&'a str, usize>,
}

impl<'a> Reader<'a> {
    fn read(folder: &str, program: &'a Program, known: &'a BTreeSet<Names>) -> Module {
        let module = Module { file: program.path.clone(), ..Module::default() };
        let path = names_of(folder, program);
        let tokens = tokens(&program.code);
        let mut reader = Self { tokens, at: 0, program, known, path, module, mentioned: BTreeMap::new() };
        reader.file();
        let Self { mut module, mentioned, .. } = reader;
        for Use { path, reexport, .. } in &mut module.uses {
            if let (Some(used), Some(name)) = (reexport, path.last()) {
                *used = mentioned.get(name.as_str()).copied();
            }
        }
        module
    }

    fn token(&self, ahead: usize) -> &'a str {
        self.tokens.get(self.at + ahead).map_or("", |(_, token)| token)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(1, |(offset, _)| self.program.line(*offset))
    }

    fn file(&mut self) {
        let mut depth = 0;
        // The depths at which modules within the file began.
        let mut inner = Vec::new();
        let mut previous = "";
        while self.at < self.tokens.len() {
            let token = self.token(0);
            match token {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if inner.last() == Some(&depth) {
                        inner.pop();
                        self.path.pop();
                    }
                }
                "use" => {
                    let is_public = previous == "pub" || previous == ")";
                    self.at += 1;
                    self.tree(&[], is_public);
                }
                "mod" if self.token(2) == "{" => {
                    self.module.items.insert(self.token(1).to_owned());
                    self.path.push(self.token(1).to_owned());
                    inner.push(depth);
                    self.at += 1;
                }
                _ if DECLARING.contains(&token) && is_name(self.token(1)) => {
                    self.module.items.insert(self.token(1).to_owned());
                    self.at += 1;
                }
                "macro_rules" if self.token(1) == "!" => {
                    let name = self.token(2);
                    self.module.items.extend([name.to_owned(), format!("{name}!")]);
                    self.at += 2;
                }
                _ if is_name(token) && !["::", ".", "in"].contains(&previous) => self.path_in_code(),
                _ => {}
            }
            previous = self.token(0);
            self.at += 1;
        }
    }

    /// A path within an expression, a type or a pattern.
    fn path_in_code(&mut self) {
        let line = self.line();
        let first = self.token(0);
        self.mentioned.entry(first).or_insert(line);
        let mut path = vec![first];
        while self.token(1) == "::" && is_name(self.token(2)) {
            path.push(self.token(2));
            self.at += 2;
        }
        if path.len() > 1
            && let Some(path) = self.absolute(&path)
        {
            self.module.uses.push(Use { path, line, reexport: None });
        }
    }

    /// A tree of imports after `use`, below a prefix.
    fn tree(&mut self, prefix: &[&'a str], is_public: bool) {
        let mut path = prefix.to_vec();
        let mut alias = None;
        let line = self.line();
        loop {
            match self.token(0) {
                "{" => {
                    self.at += 1;
                    while !["}", ""].contains(&self.token(0)) {
                        self.tree(&path, is_public);
                        if self.token(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "*" => {
                    self.at += 1;
                    if let Some(path) = self.absolute(&path) {
                        self.module.globs.push(path.clone());
                        let reexport = is_public.then_some(None);
                        self.module.uses.push(Use { path, line, reexport });
                    }
                    return;
                }
                "as" => {
                    alias = Some(self.token(1));
                    self.at += 2;
                }
                "::" => self.at += 1,
                "self" if !path.is_empty() => self.at += 1,
                name if is_name(name) => {
                    path.push(name);
                    self.at += 1;
                }
                _ => break,
            }
        }
        let Some(name) = alias.or(path.last().copied()) else { return };
        let path = self.absolute(&path);
        if let Some(path) = path.clone() {
            self.module.uses.push(Use { path, line, reexport: is_public.then_some(None) });
        }
        self.module.imports.insert(name.to_owned(), path);
    }

    /// A path from the root of the crate; None: it leads to another crate, or to what the file imported.
    fn absolute(&self, path: &[&str]) -> Option<Names> {
        let mut names = self.path.clone();
        let mut rest = path;
        match rest.first().copied()? {
            "crate" => {
                names.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while let Some(("super", after)) = rest.split_first().map(|(first, after)| (*first, after)) {
                    names.pop();
                    rest = after;
                }
            }
            child => {
                let whole: Names = names.iter().cloned().chain([child.to_owned()]).collect();
                if !self.known.contains(&whole) {
                    return None;
                }
            }
        }
        names.extend(rest.iter().map(|name| (*name).to_owned()));
        Some(names)
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|character: char| character.is_alphabetic() || character == '_')
}

/// Names, `::`, and every other character by itself.
fn tokens(code: &str) -> Vec<(usize, &str)> {
    let is_inner = |character: char| character.is_alphanumeric() || character == '_';
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = code[at..].chars().next() {
        let rest = &code[at..];
        let length = if is_inner(first) {
            rest.find(|character| !is_inner(character)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        if !first.is_whitespace() {
            tokens.push((at, &rest[..length]));
        }
        at += length;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{shown, sources};

    #[test]
    fn a_circle_is_found_through_re_exports_with_its_lines() {
        let files = [
            (
                "crates/a/src/lib.rs",
                "mod b;\nmod c;\nmod d;\npub use b::B;\npub use c::{C, D as E};\npub const LIMIT: u8 = 1;",
            ),
            ("crates/a/src/b.rs", "use std::fmt;\n\npub struct B(crate::C);"),
            ("crates/a/src/c.rs", "use crate::{\n    LIMIT,\n    d::F,\n};\npub struct C(F);"),
            ("crates/a/src/d.rs", "pub struct F;\nfn f() -> crate::b::B {\n    todo()\n}"),
        ];
        assert_eq!(
            shown(&of_modules(&sources(&files))),
            ["crates/a/src/b.rs:3: a circle: crates/a/src/b.rs:3 uses crates/a/src/c.rs, \
              crates/a/src/c.rs:3 uses crates/a/src/d.rs, crates/a/src/d.rs:2 uses crates/a/src/b.rs"]
        );
    }

    #[test]
    fn a_parent_that_uses_a_child_which_uses_its_items_is_a_circle() {
        let child = ("crates/a/src/b/c.rs", "use super::Error;\npub struct C;\nfn c() -> Error {}");
        for (parent, circle) in [
            ("mod c;\npub use c::C;\npub struct Error;", None),
            ("mod c;\npub use c::C;\npub struct Error(C);", Some(3)),
            ("mod c;\nuse c::C;\npub struct Error;", Some(2)),
            ("mod c;\npub struct Error;\nfn f() {\n    c::C\n}", Some(4)),
            ("mod c;\nuse c::C;\nuse std::io::Error;", None),
            ("mod c;\n#[cfg(test)]\nmod tests { use super::c::C; }\npub struct Error;", None),
        ] {
            let findings =
                of_modules(&sources(&[("crates/a/src/lib.rs", "mod b;"), ("crates/a/src/b.rs", parent), child]));
            assert_eq!(findings.first().map(|finding| finding.line), circle, "{parent}: {findings:?}");
        }
    }
}
