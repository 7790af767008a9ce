//! The first minute with Sluice: `sluice demo`, and the lines that it prints to try.

use std::process::{Command, Output};
use std::time::Duration;

use tests::Process;
use tests::figures::{alone, figure};
use tests::fleet::binary;
use tokio::time::{Instant, sleep};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_prints_curl_lines_that_work() {
    let _machine = alone().await;
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start("demo", Command::new(binary()).arg("demo"), directory.path());

    let lines = printed_curl_lines(&process).await;

    let answers: Vec<String> = lines.iter().map(|line| text(&shell(line))).collect();
    let has = |what: &str| answers.iter().any(|answer| answer.contains(what));
    figure("curl lines that the demo prints", lines.len(), ">= 2");
    assert!(has("\"chat.completion\""), "a plain answer: {answers:?}");
    assert!(has("data: [DONE]"), "a stream: {answers:?}");

    let without_key = lines[0].replace("sk-sluice-demo", "sk-wrong");
    let refused = text(&shell(&without_key));
    assert!(refused.contains("invalid_api_key"), "{refused}");
}

/// The `curl` commands of the output, once they are all there; a command may go on after a backslash.
async fn printed_curl_lines(process: &Process) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let joined = process.output().replace("\\\n", " ");
        let lines: Vec<String> = joined
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("curl "))
            .map(str::to_owned)
            .collect();
        let has_both = lines.iter().any(|line| line.contains("stream")) && lines.len() >= 2;
        if has_both {
            return lines;
        }
        assert!(
            Instant::now() < deadline,
            "no curl lines: {} {}",
            process.output(),
            process.errors()
        );
        sleep(Duration::from_millis(50)).await;
    }
}

fn shell(line: &str) -> Output {
    Command::new("sh").args(["-c", line]).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
