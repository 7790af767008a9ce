//! Events that go on unread: of images, sounds and transcripts, and of responses that a provider has stored.
//!
//! Only what says that a stream is whole is looked for, what it cost, and an error in its place.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Usage;
use crate::error::UpstreamError;

/// The longest event: an image in base64.
pub(super) const EVENT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The last event of each kind of media.
const MEDIA_ENDS: [&str; 4] = [
    "image_generation.completed",
    "image_edit.completed",
    "transcript.text.done",
    "speech.audio.done",
];

/// The last event of a response, whatever became of it.
const RESPONSE_ENDS: [&str; 5] = [
    "response.completed",
    "response.incomplete",
    "response.failed",
    "response.cancelled",
    "error",
];

/// What passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    Media,
    /// The events of a stored response, again or from then on. Its errors are what it ended with, and no failure of whoever
    /// tells them.
    StoredResponse,
}

/// What an event says of its stream.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) is_last: bool,
    pub(super) usage: Option<Usage>,
    pub(super) error: Option<UpstreamError>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl Passing {
    pub(super) fn look_at(self, data: &[u8]) -> Seen {
        // What is no object goes on as well: nobody here has to understand it.
        let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else {
            return Seen::default();
        };
        let kind = event.kind.as_deref().unwrap_or_default();
        match self {
            Self::Media => Seen {
                is_last: MEDIA_ENDS.contains(&kind),
                usage: event
                    .usage
                    .and_then(|usage| Usage::parse(usage.get().as_bytes())),
                error: event.error.and_then(|_| UpstreamError::parse(data)),
            },
            Self::StoredResponse => Seen {
                is_last: RESPONSE_ENDS.contains(&kind),
                ..Seen::default()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::canon::AnswerFacts;
    use crate::{Endpoint, ErrorBody, ErrorType, StreamRelay, wire};

    fn relay(what: Passing) -> StreamRelay {
        let writer = wire::writer(Endpoint::Speech, AnswerFacts::default());
        StreamRelay::pass(what, writer)
    }

    /// Passes `events`, and says whether the stream was whole.
    #[track_caller]
    fn check(what: Passing, events: &[&str], expected: bool) {
        let mut relay = relay(what);
        for event in events {
            let event = Bytes::from(format!("data: {event}\n\n"));
            assert_eq!(relay.feed(event.clone()), Ok(event));
        }
        assert_eq!(relay.finish(), Ok(Bytes::new()));
        assert_eq!(relay.is_finished(), expected, "{events:?}");
    }

    #[test]
    fn a_media_stream_is_whole_after_its_last_event_only() {
        for (piece, last) in [
            (
                r#"{"type":"speech.audio.delta","audio":"AA=="}"#,
                "speech.audio.done",
            ),
            (
                r#"{"type":"transcript.text.delta","delta":"a"}"#,
                "transcript.text.done",
            ),
            (
                r#"{"type":"image_edit.partial_image"}"#,
                "image_edit.completed",
            ),
            (
                r#"{"type":"image_generation.partial_image"}"#,
                "image_generation.completed",
            ),
        ] {
            let last = format!(r#"{{"type":"{last}"}}"#);

            check(Passing::Media, &[piece], false);
            check(Passing::Media, &[piece, &last], true);
        }
        // vLLM's transcripts come in chunks of OpenAI's chat.
        check(Passing::Media, &[r#"{"choices":[]}"#], false);
        check(Passing::Media, &[r#"{"choices":[]}"#, "[DONE]"], true);
    }

    #[test]
    fn a_stored_response_is_whole_however_it_ended() {
        let failed = r#"{"type":"response.failed","response":{"error":{"message":"no"}}}"#;

        check(
            Passing::StoredResponse,
            &[r#"{"type":"response.created"}"#],
            false,
        );
        check(Passing::StoredResponse, &[failed], true);
        check(
            Passing::StoredResponse,
            &[r#"{"type":"error","message":"no"}"#],
            true,
        );
    }

    #[test]
    fn the_last_event_tells_the_usage() {
        let mut relay = relay(Passing::Media);

        relay
            .feed(Bytes::from_static(
                b"data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":14,\"output_tokens\":101}}\n\n",
            ))
            .unwrap();

        assert_eq!(relay.usage().map(Usage::total), Some(115));
    }

    #[test]
    fn an_image_may_be_longer_than_a_chat_s_event() {
        let image = format!("data: {{\"b64_json\":\"{}\"}}\n\n", "A".repeat(3 << 20));
        let mut relay = relay(Passing::Media);

        assert_eq!(relay.feed(Bytes::from(image.clone())).unwrap(), image);
    }

    #[test]
    fn sound_goes_on_as_it_comes_and_ends_with_its_connection() {
        let writer = wire::writer(Endpoint::Speech, AnswerFacts::default());
        let mut relay = StreamRelay::raw(writer);
        let error = ErrorBody {
            message: "x",
            kind: ErrorType::Server,
            param: None,
            code: None,
        };

        assert_eq!(
            relay.feed(Bytes::from_static(b"\xFF\xFBdata: ")).unwrap(),
            &b"\xFF\xFBdata: "[..]
        );
        assert!(relay.has_content() && !relay.is_finished());
        assert_eq!(relay.cut(&error), "");
        relay.finish().unwrap();
        assert!(relay.is_finished());
    }
}
