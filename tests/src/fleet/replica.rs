//! One router process, that can be killed, drained and started again under the same name.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use shared::state::replay::Recorded;
use shared::state::view::View;
use tokio::time::{Instant, sleep, timeout};

use super::binary;
use crate::client::Request;
use crate::ports::free_address;
use crate::process::Process;
use crate::records;

/// Longer than the learning phase that follows the loss of a store.
const START_PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct Replica {
    name: String,
    address: SocketAddr,
    admin: SocketAddr,
    config: PathBuf,
    record: Option<PathBuf>,
    directory: PathBuf,
    process: Option<Process>,
}

impl Replica {
    /// Writes its configuration; [`Self::start`] runs it.
    pub(super) fn new(name: String, config: &Value, directory: &Path, is_recorded: bool) -> Self {
        let address = free_address();
        let admin = free_address();
        let mut config = config.clone();
        config["listen"] = json!(address);
        config["admin_listen"] = json!(admin);
        config["replica"] = json!({ "name": name });

        // JSON is YAML.
        let path = directory.join(format!("{name}.yaml"));
        std::fs::write(&path, format!("{config:#}")).expect("the configuration can be written");

        Self {
            record: is_recorded.then(|| directory.join(format!("{name}.record"))),
            name,
            address,
            admin,
            config: path,
            directory: directory.to_owned(),
            process: None,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The data plane.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Starts it, under the same name and on the same ports each time.
    pub fn start(&mut self) {
        let mut command = Command::new(binary());
        command.arg("router").arg("-c").arg(&self.config);
        if let Some(record) = &self.record {
            command.arg("--record").arg(record);
        }
        self.process = Some(Process::start(&self.name, &mut command, &self.directory));
    }

    pub async fn wait_ready(&mut self) {
        let deadline = Instant::now() + START_PATIENCE;
        while !self.is_ready().await {
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

    pub async fn is_ready(&self) -> bool {
        status_of(self.address, "/readyz").await == Some(200)
    }

    pub async fn is_live(&self) -> bool {
        status_of(self.address, "/livez").await == Some(200)
    }

    /// Processor time that it has spent so far.
    pub fn cpu_seconds(&self) -> f64 {
        self.process.as_ref().expect("it runs").cpu_seconds()
    }

    /// SIGKILL: it can say goodbye to nobody.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill();
    }

    /// SIGTERM: it drains, then leaves.
    pub fn terminate(&self) {
        let process = self.process.as_ref().expect("it runs");
        process.signal(Signal::SIGTERM);
    }

    pub async fn wait_exit(&mut self, patience: Duration) -> ExitStatus {
        let mut process = self.process.take().expect("it runs");
        process.wait_exit(patience).await
    }

    /// The shared state as this replica shows it.
    pub async fn view(&self) -> View {
        let answer = self.ask_admin("/view").await;
        serde_json::from_slice(&answer)
            .unwrap_or_else(|error| panic!("/view of `{}`: {error}", self.name))
    }

    /// What `/readyz` says, whatever its status.
    pub async fn readiness(&self) -> String {
        match Request::get("/readyz").send(self.address).await {
            Ok(answer) => answer.text(),
            Err(error) => error.to_string(),
        }
    }

    pub async fn metrics(&self) -> Metrics {
        let answer = self.ask_admin("/metrics").await;
        Metrics(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Its operations on the store so far.
    pub fn records(&self) -> Vec<Recorded> {
        records::read(self.record.as_ref().expect("the setup asked for records"))
    }

    /// Its log lines and everything else it wrote.
    pub fn log(&self) -> String {
        let process = self.process.as_ref().expect("it runs");
        process.output() + &process.errors()
    }

    async fn ask_admin(&self, path: &str) -> Vec<u8> {
        let answer = Request::get(path)
            .send(self.admin)
            .await
            .unwrap_or_else(|error| panic!("`{}` did not answer {path}: {error}", self.name));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.body
    }
}

/// What `/metrics` said.
#[derive(Clone, Debug)]
pub struct Metrics(pub String);

impl Metrics {
    /// The value of one series, with its labels as they are written; 0 without it.
    pub fn value(&self, series: &str) -> f64 {
        let value = self
            .0
            .lines()
            .find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        value.unwrap_or_default()
    }

    /// The sum over all series of `name`; 0 without any.
    pub fn sum(&self, name: &str) -> f64 {
        let values = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let is_same_name = rest.starts_with(['{', ' ']);
            is_same_name.then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        });
        values.sum()
    }
}

async fn status_of(address: SocketAddr, path: &str) -> Option<u16> {
    let request = Request::get(path);
    let answer = timeout(Duration::from_secs(2), request.send(address)).await;
    Some(answer.ok()?.ok()?.status)
}
