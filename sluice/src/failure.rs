//! How a subcommand ends when it does not end well.

use std::fmt;
use std::process::ExitCode;

pub(crate) enum Failure {
    /// Bad usage or configuration: trying again without a change cannot help.
    Refused(String),
    Failed(anyhow::Error),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Refused(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::FAILURE,
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => f.write_str(reason),
            // The causes too, on the same line.
            Self::Failed(error) => write!(f, "{error:#}"),
        }
    }
}
