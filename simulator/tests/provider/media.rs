//! OpenAI's moderations, images and sound.

use serde_json::{Value, json};

use crate::harness::{Provider, at_once, json_of, send};

/// A form with a file and `fields`.
fn form(fields: &[(&str, &str)]) -> String {
    let mut form = String::from(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
         Content-Type: audio/wav\r\n\r\n12345\r\n",
    );
    for (name, value) in fields {
        form +=
            &format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    form + "--b--\r\n"
}

async fn transcribe(provider: &Provider, fields: &[(&str, &str)]) -> reqwest::Response {
    let path = "/v1/audio/transcriptions";
    send(provider.post_form(path, "b", form(fields))).await
}

#[tokio::test]
async fn each_text_is_moderated_and_parts_together() {
    let provider = Provider::start(at_once()).await;
    let parts = json!([
        {"type": "text", "text": "x"},
        {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}},
    ]);
    for (input, n_results) in [(json!("x"), 1), (json!(["x", "y"]), 2), (parts, 1)] {
        let body = json!({"input": input});

        let answer = json_of(send(provider.post("/v1/moderations", &body)).await).await;

        let results = answer["results"].as_array().unwrap();
        assert_eq!(results.len(), n_results);
        assert_eq!(results[0]["flagged"], false);
        assert!(results[0]["category_scores"].is_object());
    }
}

#[tokio::test]
async fn images_come_as_addresses_or_as_data() {
    let provider = Provider::start(at_once()).await;
    let image = |body: Value| send(provider.post("/v1/images/generations", &body));

    let url = json_of(image(json!({"model": "dall-e-3", "prompt": "x", "n": 2})).await).await;
    let data = json_of(image(json!({"model": "gpt-image-1", "prompt": "12345"})).await).await;
    let refused = image(json!({"prompt": "x", "negative_prompt": "y"})).await;

    assert_eq!(url["data"].as_array().unwrap().len(), 2);
    assert!(
        url["data"][0]["url"]
            .as_str()
            .unwrap()
            .starts_with("https://")
    );
    assert!(data["data"][0]["b64_json"].is_string());
    assert_eq!(data["usage"]["input_tokens"], 2);
    assert_eq!(refused.status(), 400);
}

#[tokio::test]
async fn speech_is_binary() {
    let provider = Provider::start(at_once()).await;
    let body = json!({"model": "m", "input": "abc", "voice": "alloy"});

    let speech = send(provider.post("/v1/audio/speech", &body)).await;

    assert_eq!(speech.headers()["content-type"], "audio/mpeg");
    let bytes = speech.bytes().await.unwrap();
    assert_eq!(bytes.len(), 12);
    assert!(String::from_utf8(bytes.to_vec()).is_err());
}

#[tokio::test]
async fn a_file_is_transcribed_in_the_format_asked_for() {
    let provider = Provider::start(at_once()).await;

    let object = json_of(transcribe(&provider, &[("model", "m")]).await).await;
    let text = transcribe(&provider, &[("model", "m"), ("response_format", "text")]).await;
    let unknown = transcribe(&provider, &[("model", "m"), ("lang", "en")]).await;
    let no_model = transcribe(&provider, &[]).await;

    assert_eq!(object["text"], "heard 5 byte(s) of a.wav");
    assert_eq!(text.text().await.unwrap(), "heard 5 byte(s) of a.wav\n");
    assert_eq!(json_of(unknown).await["error"]["param"], "lang");
    assert_eq!(json_of(no_model).await["error"]["param"], "model");
}

#[tokio::test]
async fn they_are_counted_and_fail_like_the_others() {
    let provider = Provider::start_with_key("sk-1:rpm=1").await;
    let body = json!({"input": "x"});
    let first = send(provider.post("/v1/moderations", &body)).await;
    let over = send(provider.post("/v1/moderations", &body)).await;

    assert_eq!(
        (first.status().as_u16(), over.status().as_u16()),
        (200, 429)
    );
    assert_eq!(provider.tally().await["requests"], 2);
}
