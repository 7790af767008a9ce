//! A real redis-server of the test's own: it can be frozen, killed, and come back empty.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::ports::free_address;
use crate::process::Process;

#[derive(Debug)]
pub struct Redis {
    address: SocketAddr,
    directory: PathBuf,
    process: Process,
}

impl Redis {
    /// Starts an empty server in `directory` that answers when this returns.
    pub async fn start(directory: PathBuf) -> Self {
        let address = free_address();
        let process = launch(address, &directory);
        let redis = Self {
            address,
            directory,
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
        self.process = launch(self.address, &self.directory);
        self.wait_answer().await;
    }

    /// Runs one command on a connection of its own and returns the raw reply.
    pub async fn command(&self, words: &[&str]) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        request.push_str("*1\r\n$4\r\nQUIT\r\n");
        stream.write_all(request.as_bytes()).await?;

        let mut reply = Vec::new();
        timeout(Duration::from_secs(5), stream.read_to_end(&mut reply)).await??;
        Ok(String::from_utf8_lossy(&reply).into_owned())
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

fn launch(address: SocketAddr, directory: &std::path::Path) -> Process {
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
            .arg(directory),
        directory,
    )
}
