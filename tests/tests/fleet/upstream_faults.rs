//! Upstreams that fail in every way that `docs/faults.md` lists in its rows 25 to 38; each prints its row.

use std::time::Duration;

use serde_json::{Value, json};
use tests::client::{Answer, Connection, Ending, Request};
use tests::figures::{alone, fault, is_long};
use tests::fleet::{Fleet, MODEL, Setup};
use tests::load::{self, Connections};
use tests::oracle::Arrival;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::failover::two_keys;

/// Chunks of a stream that nothing breaks.
const CHUNKS: usize = 60;

/// One replica without Redis, over one key: as the last of its model it is never set aside.
async fn one_key(settings: Value) -> Fleet {
    let mut settings = settings;
    settings["state"] = json!("memory");
    Fleet::start(Setup {
        replicas: 1,
        settings,
        ..Setup::default()
    })
    .await
}

/// A behaviour with streams of `CHUNKS` chunks, a thousand a second.
fn streaming(fields: &Value) -> Value {
    let mut behaviour = json!({ "tokens": CHUNKS, "tokens_per_second": 1000 });
    for (name, value) in fields.as_object().expect("fields") {
        behaviour[name] = value.clone();
    }
    behaviour
}

/// The data of each event, whatever ends its lines.
fn events(answer: &Answer) -> Vec<String> {
    let text = answer.text().replace('\u{feff}', "");
    let lines = text.split(['\r', '\n']);
    lines
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|data| data.trim_start().to_owned())
        .collect()
}

/// How many chunks said something.
fn content_chunks(answer: &Answer) -> usize {
    let chunks = events(answer);
    let chunks = chunks
        .iter()
        .filter_map(|data| serde_json::from_str::<Value>(data).ok());
    chunks
        .filter(|chunk| {
            let content = &chunk["choices"][0]["delta"]["content"];
            content.as_str().is_some_and(|content| !content.is_empty())
        })
        .count()
}

/// Whether the client can tell that its stream is not whole: an error event last, no finish, and an aborted body.
fn is_honestly_broken(answer: &Answer) -> bool {
    let events = events(answer);
    let last = events
        .last()
        .and_then(|data| serde_json::from_str::<Value>(data).ok());
    let ends_in_error = last.is_some_and(|event| event["error"]["message"].is_string());
    let text = answer.text();
    answer.status == 200
        && ends_in_error
        && !text.contains("[DONE]")
        && !text.contains(r#""finish_reason":"stop""#)
        && answer.ending == Some(Ending::Aborted)
}

/// Whether a client takes the stream for a complete answer, and it is one.
fn is_whole(answer: &Answer) -> bool {
    let last = events(answer).pop();
    answer.status == 200 && answer.is_complete() && last.is_some_and(|data| data == "[DONE]")
}

/// Breaks twenty streams and expects each to end as a broken one after `chunks` chunks.
async fn check_broken_streams(row: u32, what: &str, behaviour: Value, chunks: usize) {
    let n_streams: usize = 20;
    let fleet = one_key(json!({ "timeouts": { "idle": "500ms" } })).await;
    fleet.simulator.behave("only", &streaming(&behaviour)).await;

    let mut n_honest = 0;
    let mut n_chunks = 0;
    let mut slowest = Duration::ZERO;
    for _ in 0..n_streams {
        let request = Request::stream(MODEL);
        let began = Instant::now();
        let answer = timeout(Duration::from_secs(5), request.send(fleet.address()));
        let answer = answer.await.expect("a broken stream ends").unwrap();
        slowest = slowest.max(began.elapsed());
        n_honest += usize::from(is_honestly_broken(&answer));
        n_chunks += content_chunks(&answer);
    }
    let released = Instant::now();
    fleet
        .simulator
        .wait_in_flight(&["only"], 0, Duration::from_secs(1))
        .await;
    let view = fleet.replicas[0].view().await;
    let held: u64 = view.scopes.iter().map(|scope| scope.held).sum();

    fault(
        row,
        what,
        format!(
            "{n_honest} of {n_streams} told by an error event and an aborted body, {:.1} chunks each, {held} slots held \
             {} ms later, slowest {:.2} s",
            n_chunks as f64 / n_streams as f64,
            released.elapsed().as_millis(),
            slowest.as_secs_f64()
        ),
        format!("{n_streams}, {chunks} chunks, 0 slots"),
    );
    assert_eq!(n_honest, n_streams);
    // A reset may overtake the last bytes before it.
    assert!(n_chunks <= chunks * n_streams, "{n_chunks}");
    assert!(n_chunks * 10 >= chunks * n_streams * 9, "{n_chunks}");
    assert_eq!(held, 0);
    assert_eq!(view.anomalies, 0);
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_reset_is_never_taken_for_a_whole_one() {
    let _machine = alone().await;
    check_broken_streams(
        25,
        "RST after 40 of 60 chunks",
        json!({ "reset_after": 40 }),
        40,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_in_good_order_but_unfinished_is_broken_too() {
    let _machine = alone().await;
    let what = "end without a finish after 40 of 60 chunks";
    check_broken_streams(26, what, json!({ "end_after": 40 }), 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_falls_silent_is_ended_by_the_idle_timeout() {
    let _machine = alone().await;
    let what = "silence after 20 chunks, idle timeout 500 ms";
    check_broken_streams(28, what, json!({ "stall_after": 20 }), 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_before_the_first_content_is_tried_elsewhere_or_told_as_what_it_is() {
    let _machine = alone().await;
    let fleet = two_keys(json!({})).await;
    let send = async || Request::stream(MODEL).send(fleet.address()).await.unwrap();

    let mut n_saved = 0;
    for early in [
        json!({ "error_after": 0 }),
        json!({ "end_after": 0 }),
        json!({ "reset_after": 0 }),
    ] {
        fleet.simulator.behave("first", &early).await;
        let answer = send().await;
        n_saved += usize::from(is_whole(&answer) && content_chunks(&answer) == 1);
    }
    fleet
        .simulator
        .behave("*", &json!({ "error_after": 0 }))
        .await;
    fleet.simulator.behave("first", &json!({})).await;
    let failed = send().await;

    let is_true = failed.status >= 500 && failed.json()["error"]["message"].is_string();
    fault(
        27,
        "error, end and RST between role and content",
        format!(
            "{n_saved} of 3 answered by the other key; where both fail, status {}",
            failed.status
        ),
        "3; an error status",
    );
    assert_eq!(n_saved, 3);
    assert!(is_true, "{}: {}", failed.status, failed.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_writing_a_stream_passes_byte_for_byte() {
    let _machine = alone().await;
    let fleet = one_key(json!({})).await;
    let dresses = [
        json!({ "piece": 1 }),
        json!({ "piece": 7 }),
        json!({ "line_end": "crlf" }),
        json!({ "line_end": "cr" }),
        json!({ "bom": true }),
        json!({ "space": false }),
        json!({ "line_end": "crlf", "bom": true, "space": false, "piece": 1 }),
        json!({ "line_end": "cr", "piece": 1 }),
        json!({ "garbage": { "after": 20, "line": "data: {\"oops" } }),
        json!({ "garbage": { "after": 20, "line": ": a comment", "bytes": 100_000 } }),
    ];

    let mut n_exact = 0;
    for dress in &dresses {
        fleet.simulator.behave("only", &streaming(dress)).await;
        // With usage, which the router asks for in any case and would take out again.
        let usage = json!({ "stream": true, "stream_options": { "include_usage": true } });
        let request = Request::chat_with(MODEL, &usage);
        let direct = request.clone().key("only");
        let direct = direct.send(fleet.simulator.address()).await.unwrap();
        let routed = request.send(fleet.address()).await.unwrap();
        let is_exact = is_whole(&routed) && comparable(&routed) == comparable(&direct);
        n_exact += usize::from(is_exact);
        assert!(
            is_exact,
            "{dress}: {}\n{}",
            comparable(&routed),
            comparable(&direct)
        );
    }

    let long_line =
        json!({ "garbage": { "after": 20, "line": "data: {", "bytes": 10 * 1024 * 1024 } });
    fleet.simulator.behave("only", &streaming(&long_line)).await;
    let long = Request::stream(MODEL).send(fleet.address()).await.unwrap();
    fleet.simulator.behave("only", &json!({})).await;
    let after = Request::stream(MODEL).send(fleet.address()).await.unwrap();

    let log = fleet.replicas[0].log();
    fault(
        29,
        "1-byte pieces, CR, CRLF, BOM, no space, garbage; a line of 10 MB",
        format!(
            "{n_exact} of {} byte for byte; the long line ends in an error: {}",
            dresses.len(),
            is_honestly_broken(&long)
        ),
        format!("{}; true; no panic", dresses.len()),
    );
    assert!(is_honestly_broken(&long), "{} bytes", long.body.len());
    assert!(
        long.body.len() < 2 * 1024 * 1024,
        "{} bytes",
        long.body.len()
    );
    assert!(is_whole(&after));
    assert!(!log.contains("panicked"), "{log}");
}

/// What does not differ between two streams of the same words.
fn comparable(answer: &Answer) -> String {
    let mut text = answer.text();
    for (before, end) in [("\"id\":\"", '"'), ("\"created\":", ',')] {
        let mut parts = text.split(before);
        let mut without = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            without.push_str(before);
            without.push_str(part.find(end).map_or(part, |at| &part[at..]));
        }
        text = without;
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_none_is_a_failure_under_status_200_too() {
    let _machine = alone().await;
    let fleet = two_keys(json!({})).await;
    let empty = r#"{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[]}"#;
    let bodies = [
        (
            false,
            r#"{"error":{"message":"Something broke.","type":"server_error","code":null}}"#,
        ),
        (
            true,
            r#"{"error":{"message":"Something broke.","type":"server_error","code":null}}"#,
        ),
        (
            true,
            "data: {\"error\":{\"message\":\"Something broke.\",\"type\":\"server_error\"}}\n\n",
        ),
        (false, "<html><body>Please log in.</body></html>"),
        (true, "<html><body>Please log in.</body></html>"),
        (false, empty),
        (false, ""),
        (true, "data: \n\n"),
    ];

    let mut n_saved = 0;
    for (is_stream, body) in bodies {
        let request = match is_stream {
            true => Request::stream(MODEL),
            false => Request::chat(MODEL),
        };
        fleet
            .simulator
            .behave("first", &json!({ "body": body }))
            .await;
        fleet.simulator.reset().await;
        let answer = request.send(fleet.address()).await.unwrap();
        let arrivals = (
            fleet.simulator.key("first").await.requests,
            fleet.simulator.key("second").await.requests,
        );
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        assert_eq!(content_of(&answer), "the", "{body}: {}", answer.text());
        assert_eq!(arrivals, (1, 1), "{body}");
        n_saved += 1;
        // Failures in a row would set the key aside.
        fleet.simulator.behave("first", &json!({})).await;
        request.send(fleet.address()).await.unwrap();
    }

    fault(
        30,
        "status 200 with an error, a page, no choices or nothing",
        format!("{n_saved} of {} answered by the other key", bodies.len()),
        bodies.len(),
    );
}

fn content_of(answer: &Answer) -> String {
    if let Some(content) = answer.json()["choices"][0]["message"]["content"].as_str() {
        return content.to_owned();
    }
    let events = events(answer);
    let chunks = events
        .iter()
        .filter_map(|data| serde_json::from_str::<Value>(data).ok());
    chunks
        .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_every_key_fails_retries_stay_within_their_budget() {
    let _machine = alone().await;
    let seconds = if is_long() { 30 } else { 5 };
    let fleet = Fleet::start(Setup {
        keys: json!([{ "name": "first", "secret": "first" }, { "name": "second", "secret": "second" }]),
        simulator: vec!["--first-byte", "5ms", "--jitter", "0ms", "--tokens", "1"],
        ..Setup::default()
    })
    .await;
    fleet.simulator.behave("*", &json!({ "status": 500 })).await;

    let samples = load::run_at_rate(
        &fleet.addresses(),
        200,
        Duration::from_secs(seconds),
        Request::chat(MODEL),
    )
    .await;

    let mut attempts = fleet.simulator.arrivals("first").await;
    attempts.extend(fleet.simulator.arrivals("second").await);
    let ratio = attempts.len() as f64 / samples.len() as f64;
    let statuses = load::by_status(&samples);
    fault(
        31,
        &format!("all keys answer 500 for {seconds} s at 200 requests/s"),
        format!(
            "{} attempts for {} requests, {ratio:.3} x, at most {} each; answered {statuses:?}",
            attempts.len(),
            samples.len(),
            attempts_max(&attempts)
        ),
        "<= 1.25 x, 500 or 503",
    );
    assert!(
        statuses.keys().all(|status| [500, 503].contains(status)),
        "{statuses:?}"
    );
    assert!(ratio <= 1.25, "{ratio}");
}

/// The most attempts at any one request.
fn attempts_max(attempts: &[Arrival]) -> usize {
    let mut ids: Vec<_> = attempts.iter().map(|arrival| &arrival.request_id).collect();
    ids.sort();
    let runs = ids.chunk_by(|one, next| one == next);
    runs.map(<[_]>::len).max().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_money_is_asked_once_and_not_again() {
    let _machine = alone().await;
    let cases = [
        json!({ "status": 429, "code": "insufficient_quota" }),
        json!({ "status": 429, "body": r#"{"error":{"code":"1113","message":"Arrears."}}"# }),
        json!({ "status": 402 }),
    ];

    let mut asked = Vec::new();
    for behaviour in &cases {
        let fleet = two_keys(json!({})).await;
        fleet.simulator.behave("first", behaviour).await;
        for _ in 0..10 {
            let answer = Request::chat(MODEL).send(fleet.address()).await.unwrap();
            assert_eq!(answer.status, 200, "{behaviour}: {}", answer.text());
        }
        asked.push(fleet.simulator.key("first").await.requests);
    }

    fault(
        32,
        "10 requests at a key with insufficient_quota, arrears (1113), 402",
        format!("asked {asked:?} times, all served by the other"),
        "1 each",
    );
    assert_eq!(asked, [1, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_error_in_a_hundred_sets_no_key_aside() {
    let _machine = alone().await;
    let fleet = Fleet::start(Setup {
        keys: json!([{ "name": "first", "secret": "first" }, { "name": "second", "secret": "second" }]),
        simulator: vec![
            "--first-byte", "5ms", "--jitter", "0ms", "--tokens", "1", "--error-rate", "0.01", "--seed", "33",
        ],
        ..Setup::default()
    })
    .await;

    let clients = 20;
    let samples = load::run(
        &fleet.addresses(),
        clients,
        5_000,
        Connections::Kept,
        Request::chat(MODEL),
    )
    .await;

    let first = fleet.simulator.arrivals("first").await;
    let second = fleet.simulator.arrivals("second").await;
    let n_errors = [&first, &second].map(|arrivals| {
        let errors = arrivals
            .iter()
            .filter(|arrival| arrival.status == Some(500));
        errors.count()
    });
    let share = first.len() as f64 / (first.len() + second.len()) as f64;
    let view = fleet.replicas[0].view().await;
    let health = view.scopes.iter().filter_map(|scope| scope.health.as_ref());
    let n_ejections: u32 = health.map(|health| health.ejections).sum();
    let statuses = load::by_status(&samples);
    fault(
        33,
        "5,000 requests of which 1 % fail at random",
        format!(
            "{n_ejections} ejections, {n_errors:?} errors, {:.1} % at the first key, answered {statuses:?}",
            share * 100.0
        ),
        "0 ejections, 50 %, all but those that fail twice",
    );
    assert_eq!(n_ejections, 0);
    // An ejected key would be missing for the rest of the run.
    assert!((0.47..=0.53).contains(&share), "{share}");
    // One request in ten thousand fails at both keys.
    let n_served = statuses.get(&200).copied().unwrap_or_default();
    assert!(n_served >= 4_995, "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_request_is_told_as_such_and_poisons_no_key() {
    let _machine = alone().await;
    let fleet = two_keys(json!({})).await;
    let cases = [
        json!({ "status": 400 }),
        json!({ "status": 413 }),
        json!({ "status": 422 }),
        json!({ "status": 400, "code": "context_length_exceeded" }),
        json!({ "status": 400, "code": "content_filter" }),
    ];

    let n_each = 10;
    for behaviour in &cases {
        fleet.simulator.behave("first", behaviour).await;
        for _ in 0..n_each {
            let answer = Request::chat(MODEL).send(fleet.address()).await.unwrap();
            assert_eq!(
                json!(answer.status),
                behaviour["status"],
                "{}",
                answer.text()
            );
            let code = &behaviour["code"];
            assert!(
                code.is_null() || answer.json()["error"]["code"] == *code,
                "{}",
                answer.text()
            );
        }
    }
    fleet.simulator.behave("first", &json!({})).await;
    let served = Request::chat(MODEL).send(fleet.address()).await.unwrap();

    let first = fleet.simulator.key("first").await.requests;
    let second = fleet.simulator.key("second").await.requests;
    let n_sent = n_each * cases.len() as u64 + 1;
    fault(
        34,
        "400, 413, 422, context length, content filter, 10 each, then a good one",
        format!(
            "{first} of {n_sent} attempts at the same key, {second} at the other, then {}",
            served.status
        ),
        format!("{n_sent}, 0, then 200"),
    );
    assert_eq!((first, second, served.status), (n_sent, 0, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoding_that_nobody_asked_for_reaches_no_client() {
    let _machine = alone().await;
    let fleet = two_keys(json!({})).await;

    let mut n_matching = 0;
    for encoding in ["gzip", "br"] {
        fleet
            .simulator
            .behave("first", &json!({ "encoding": encoding }))
            .await;
        for request in [Request::chat(MODEL), Request::stream(MODEL)] {
            let request = request.header("accept-encoding", "gzip, br");
            let answer = request.send(fleet.address()).await.unwrap();

            assert_eq!(answer.status, 200, "{encoding}: {}", answer.text());
            assert_eq!(answer.header("content-encoding"), None, "{encoding}");
            assert_eq!(content_of(&answer), "the", "{encoding}: {}", answer.text());
            n_matching += 1;
        }
        // Failures in a row would set the key aside.
        fleet.simulator.behave("first", &json!({})).await;
        Request::chat(MODEL).send(fleet.address()).await.unwrap();
    }
    fleet
        .simulator
        .behave("*", &json!({ "encoding": "gzip" }))
        .await;
    let nowhere = Request::chat(MODEL).send(fleet.address()).await.unwrap();

    fault(
        37,
        "gzip and br unasked, plain and streamed",
        format!(
            "{n_matching} of 4 readable under their headers; where all do it, {}",
            nowhere.status
        ),
        "4; an error or a readable answer",
    );
    assert!(
        nowhere.json()["error"]["message"].is_string() || content_of(&nowhere) == "the",
        "{}: {}",
        nowhere.status,
        nowhere.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_closes_as_it_is_used_again_costs_no_request() {
    let _machine = alone().await;
    let idle_close = Duration::from_millis(40);
    let fleet = Fleet::start(Setup {
        replicas: 1,
        keys: json!([{ "name": "first", "secret": "first" }, { "name": "second", "secret": "second" }]),
        simulator: vec!["--first-byte", "0ms", "--jitter", "0ms", "--tokens", "1", "--idle-close", "40ms"],
        settings: json!({ "state": "memory" }),
        ..Setup::default()
    })
    .await;

    let n_requests = 300;
    let mut failures = Vec::new();
    let mut client = Connection::open(fleet.address()).await.unwrap();
    let request = Request::chat(MODEL);
    for index in 0..n_requests {
        let before = Instant::now();
        client.write(&request).await.unwrap();
        let answer = client.answer().await.unwrap();
        if answer.status != 200 {
            failures.push(answer.text());
        }
        // Up to two milliseconds around the moment at which the provider closes, the close misses spread out.
        let offset = Duration::from_micros(100 * (index * 17 % 41));
        let next = Instant::now() + idle_close + offset - Duration::from_millis(2);
        sleep_until(next.max(before)).await;
    }
    sleep(Duration::from_millis(50)).await;

    let log = fleet.replicas[0].log();
    let n_stale = log.matches("An attempt at key").count();
    fault(
        38,
        "connections closed by the provider just as they are used again",
        format!(
            "{} of {n_requests} requests failed, {n_stale} attempts met a closed connection",
            failures.len()
        ),
        "0 failed",
    );
    assert!(failures.is_empty(), "{failures:?}");
}
