//! The one binary that people meet: each subcommand is a file.
//!
//! Exit codes: 0 fine, 1 failed, 2 bad usage or configuration (one line on standard error).

mod admin;
mod config;
mod config_file;
mod coordinator;
mod demo;
mod failure;
mod keys;
mod output;
mod router;
mod serve;
mod simulate;
mod start;
mod view;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use failure::Failure;

/// A distributed router for LLM providers: many replicas, one exact quota.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a router with a simulated provider: needs no file, no network and no Redis
    Demo(demo::Arguments),
    /// Run router and coordinator in one process
    Serve(serve::Arguments),
    /// Run a router
    Router(router::Arguments),
    /// Run a coordinator
    Coordinator(coordinator::Arguments),
    /// Run a simulated provider, which counts what arrives
    Simulate(simulate::Arguments),
    /// Check a configuration file, or print the schema of one
    #[command(subcommand)]
    Config(config::Command),
    /// Show the quota as all replicas see it
    View(view::Arguments),
    /// Take a key out, or bring it back
    #[command(subcommand)]
    Keys(keys::Command),
}

fn main() -> ExitCode {
    let result = match Cli::try_parse() {
        Ok(cli) => run(cli.command),
        Err(refusal) => usage(&refusal),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure);
            failure.exit_code()
        }
    }
}

#[tokio::main]
async fn run(command: Command) -> Result<(), Failure> {
    // Fails only where one is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match command {
        Command::Demo(arguments) => Box::pin(demo::run(arguments)).await,
        Command::Serve(arguments) => Box::pin(serve::run(arguments)).await,
        Command::Router(arguments) => Box::pin(router::run(arguments)).await,
        Command::Coordinator(arguments) => Box::pin(coordinator::run(arguments)).await,
        Command::Simulate(arguments) => simulate::run(arguments).await,
        Command::Config(command) => config::run(command),
        Command::View(arguments) => view::run(arguments).await,
        Command::Keys(command) => keys::run(command).await,
    }
}

/// Help and version are no failures; what else clap says becomes one line.
fn usage(refusal: &clap::Error) -> Result<(), Failure> {
    let text = refusal.render().to_string();
    if !refusal.use_stderr() {
        return output::print(&text);
    }
    if refusal.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let complaint = "a subcommand is missing; begin with `sluice demo`, or see `sluice help`";
        return Err(Failure::Refused(complaint.to_owned()));
    }
    let complaint: Vec<&str> = text
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let complaint = complaint.join(" ");
    let complaint = complaint.strip_prefix("error: ").unwrap_or(&complaint);
    Err(Failure::Refused(format!("{complaint}; see `sluice help`")))
}
