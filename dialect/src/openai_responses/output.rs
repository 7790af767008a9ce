//! Answers as this dialect's clients get them, whole or at the end of a stream.

use serde::Serialize;

use super::item::{Item, Status};
use crate::Usage;
use crate::canon::{AnswerFacts, Finish};

/// An answer, as it stands.
///
/// The fields that say how it was asked for are required by typed clients; here they hold what OpenAI assumes.
#[derive(Debug, Serialize)]
pub(super) struct Response<'a> {
    id: &'a str,
    object: &'static str,
    created_at: i64,
    status: Status,
    error: Option<()>,
    incomplete_details: Option<IncompleteDetails>,
    instructions: Option<()>,
    metadata: Empty,
    model: &'a str,
    output: &'a [Item],
    parallel_tool_calls: bool,
    previous_response_id: Option<()>,
    store: bool,
    temperature: Option<()>,
    tool_choice: &'static str,
    tools: [(); 0],
    top_p: Option<()>,
    usage: Option<UsageReport>,
}

#[derive(Debug, Serialize)]
struct IncompleteDetails {
    reason: &'static str,
}

#[derive(Debug, Serialize)]
struct Empty {}

/// All of it is required.
#[derive(Debug, Serialize)]
struct UsageReport {
    input_tokens: u32,
    input_tokens_details: InputDetails,
    output_tokens: u32,
    output_tokens_details: OutputDetails,
    total_tokens: u32,
}

#[derive(Debug, Serialize)]
struct InputDetails {
    cached_tokens: u32,
    cache_write_tokens: u32,
}

#[derive(Debug, Serialize)]
struct OutputDetails {
    reasoning_tokens: u32,
}

impl<'a> Response<'a> {
    /// `finish` is `None` while it is in progress.
    pub(super) fn new(
        id: &'a str,
        model: &'a str,
        created_at: i64,
        output: &'a [Item],
        finish: Option<Finish>,
        usage: Option<Usage>,
    ) -> Self {
        let reason = match finish {
            Some(Finish::Length) => Some("max_output_tokens"),
            Some(Finish::ContentFilter) => Some("content_filter"),
            None | Some(Finish::Stop | Finish::ToolCalls) => None,
        };
        Self {
            id,
            object: "response",
            created_at,
            status: finish.map_or(Status::InProgress, Status::of),
            error: None,
            incomplete_details: reason.map(|reason| IncompleteDetails { reason }),
            instructions: None,
            metadata: Empty {},
            model,
            output,
            parallel_tool_calls: true,
            previous_response_id: None,
            store: false,
            temperature: None,
            tool_choice: "auto",
            tools: [],
            top_p: None,
            usage: usage.map(UsageReport::from),
        }
    }
}

impl From<Usage> for UsageReport {
    fn from(usage: Usage) -> Self {
        let Usage {
            prompt_tokens,
            completion_tokens,
            cached_tokens,
            cache_write_tokens,
            reasoning_tokens,
        } = usage;
        Self {
            input_tokens: prompt_tokens,
            input_tokens_details: InputDetails {
                cached_tokens,
                cache_write_tokens,
            },
            output_tokens: completion_tokens,
            output_tokens_details: OutputDetails { reasoning_tokens },
            total_tokens: usage.total(),
        }
    }
}

/// The upstream's id, if it is one of this dialect's; else one that is made of the request's.
pub(super) fn response_id(upstream: Option<String>, facts: &AnswerFacts) -> String {
    upstream
        .filter(|id| id.starts_with("resp_"))
        .unwrap_or_else(|| format!("resp_{}", facts.request_id))
}
