//! Why an answer ended, in this dialect's words.

use crate::canon::Finish;

/// `has_calls`: some servers that imitate the API end a turn with calls as any other.
pub(super) fn read(reason: Option<&str>, has_calls: bool) -> Finish {
    match reason {
        Some("tool_use") => Finish::ToolCalls,
        Some("max_tokens" | "model_context_window_exceeded") => Finish::Length,
        Some("refusal") => Finish::ContentFilter,
        // `end_turn`, `stop_sequence`, `pause_turn`, and what nobody has heard of yet.
        _ if has_calls => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// `is_refused`: the assistant's words are a refusal, which only this dialect tells as an end of its own.
pub(super) fn write(finish: Finish, stop_sequence: Option<&str>, is_refused: bool) -> &'static str {
    match finish {
        Finish::Stop if is_refused => "refusal",
        Finish::Stop if stop_sequence.is_some() => "stop_sequence",
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::ContentFilter => "refusal",
    }
}
