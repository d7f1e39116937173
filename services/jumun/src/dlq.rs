//! `jumun dlq`: lists, shows, redrives and discards dead letters, by AdminService.

mod filter;
mod paced;
mod print;
mod read;
mod selection;

use std::io::Write;

use clap::{Args, Subcommand};
use contracts::admin::v1::admin_service_client::AdminServiceClient;
use serde_json::json;

use crate::{
    config::Target,
    operator::{self, AdminClient},
};
use filter::Filter;
use paced::Operation;
use selection::{Selection, letter_name};

/// The commands for dead letters.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// List dead letters, oldest first within each context
    List {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        args: ListArgs,
    },
    /// Show everything about one dead letter, with the content of its event
    Show {
        #[command(flatten)]
        target: Target,
        /// Name of the dead letter, e.g. deadLetters/store-1
        #[arg(value_name = "NAME", value_parser = letter_name)]
        name: String,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Apply dead letters again, in their original order; stops at the first that fails
    Redrive {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        selection: Selection,
    },
    /// Discard dead letters: their events are never applied; stops at the first that fails
    Discard {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        selection: Selection,
    },
}

/// Arguments of `jumun dlq list`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: Filter,
    /// Maximum number of dead letters
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print a JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(command: &DlqCommand) -> anyhow::Result<()> {
    match command {
        DlqCommand::List { target, args } => list(args, connect(target).await?).await,
        DlqCommand::Show { target, name, json } => {
            let letter = read::get(&mut connect(target).await?, name).await?;
            let json_text = operator::to_json("DeadLetter", &letter)?;
            let text = if *json { format!("{json_text}\n") } else { print::details(&letter, &json_text["payload"])? };
            Ok(std::io::stdout().write_all(text.as_bytes())?)
        }
        DlqCommand::Redrive { target, selection } => {
            paced::run(Operation::Redrive, selection, connect(target).await?).await
        }
        DlqCommand::Discard { target, selection } => {
            paced::run(Operation::Discard, selection, connect(target).await?).await
        }
    }
}

async fn connect(target: &Target) -> anyhow::Result<AdminClient> {
    Ok(AdminServiceClient::new(operator::connect(&target.addr, &target.credentials.connector()?).await?))
}

async fn list(args: &ListArgs, mut admin: AdminClient) -> anyhow::Result<()> {
    let limit = usize::try_from(args.limit)?;
    // One more shows whether there are others.
    let mut letters = read::matching(&mut admin, &args.filter, limit.saturating_add(1)).await?;
    let are_more = letters.len() > limit;
    letters.truncate(limit);
    let mut out = std::io::stdout().lock();
    if args.json {
        let letters = letters.iter().map(|letter| operator::to_json("DeadLetter", letter));
        writeln!(out, "{}", json!({ "deadLetters": letters.collect::<Result<Vec<_>, _>>()? }))?;
    } else {
        out.write_all(print::table(&letters).as_bytes())?;
    }
    if are_more {
        // Standard error may be closed; the list was printed.
        let _ = writeln!(std::io::stderr(), "jumun: there are more than {limit} (--limit)");
    }
    Ok(())
}
