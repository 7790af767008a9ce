//! The recorder: every operation of a session and its reply, as JSON lines that [`crate::state::replay`] reads.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use crate::state::replay::Recorded;

pub(super) struct Recorder(BufWriter<File>);

impl Recorder {
    pub(super) fn create(path: PathBuf) -> std::io::Result<Self> {
        File::create(path).map(BufWriter::new).map(Self)
    }

    /// Written and flushed at once: a recording is read after kill -9.
    pub(super) fn write(&mut self, recorded: &Recorded) {
        let line = serde_json::to_vec(recorded).unwrap_or_default();
        let written = self
            .0
            .write_all(&line)
            .and_then(|()| self.0.write_all(b"\n"))
            .and_then(|()| self.0.flush());
        if let Err(error) = written {
            tracing::error!("The recording is incomplete: {error}");
        }
    }
}
