//! What SIGTERM does to a process; so there has to be one, and this test binary starts itself again.
#![expect(clippy::expect_used, reason = "a test harness fails by panicking")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use shared::signals;

/// Not a test: the process that gets the signals. It would take half a minute to end by itself.
#[test]
#[ignore = "started by the tests below"]
fn a_process_that_takes_its_time() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let shutdown = signals::shutdown().expect("signals can be listened to");
        say("listening");
        shutdown.cancelled().await;
        say("shutting down");
        tokio::time::sleep(Duration::from_secs(30)).await;
    });
}

#[test]
fn the_first_signal_asks_and_the_second_ends_at_once() {
    for signal in ["-TERM", "-INT"] {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args([
                "--ignored",
                "--exact",
                "a_process_that_takes_its_time",
                "--nocapture",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test starts again");
        let output = child.stdout.take().expect("piped");
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);

        assert!(lines.any(|line| line == "listening"));
        send(signal, &child);
        assert!(lines.any(|line| line == "shutting down"));
        send(signal, &child);

        let status = child.wait().expect("the process ends");
        assert_eq!(status.code(), Some(1), "{signal}");
    }
}

fn send(signal: &str, child: &Child) {
    let kill = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(kill.success());
}

/// Past the test harness, which would keep the line until the end.
fn say(line: &str) {
    // The harness has begun a line of its own.
    writeln!(std::io::stdout(), "\n{line}").expect("written");
}
