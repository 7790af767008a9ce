//! `finishReason`, both ways.

use crate::UpstreamError;
use crate::canon::Finish;

/// The reason for an answer that is without its call because that is no JSON.
pub(super) const MALFORMED_CALL: &str = "MALFORMED_FUNCTION_CALL";

/// Tells of such a call beside [`MALFORMED_CALL`].
pub(super) fn malformed_call(name: &str, arguments: &str) -> String {
    format!("Malformed function call: {name}({arguments})")
}

/// Which reasons for the end of an answer that says nothing make it a failure: asking again, or someone else, helps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Failing {
    /// All that no other dialect has a word for.
    #[default]
    Unusual,
    /// What the model did wrong: a call that is no JSON, above all. Google's own clients know what to do about the others.
    Mistakes,
}

/// What went wrong, if an answer that says nothing ended for `reason`.
pub(super) fn failure_of(
    reason: &str,
    message: Option<&str>,
    failing: Failing,
) -> Option<UpstreamError> {
    let is_failure = match failing {
        Failing::Unusual => {
            let finish = finish_of(reason, false);
            !matches!(reason, "STOP" | "MAX_TOKENS")
                && !matches!(finish, None | Some(Finish::ContentFilter))
        }
        Failing::Mistakes => matches!(
            reason,
            MALFORMED_CALL
                | "UNEXPECTED_TOOL_CALL"
                | "MISSING_THOUGHT_SIGNATURE"
                | "MALFORMED_RESPONSE"
        ),
    };
    is_failure.then(|| UpstreamError {
        message: match message {
            Some(message) => {
                format!("The answer ended with `{reason}` and nothing said: {message}")
            }
            None => format!("The answer ended with `{reason}` and nothing said."),
        },
        kind: Some(reason.to_owned()),
        status: Some(502),
        ..UpstreamError::default()
    })
}

/// What a reason means; `None` while there is none. Unknown ones end an answer as any end does.
pub(super) fn finish_of(reason: &str, has_calls: bool) -> Option<Finish> {
    Some(match reason {
        "" | "FINISH_REASON_UNSPECIFIED" => return None,
        "MAX_TOKENS" => Finish::Length,
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII"
        | "MODEL_ARMOR" | "ESCALATION" => Finish::ContentFilter,
        reason if reason.starts_with("IMAGE_") => Finish::ContentFilter,
        // Google has no word of its own for an answer that calls tools.
        _ if has_calls => Finish::ToolCalls,
        _ => Finish::Stop,
    })
}

pub(super) fn reason_of(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::ToolCalls => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter => "SAFETY",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_meaning() {
        for (reason, expected) in [
            ("STOP", Some(Finish::Stop)),
            ("MAX_TOKENS", Some(Finish::Length)),
            ("SAFETY", Some(Finish::ContentFilter)),
            ("IMAGE_PROHIBITED_CONTENT", Some(Finish::ContentFilter)),
            ("MALFORMED_FUNCTION_CALL", Some(Finish::Stop)),
            ("SOMETHING_NEW", Some(Finish::Stop)),
            ("FINISH_REASON_UNSPECIFIED", None),
        ] {
            assert_eq!(finish_of(reason, false), expected, "{reason}");
        }
    }

    #[test]
    fn an_answer_that_stops_after_calls_stops_for_them() {
        assert_eq!(finish_of("STOP", true), Some(Finish::ToolCalls));
        assert_eq!(finish_of("MAX_TOKENS", true), Some(Finish::Length));
    }
}
