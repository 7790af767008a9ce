//! One coordinator process, that can be killed, paused, and started again under the same name.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::state::replay::Recorded;
use tokio::time::{Instant, sleep, timeout};

use super::{Metrics, binary};
use crate::client::{Answer, Request};
use crate::ports::free_address;
use crate::process::Process;
use crate::records;

/// Longer than the learning phase that follows the loss of a store.
const START_PATIENCE: Duration = Duration::from_secs(20);
const ASK_PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct Coordinator {
    name: String,
    admin: SocketAddr,
    config: PathBuf,
    record: Option<PathBuf>,
    directory: PathBuf,
    process: Option<Process>,
}

/// What `/leader` says.
#[derive(Clone, Debug, Deserialize)]
pub struct Leader {
    /// Empty: nobody.
    pub owner: String,
    /// The admin address of who leads.
    pub address: String,
    pub fence: u64,
    pub remaining_ms: i64,
    pub is_me: bool,
}

impl Coordinator {
    /// Writes its configuration; [`Self::start`] runs it.
    pub(super) fn new(name: String, config: &Value, directory: &Path, is_recorded: bool) -> Self {
        let admin = free_address();
        let mut config = config.clone();
        config["admin_listen"] = json!(admin);
        config["replica"] = json!({ "name": name });
        // For logs of what it decides.
        config["telemetry"] = json!({ "log": "json", "level": "info" });

        // JSON is YAML.
        let path = directory.join(format!("{name}.yaml"));
        std::fs::write(&path, format!("{config:#}")).expect("the configuration can be written");

        Self {
            record: is_recorded.then(|| directory.join(format!("{name}.record"))),
            name,
            admin,
            config: path,
            directory: directory.to_owned(),
            process: None,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Starts it, under the same name and on the same port each time.
    pub fn start(&mut self) {
        let mut command = Command::new(binary());
        command.arg("coordinator").arg("-c").arg(&self.config);
        if let Some(record) = &self.record {
            command.arg("--record").arg(record);
        }
        self.process = Some(Process::start(&self.name, &mut command, &self.directory));
    }

    pub async fn wait_ready(&mut self) {
        let deadline = Instant::now() + START_PATIENCE;
        while self
            .ask("GET", "/readyz")
            .await
            .is_none_or(|answer| answer.status != 200)
        {
            let process = self.process.as_mut().expect("it was started");
            if let Some(status) = process.exit_status() {
                panic!("`{}` ended with {status}: {}", self.name, process.errors());
            }
            assert!(
                Instant::now() < deadline,
                "`{}` is not ready after {START_PATIENCE:?}",
                self.name
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGKILL: it can resign to nobody.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill();
    }

    /// SIGTERM: it resigns.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// SIGSTOP, in the middle of what it does.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// SIGHUP: it reads its file again.
    pub fn reload(&self) {
        self.signal(Signal::SIGHUP);
    }

    pub async fn wait_exit(&mut self, patience: Duration) -> ExitStatus {
        let mut process = self.process.take().expect("it runs");
        process.wait_exit(patience).await
    }

    /// Who leads, as this one sees it; `None` if it does not answer.
    pub async fn leader(&self) -> Option<Leader> {
        let answer = self.ask("GET", "/leader").await?;
        serde_json::from_slice(&answer.body).ok()
    }

    pub async fn metrics(&self) -> Metrics {
        let answer = self.ask("GET", "/metrics").await.expect("it answers");
        Metrics(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// `drain`, `disable` or `enable`, to `provider/key`.
    pub async fn decide(&self, key: &str, action: &str) -> Answer {
        let answer = self.ask("PUT", &format!("/keys/{key}/{action}")).await;
        answer.expect("it answers")
    }

    /// What it wrote to the store so far.
    pub fn records(&self) -> Vec<Recorded> {
        records::read(self.record.as_ref().expect("the setup asked for records"))
    }

    /// Its log lines and everything else it wrote.
    pub fn log(&self) -> String {
        let process = self.process.as_ref().expect("it runs");
        process.output() + &process.errors()
    }

    fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    async fn ask(&self, method: &'static str, path: &str) -> Option<Answer> {
        // A process that was killed has no admin port, a paused one does not answer.
        self.process.as_ref()?;
        let request = Request::without_body(method, path);
        timeout(ASK_PATIENCE, request.send(self.admin))
            .await
            .ok()?
            .ok()
    }
}
