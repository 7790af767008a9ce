//! Transcriptions: of a form with a file, the text tells what came.

use http::header::CONTENT_TYPE;
use serde_json::json;

use crate::answer::Usage;
use crate::api::inference::{Call, JSON, Make, Received};
use crate::fields::{Invalid, Problem, Reading};

use super::multipart::{self, Part};

const FIELDS: [&str; 9] = [
    "language",
    "prompt",
    "temperature",
    "timestamp_granularities[]",
    "include[]",
    "chunking_strategy",
    "known_speaker_names[]",
    "known_speaker_references[]",
    "stream",
];

pub(in crate::api) fn read(received: Received<'_>) -> Reading<Call> {
    let content_type = received.head.headers.get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let Some(parts) = multipart::parts_of(content_type.unwrap_or_default(), received.body) else {
        return Err(invalid(
            "file",
            Problem::Wrong("multipart/form-data".into()),
        ));
    };
    let mut file = None;
    let mut model = received.model.map(str::to_owned);
    let mut format = "json".to_owned();
    for part in parts {
        match part.name.as_str() {
            "file" => file = Some(part),
            "model" => model = model.or(Some(part.text())),
            "response_format" => format = part.text(),
            "stream" if part.text() == "true" => {
                let rule = "Streaming of transcriptions is not available.".to_owned();
                return Err(invalid("stream", Problem::Against(rule)));
            }
            name if FIELDS.contains(&name) => {}
            name => return Err(invalid(name, Problem::Unknown)),
        }
    }
    let file = file.ok_or_else(|| invalid("file", Problem::Missing))?;
    if file.file_name.is_none() || file.bytes.is_empty() {
        let expected = "a file with a name and some content";
        return Err(invalid("file", Problem::Wrong(expected.into())));
    }
    let model = model.ok_or_else(|| invalid("model", Problem::Missing))?;
    let text = heard(&file);
    let content_type = match format.as_str() {
        "json" | "verbose_json" | "diarized_json" => JSON,
        "text" | "srt" => "text/plain; charset=utf-8",
        "vtt" => "text/vtt; charset=utf-8",
        _ => {
            let expected = "one of 'json', 'text', 'srt', 'verbose_json', 'vtt'";
            return Err(invalid("response_format", Problem::Wrong(expected.into())));
        }
    };
    Ok(Call::Make(Make {
        model,
        prompt_tokens: 1,
        content_type,
        body: Box::new(move |usage| written(&format, &text, usage).into_bytes()),
    }))
}

fn heard(file: &Part<'_>) -> String {
    let name = file.file_name.as_deref().unwrap_or_default();
    format!("heard {} byte(s) of {name}", file.bytes.len())
}

fn written(format: &str, text: &str, usage: Option<Usage>) -> String {
    match format {
        "text" => format!("{text}\n"),
        "srt" => format!("1\n00:00:00,000 --> 00:00:01,000\n{text}\n\n"),
        "vtt" => format!("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{text}\n\n"),
        "json" => {
            let mut body = json!({"text": text});
            if usage.is_some() {
                body["usage"] = json!({"type": "duration", "seconds": 1});
            }
            body.to_string()
        }
        _ => json!({
            "task": "transcribe",
            "language": "english",
            "duration": 1.0,
            "text": text,
            "segments": [],
        })
        .to_string(),
    }
}

fn invalid(path: &str, problem: Problem) -> Invalid {
    Invalid {
        path: path.to_owned(),
        problem,
    }
}
