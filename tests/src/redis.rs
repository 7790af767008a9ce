//! A real redis-server of the test's own: it can be frozen, killed, and come back empty or with an old dump.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::ports::free_address;
use crate::process::Process;

const DUMP: &str = "dump.rdb";

#[derive(Debug)]
pub struct Redis {
    address: SocketAddr,
    directory: PathBuf,
    flags: Vec<String>,
    process: Process,
}

impl Redis {
    /// Starts an empty server in `directory` that answers when this returns.
    pub async fn start(directory: PathBuf) -> Self {
        Self::start_with(directory, &[]).await
    }

    /// The same with further flags of redis-server; it must still answer in plain text, on its own port.
    pub async fn start_with(directory: PathBuf, flags: &[&str]) -> Self {
        let address = free_address();
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let process = launch(address, &directory, &flags);
        let redis = Self {
            address,
            directory,
            flags,
            process,
        };
        redis.wait_answer().await;
        redis
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it in the middle of what it does (SIGSTOP); its sockets stay open.
    pub fn freeze(&self) {
        self.process.signal(Signal::SIGSTOP);
    }

    pub fn thaw(&self) {
        self.process.signal(Signal::SIGCONT);
    }

    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same port, with nothing of what it held.
    pub async fn restart_empty(&mut self) {
        self.process.kill();
        // There is none unless the test saved one.
        std::fs::remove_file(self.directory.join(DUMP)).ok();
        self.restart_saved().await;
    }

    /// Starts it again on the same port, with what it held at its last `SAVE`.
    pub async fn restart_saved(&mut self) {
        self.process.kill();
        self.process = launch(self.address, &self.directory, &self.flags);
        self.wait_answer().await;
    }

    /// Where it runs, and writes its dump.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs commands that must succeed, one after the other on one connection.
    pub async fn must_all(&self, commands: &[&[&str]]) {
        let reply = self
            .commands(commands)
            .await
            .unwrap_or_else(|error| panic!("{commands:?}: {error}"));
        let is_refused = reply.lines().any(|line| line.starts_with('-'));
        assert!(!is_refused, "{commands:?}: {reply}");
    }

    /// Runs one command that must succeed, and returns the raw reply.
    pub async fn must(&self, words: &[&str]) -> String {
        let reply = self
            .command(words)
            .await
            .unwrap_or_else(|error| panic!("{words:?}: {error}"));
        assert!(!reply.starts_with('-'), "{words:?}: {reply}");
        reply
    }

    /// Runs one command on a connection of its own and returns the raw reply.
    pub async fn command(&self, words: &[&str]) -> std::io::Result<String> {
        self.commands(&[words]).await
    }

    async fn commands(&self, commands: &[&[&str]]) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        let quit: &[&str] = &["QUIT"];
        let mut request = String::new();
        for words in commands.iter().chain([&quit]) {
            request.push_str(&format!("*{}\r\n", words.len()));
            for word in *words {
                request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
            }
        }
        stream.write_all(request.as_bytes()).await?;

        let mut reply = Vec::new();
        timeout(Duration::from_secs(5), stream.read_to_end(&mut reply)).await??;
        Ok(String::from_utf8_lossy(&reply).into_owned())
    }

    /// How often `command` was called so far, refused calls included.
    pub async fn calls(&self, command: &str) -> u64 {
        let info = self.must(&["INFO", "commandstats"]).await;
        let prefix = format!("cmdstat_{command}:calls=");
        let count = info.lines().find_map(|line| {
            let rest = line.strip_prefix(&prefix)?;
            rest.split(',').next()?.parse::<u64>().ok()
        });
        count.unwrap_or(0)
    }

    /// How many scripts it has run so far.
    pub async fn script_calls(&self) -> u64 {
        let info = self
            .command(&["INFO", "commandstats"])
            .await
            .expect("INFO commandstats answers");
        info.lines()
            .filter(|line| line.starts_with("cmdstat_eval"))
            .filter_map(|line| {
                line.split_once("calls=")?
                    .1
                    .split(',')
                    .next()?
                    .parse::<u64>()
                    .ok()
            })
            .sum()
    }

    async fn wait_answer(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Ok(reply) = self.command(&["PING"]).await
                && reply.starts_with("+PONG")
            {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "redis-server does not answer on {}: {}",
                self.address,
                self.process.output()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn launch(address: SocketAddr, directory: &Path, flags: &[String]) -> Process {
    assert!(
        Command::new("redis-server")
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success()),
        "redis-server is missing: `apt-get install redis-server` (tests/run does it)"
    );
    Process::start(
        "redis",
        Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .args(["--maxmemory-policy", "noeviction", "--maxclients", "4000"])
            .arg("--dir")
            .arg(directory)
            .args(flags),
        directory,
    )
}
