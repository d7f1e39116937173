//! docs/reference/settings.md, from the definition of the command line.

use std::fmt::Write;

use clap::{Arg, Command, builder::PossibleValue};

use super::{cell, codes};
use crate::{cli, contexts};

const INTRODUCTION: &str = "\
# Settings

A setting is an environment variable and a flag; the flag wins. `jumun up --print-config` prints the configuration of a
process. A setting that is marked secret may contain a password or key: it is never printed. [The command
line](command-line.md) lists the flags that have no variable.
";

/// What libraries read, for which there is no flag.
const OF_LIBRARIES: &str = "
## Logs and traces

These variables have no flag.

| variable | value | default | meaning |
|---|---|---|---|
| `RUST_LOG` | FILTER | `info` | Levels of the log, as `EnvFilter` of tracing reads them, e.g. `info,order=debug` |
| `OTEL_EXPORTER_OTLP_ENDPOINT` | URL |  | Collector that traces are sent to by OTLP/gRPC; not set: no traces |
| `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | URL |  | The same, before `OTEL_EXPORTER_OTLP_ENDPOINT` |
| `OTEL_SERVICE_NAME` | NAME | `jumun` | `service.name` of the traces |
| `OTEL_SDK_DISABLED` | `true`, `false` | `false` | Whether no traces are sent, whatever the endpoint |
";

/// A setting, and the commands that read it.
struct Setting {
    arg: Arg,
    variable: String,
    commands: Vec<String>,
}

pub(super) fn page() -> anyhow::Result<String> {
    let (of_contexts, general) =
        settings().into_iter().partition::<Vec<_>, _>(|setting| setting.arg.get_help_heading().is_some());
    let mut page = INTRODUCTION.to_owned();
    table(&mut page, "General", &general)?;
    table(&mut page, "Per context", &of_contexts)?;
    Ok(page + OF_LIBRARIES)
}

/// Every flag that has a variable, as `up` or else the first command defines it.
fn settings() -> Vec<Setting> {
    let mut settings: Vec<Setting> = Vec::new();
    let root = cli::command();
    let mut commands: Vec<_> = root.get_subcommands().collect();
    commands.sort_by_key(|command| (command.get_name() != "up", command.get_name()));
    for (command, arg) in commands.into_iter().flat_map(of_command) {
        let Some(variable) = arg.get_env().map(|name| name.to_string_lossy().into_owned()) else { continue };
        match settings.iter_mut().find(|setting| setting.variable == variable) {
            Some(setting) if setting.commands.contains(&command) => {}
            Some(setting) => setting.commands.push(command),
            None => settings.push(Setting { arg, variable, commands: vec![command] }),
        }
    }
    settings.sort_by(|one, other| one.variable.cmp(&other.variable));
    settings
}

/// The arguments of a command and of the commands that it has.
fn of_command(command: &Command) -> impl Iterator<Item = (String, Arg)> {
    let arguments = command.get_arguments().chain(command.get_subcommands().flat_map(Command::get_arguments));
    arguments.map(|arg| (command.get_name().to_owned(), arg.clone()))
}

fn table(page: &mut String, title: &str, settings: &[Setting]) -> anyhow::Result<()> {
    write!(
        page,
        "\n## {title}\n\n| variable | flag | value | default | secret | read by | meaning |\n|---|---|---|---|---|---|---|\n"
    )?;
    for Setting { arg, variable, commands } in settings {
        let secret = if arg.is_hide_env_values_set() { "yes" } else { "" };
        writeln!(
            page,
            "| `{variable}` | {} | {} | {} | {secret} | {} | {} |",
            codes(arg.get_long().map(|flag| format!("--{flag}")).as_deref()),
            value(arg),
            default(arg, variable),
            codes(commands.iter().map(String::as_str)),
            cell(&arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default()),
        )?;
    }
    Ok(())
}

/// The values that there are, or what a value stands for, which is its unit where it has one.
fn value(arg: &Arg) -> String {
    let values = arg.get_possible_values();
    let names = arg.get_value_names().unwrap_or_default();
    match values.is_empty() {
        true => cell(&names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
        false => codes(values.iter().map(PossibleValue::get_name)),
    }
}

fn default(arg: &Arg, variable: &str) -> String {
    let of_context = contexts::settings().find(|setting| setting.variable() == variable).map(|setting| setting.default);
    let values = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned());
    let values: Vec<_> = values.chain(of_context.map(str::to_owned)).filter(|value| !value.is_empty()).collect();
    codes(values.iter().map(String::as_str))
}
