//! The first minute with Sluice: `sluice demo`, and the lines that it prints to try.

use std::process::Command;
use std::time::Duration;

use tests::figures::{alone, figure};
use tests::fleet::binary;
use tests::{Process, free_address};
use tokio::time::{Instant, sleep};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_prints_curl_lines_that_work() {
    let _machine = alone().await;
    let directory = tempfile::tempdir().unwrap();
    let [listen, admin, simulator] = [0; 3].map(|_| free_address().to_string());
    let mut command = Command::new(binary());
    command
        .args(["demo", "--listen", &listen, "--admin-listen", &admin])
        .args(["--simulator-listen", &simulator]);
    let process = Process::start("demo", &mut command, directory.path());

    let lines = printed_curl_lines(&process).await;
    let answers: Vec<String> = lines.iter().map(|line| output_of(line)).collect();
    let wrong_key = output_of(&lines[0].replace("sk-sluice-demo", "sk-wrong"));

    let has = |what: &str| answers.iter().any(|answer| answer.contains(what));
    figure("curl lines that the demo prints", lines.len(), ">= 7");
    assert!(has("\"chat.completion\""), "a plain answer: {answers:?}");
    assert!(has("data: [DONE]"), "a stream: {answers:?}");
    assert!(
        has("\"object\":\"response\""),
        "OpenAI's Responses: {answers:?}"
    );
    assert!(has("\"type\":\"message\""), "Anthropic's: {answers:?}");
    assert!(has("\"candidates\""), "Gemini's: {answers:?}");
    assert!(has("\"done\":true"), "Ollama's: {answers:?}");
    assert!(has("401 Unauthorized"), "one without a key: {answers:?}");
    assert!(wrong_key.contains("invalid_api_key"), "{wrong_key}");
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
        let is_all = lines.last().is_some_and(|line| line.contains("/metrics"));
        if is_all {
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

fn output_of(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}
