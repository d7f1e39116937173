//! docs/reference/command-line.md, from the definition of the command line.

use std::fmt::Write;

use clap::Command;

use crate::cli;

const INTRODUCTION: &str = "\
# Command line

Every command as `--help` prints it. [Settings](settings.md) lists the environment variables.
";
/// Columns of the help, whatever terminal it is written in.
const WIDTH: usize = 100;

pub(super) fn page() -> anyhow::Result<String> {
    let mut root = cli::command().term_width(WIDTH);
    root.build();
    let mut page = INTRODUCTION.to_owned();
    add(&mut page, "jumun", &mut root)?;
    Ok(page)
}

/// A command, and the commands that it has.
fn add(page: &mut String, name: &str, command: &mut Command) -> anyhow::Result<()> {
    add_help(page, name, command)?;
    let mut commands: Vec<_> = command.get_subcommands_mut().filter(|command| command.get_name() != "help").collect();
    commands.sort_by(|one, other| one.get_name().cmp(other.get_name()));
    for command in commands {
        add(page, &format!("{name} {}", command.get_name()), command)?;
    }
    Ok(())
}

/// The help of one command. It must not show what the environment of the writer says.
fn add_help(page: &mut String, name: &str, command: &mut Command) -> anyhow::Result<()> {
    let mut command = command.clone().mut_args(|arg| arg.hide_env_values(true));
    let help = command.render_long_help().to_string();
    let help = help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    Ok(write!(page, "\n## {name}\n\n```text\n{}\n```\n", help.trim_end())?)
}
