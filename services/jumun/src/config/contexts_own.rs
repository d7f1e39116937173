//! Settings of individual contexts, declared in their crates.

use std::collections::BTreeMap;

use clap::{Arg, ArgMatches, Command};
use runtime::ContextSetting;

use super::line::Line;
use crate::contexts;

/// Adds a flag and an environment variable for each setting.
pub(crate) fn with_context_settings(command: Command) -> Command {
    contexts::settings().fold(command, |command, setting| {
        let check = setting.check;
        let value = move |text: &str| check(text).map(|()| text.to_owned());
        command.arg(
            Arg::new(setting.flag())
                .long(setting.flag())
                .env(setting.variable())
                .hide_env_values(setting.is_secret)
                .help(setting.help)
                .value_name("VALUE")
                .value_parser(value)
                .help_heading("Per context"),
        )
    })
}

/// The settings that were given, by flag.
pub(crate) fn context_settings(matches: &ArgMatches) -> BTreeMap<String, String> {
    let given = |flag: &str| matches.get_one::<String>(flag).filter(|value| !value.is_empty());
    let flags = contexts::settings().map(ContextSetting::flag);
    flags.filter_map(|flag| given(&flag).cloned().map(|value| (flag, value))).collect()
}

/// Prints every setting, with secrets masked.
pub(super) fn print(given: &BTreeMap<String, String>, line: &mut Line<'_>) {
    for setting in contexts::settings() {
        match given.get(&setting.flag()) {
            Some(_) if setting.is_secret => line(&setting.variable(), &"***"),
            Some(value) => line(&setting.variable(), value),
            None => line(&setting.variable(), &setting.default),
        }
    }
}
