//! All that people read: results on standard output, one line on standard error when something went wrong.

use std::io::{self, ErrorKind, Write as _};

use anyhow::Context as _;

use crate::failure::Failure;

/// Writes `text` to standard output.
///
/// # Errors
///
/// The output cannot be written; one that is no longer read (`sluice view | head`) is fine.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result.context("cannot write to standard output")?),
    }
}

/// Writes one line to standard error.
pub(crate) fn complain(failure: &Failure) {
    let line = failure.to_string().replace('\n', " ");
    // Nowhere is left to say that this failed.
    let _ = writeln!(io::stderr(), "sluice: {line}");
}
