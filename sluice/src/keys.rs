//! `sluice keys drain|disable|enable PROVIDER/KEY`.

use clap::{Args, Subcommand};

use crate::admin;
use crate::failure::Failure;
use crate::output;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Give the key nothing new; what runs finishes, and probes go on
    Drain(Arguments),
    /// Give the key nothing new, and do not probe it
    Disable(Arguments),
    /// Use the key again, and forget what was known of its health
    Enable(Arguments),
}

#[derive(Args)]
pub(crate) struct Arguments {
    /// The key, as `PROVIDER/KEY`
    #[arg(value_name = "PROVIDER/KEY", value_parser = key)]
    key: String,
    /// The admin address of a coordinator, or of `sluice serve`
    #[arg(long, value_name = "URL", default_value = admin::DEFAULT)]
    admin: String,
}

pub(crate) async fn run(command: Command) -> Result<(), Failure> {
    let (action, Arguments { key, admin }) = match command {
        Command::Drain(arguments) => ("drain", arguments),
        Command::Disable(arguments) => ("disable", arguments),
        Command::Enable(arguments) => ("enable", arguments),
    };
    let answer = admin::put(&admin, &format!("/keys/{key}/{action}")).await?;
    output::print(&format!("{}\n", answer.trim_end()))
}

fn key(text: &str) -> Result<String, String> {
    match text.split_once('/') {
        Some((provider, key)) if !provider.is_empty() && !key.is_empty() => Ok(text.to_owned()),
        _ => Err("must be the names of a provider and its key, as `openai/main`".to_owned()),
    }
}
