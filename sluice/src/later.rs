//! Subcommands that are announced but not there yet.

use clap::Args;

use crate::failure::Failure;

/// Takes whatever is given, so that the answer is always the same.
#[derive(Args)]
pub(crate) struct Arguments {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _rest: Vec<String>,
}

pub(crate) fn refusal(name: &str, remedy: &str) -> Failure {
    Failure::Refused(format!(
        "`sluice {name}` comes with a later version; {remedy}"
    ))
}
