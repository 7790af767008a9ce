//! A child process that does not outlive its test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

/// A running process; its output is in files, whose ends are shown when the test fails. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: PathBuf,
    errors: PathBuf,
}

impl Process {
    /// Starts `command` with its output in `directory/<name>.out` and `.err`; a second start appends.
    pub fn start(name: &str, command: &mut Command, directory: &Path) -> Self {
        raise_open_files_limit();
        let output = directory.join(format!("{name}.out"));
        let errors = directory.join(format!("{name}.err"));

        let child = command
            .stdin(Stdio::null())
            .stdout(append_to(&output))
            .stderr(append_to(&errors))
            .spawn()
            .unwrap_or_else(|error| panic!("`{name}` did not start: {error}"));

        Self {
            name: name.to_owned(),
            child,
            output,
            errors,
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal)
            .unwrap_or_else(|error| panic!("`{}` got no {signal}: {error}", self.name));
    }

    /// How it ended, if it did.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("a child of ours can be waited for")
    }

    pub async fn wait_exit(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.exit_status() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "`{}` still runs after {patience:?}",
                self.name
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        // It may have ended by itself: then there is nothing left to kill.
        self.child.kill().ok();
        self.child.wait().ok();
    }

    pub fn output(&self) -> String {
        read_lossy(&self.output)
    }

    pub fn errors(&self) -> String {
        read_lossy(&self.errors)
    }

    /// Processor time spent so far, by user and system.
    pub fn cpu_seconds(&self) -> f64 {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        // The name in brackets may hold anything; the fields after it are counted from 3. Time is in hundredths.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = |field: usize| -> f64 {
            let value = fields.split_whitespace().nth(field - 3);
            value
                .and_then(|value| value.parse().ok())
                .expect("Linux counts processor time")
        };
        (ticks(14) + ticks(15)) / 100.0
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id is positive"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let name = &self.name;
            crate::figures::say(&format!("---- last output of `{name}`"));
            for text in [self.output(), self.errors()] {
                let lines: Vec<&str> = text.lines().collect();
                for line in &lines[lines.len().saturating_sub(25)..] {
                    crate::figures::say(line);
                }
            }
        }
    }
}

fn append_to(path: &Path) -> File {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap_or_else(|error| panic!("`{}`: {error}", path.display()))
}

fn read_lossy(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// Thousands of clients need thousands of sockets, here and in the processes that inherit the limit.
fn raise_open_files_limit() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit can be read");
    let wanted = hard.min(65_536);
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).expect("up to the hard limit is allowed");
    }
}
