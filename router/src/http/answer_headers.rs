//! The headers of an answer: which key served, what is left of the caller's limits, and how a stream travels.

use dialect::canon::StreamVariant;
use dialect::{Endpoint, Framing, wire};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::http::quota_headers::write_quotas;
use crate::pipeline::{Answer, AnswerBody};

const X_SLUICE_KEY: HeaderName = HeaderName::from_static("x-sluice-key");
/// Keeps nginx from holding events back.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(crate) fn of(answer: &Answer, endpoint: Endpoint, variant: StreamVariant) -> HeaderMap {
    let mut headers = answer.headers.clone();
    let served_by = answer.served_by.as_deref().map(HeaderValue::from_str);
    if let Some(Ok(served_by)) = served_by {
        headers.insert(X_SLUICE_KEY, served_by);
    }
    let (own_type, is_stream) = match answer.body {
        AnswerBody::Whole(_) => ("application/json", false),
        AnswerBody::Stream(_) => (stream_type(endpoint, variant), true),
    };
    let own_type = HeaderValue::from_static(own_type);
    match answer.is_faithful {
        true => drop(headers.entry(CONTENT_TYPE).or_insert(own_type)),
        false => drop(headers.insert(CONTENT_TYPE, own_type)),
    }
    if is_stream {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    }
    write_quotas(&mut headers, &answer.quotas, endpoint.dialect());
    headers
}

fn stream_type(endpoint: Endpoint, variant: StreamVariant) -> &'static str {
    if endpoint == Endpoint::Speech {
        // What it is only its maker knows.
        return "application/octet-stream";
    }
    match wire::framing(endpoint.dialect(), variant) {
        Framing::Sse | Framing::EventStream => "text/event-stream",
        Framing::Lines => "application/x-ndjson",
        Framing::Array => "application/json",
    }
}
