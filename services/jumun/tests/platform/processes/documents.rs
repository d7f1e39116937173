//! Each block of a document that is marked `console` is run against a fresh `jumun up`, and prints what the document says.

use std::{path::Path, time::Duration};

use regex::Regex;

use super::{
    super::documents::{Block, Document, documents},
    cluster::ProcessCluster,
    program::{JUMUN, bare},
    temp_env::tool,
};

/// The address in the documents.
const ADDRESS: &str = "127.0.0.1:8080";
/// Stands for text that varies; alone on a line, for any lines.
const VARIES: &str = "…";
/// How long the commands of one block may take: a demo on a busy machine.
const BLOCK_BOUND: Duration = Duration::from_secs(60);

/// A command of a block, and the lines that it prints.
struct Step<'a> {
    command: String,
    prints: Vec<&'a str>,
}

#[tokio::test]
async fn the_commands_in_the_documents_print_what_the_documents_say() {
    run(documents().iter().filter(|document| !calls_grpcurl(document)), None).await;
}

#[tokio::test]
#[ignore = "needs grpcurl: make test"]
async fn the_commands_in_the_documents_that_call_grpcurl_print_what_the_documents_say() {
    let grpcurl = tool("grpcurl");
    run(documents().iter().filter(|document| calls_grpcurl(document)), grpcurl.parent()).await;
}

fn calls_grpcurl(document: &Document) -> bool {
    document.blocks("console").iter().any(|block| block.lines.iter().any(|line| line.contains("grpcurl ")))
}

/// Runs every block of each document, each document against an instance of its own.
async fn run(documents: impl Iterator<Item = &Document>, tools: Option<&Path>) {
    let mut wrong = Vec::new();
    for document in documents {
        let blocks = document.blocks("console");
        if blocks.is_empty() {
            continue;
        }
        let mut cluster = ProcessCluster::whole();
        cluster.start().await;
        for block in &blocks {
            let failures = run_block(&mut cluster, block, tools).await;
            let at = format!("{}:{}", document.path.display(), block.line);
            wrong.extend(failures.into_iter().map(|failure| format!("{at}: {failure}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs a block in one shell; returns what went otherwise than it says.
async fn run_block(cluster: &mut ProcessCluster, block: &Block<'_>, tools: Option<&Path>) -> Vec<String> {
    let steps = steps(block);
    let address = cluster.program("order").address.to_string();
    let own = Path::new(JUMUN).parent();
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let folders = own.into_iter().chain(tools).map(Path::to_owned).chain(std::env::split_paths(&inherited));
    let mut shell = bare("bash");
    shell
        .args(["-c", &script(&steps).replace(ADDRESS, &address)])
        .current_dir(cluster.temp_env.folder())
        .env("PATH", std::env::join_paths(folders).expect("folders"))
        .env("JUMUN_ADDR", cluster.url("order"))
        .env("JUMUN_DATA_DIR", cluster.temp_env.path("data"));
    let running = tokio::process::Command::from(shell).kill_on_drop(true).output();
    let Ok(done) = tokio::time::timeout(BLOCK_BOUND, running).await else {
        return vec![format!("it does not end within {BLOCK_BOUND:?}")];
    };
    let printed = String::from_utf8_lossy(&done.expect("bash runs").stdout).replace(&address, ADDRESS);
    steps.iter().enumerate().filter_map(|(index, step)| step.failure(index, &printed)).collect()
}

/// Lines with `$` are commands, `>` continues one, the others are what it prints.
fn steps<'a>(block: &Block<'a>) -> Vec<Step<'a>> {
    let mut steps: Vec<Step<'a>> = Vec::new();
    for line in &block.lines {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command: command.to_owned(), prints: Vec::new() }),
            (None, Some(step)) => match line.strip_prefix('>') {
                Some(more) => step.command.extend(["\n", more.strip_prefix(' ').unwrap_or(more)]),
                None => step.prints.push(line),
            },
            (None, None) => panic!("line {}: a block begins with a command", block.line),
        }
    }
    steps
}

/// The commands, with marks around what each prints and its exit code.
fn script(steps: &[Step<'_>]) -> String {
    let marked = steps
        .iter()
        .enumerate()
        .map(|(index, step)| format!("printf '\\n@@@{index}\\n'\n{}\nprintf '\\n@@@ends %s\\n' $?\n", step.command));
    "exec 2>&1\n".to_owned() + &marked.collect::<String>()
}

impl Step<'_> {
    fn failure(&self, index: usize, printed: &str) -> Option<String> {
        let marks = format!(r"(?s)\n@@@{index}\n(.*?)\n@@@ends (\d+)\n");
        let found = Regex::new(&marks).expect("an expression");
        let Some((_, [output, code])) = found.captures(printed).map(|found| found.extract()) else {
            return Some(format!("$ {}\nnever ended; everything printed:\n{printed}", self.command));
        };
        let is_as_said = self.prints.is_empty()
            || self.expected().is_match(&format!("{}\n", output.strip_suffix('\n').unwrap_or(output)));
        (code != "0" || !is_as_said).then(|| {
            let expected = self.prints.join("\n");
            format!("$ {}\n--- expected\n{expected}\n--- printed (exit code {code})\n{output}", self.command)
        })
    }

    fn expected(&self) -> Regex {
        let line = |line: &&str| match line.trim() == VARIES {
            true => r"(?:.*\n)*?".to_owned(),
            false => line.split(VARIES).map(regex::escape).collect::<Vec<_>>().join(".*") + r"\n",
        };
        let lines: String = self.prints.iter().map(line).collect();
        Regex::new(&format!("^(?:{lines})$")).expect("an expression")
    }
}
