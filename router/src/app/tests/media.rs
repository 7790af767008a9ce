//! Sounds, images and transcripts on their way.

use super::client::{Connection, post};
use super::*;

async fn speech(replica: &Replica, fields: &str) -> Received {
    let body = format!(r#"{{"model":"m","input":"hello","voice":"alloy"{fields}}}"#);
    post(replica.data, "/v1/audio/speech", TOKEN, &body).await
}

#[tokio::test]
async fn a_sound_is_passed_on_while_it_is_made() {
    let replica = Replica::start_with(&["media_sound"], |config| {
        config.timeouts.idle = Duration::from_secs(20);
    })
    .await;
    let mut connection = Connection::open(replica.data).await;
    let body = r#"{"model":"m","input":"hello","voice":"alloy"}"#;

    connection
        .send("POST", "/v1/audio/speech", TOKEN, "", body)
        .await;
    connection.read_some().await;

    // The upstream waits for its second half.
    assert_eq!(replica.held_and_charged().await.0, 1);
    let received = connection.receive().await;
    assert_eq!(received.header("content-type"), Some("audio/mpeg"));
    assert_eq!(received.text(), "first second");
    assert!(received.is_whole);
    until("nothing is held", async || {
        replica.held_and_charged().await.0 == 0
    })
    .await;
}

#[tokio::test]
async fn a_sound_that_breaks_off_is_broken_off_and_nothing_is_said_in_it() {
    let replica = Replica::start(&["media_cut_sound"]).await;

    let received = speech(&replica, "").await;

    assert_eq!(received.status, 200);
    assert!(!received.is_whole);
    assert_eq!(received.text(), "first ");
}

#[tokio::test]
async fn a_stream_of_sound_is_whole_after_its_last_event_and_charged_as_that_tells() {
    let replica = Replica::start(&["media_events"]).await;

    let received = speech(&replica, r#","stream_format":"sse""#).await;

    assert!(received.is_whole, "{}", received.text());
    assert!(received.text().contains("speech.audio.done"));
    replica.holds_nothing_and_charged(USAGE_TOKENS).await;
}

#[tokio::test]
async fn a_stream_of_media_without_its_last_event_is_broken_off() {
    let replica = Replica::start(&["media_eof"]).await;

    let received = speech(&replica, r#","stream_format":"sse""#).await;

    assert!(!received.is_whole, "{}", received.text());
    assert!(received.text().contains("stream_interrupted"));
}

#[tokio::test]
async fn a_model_without_streams_may_answer_in_one_piece() {
    let replica = Replica::start(&["media_plain", "good"]).await;
    let mut connection = Connection::open(replica.data).await;
    let form = "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\n\
        content-disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n--b\r\n\
        content-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n--b--\r\n";
    let content_type = "content-type: multipart/form-data; boundary=b\r\n";

    let path = "/v1/audio/transcriptions";
    connection
        .send("POST", path, TOKEN, content_type, form)
        .await;
    let transcript = connection.receive().await;
    let body = r#"{"model":"m","prompt":"a mill","stream":true}"#;
    let image = post(replica.data, "/v1/images/generations", TOKEN, body).await;

    for received in [transcript, image] {
        assert_eq!(received.status, 200, "{}", received.text());
        assert_eq!(received.json()["text"], "hi");
        assert_eq!(received.header("x-sluice-key"), Some("media_plain/main"));
    }
    assert_eq!(replica.upstream.n_requests("media_plain"), 2);
    replica.holds_nothing_and_charged(2 * USAGE_TOKENS).await;
}
