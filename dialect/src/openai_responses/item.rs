//! The items of an answer as this dialect's clients get them.

use serde::Serialize;
use serde_json::Value;

use super::OWN;
use crate::canon::proof::MARK;
use crate::canon::{AnswerFacts, Finish, Proof, proof};

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item {
    Reasoning(Thought),
    Message(Message),
    FunctionCall(Call),
}

#[derive(Debug, Serialize)]
pub(super) struct Thought {
    pub(super) id: String,
    /// One text, even an empty one, unless the thoughts are redacted: so `read_chat` can tell these when they come back.
    pub(super) summary: Vec<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) encrypted_content: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) status: Status,
    pub(super) role: &'static str,
    pub(super) content: Vec<Content>,
}

#[derive(Debug, Serialize)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) status: Status,
    pub(super) call_id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Content {
    OutputText {
        annotations: [(); 0],
        logprobs: Vec<Value>,
        text: String,
    },
    Refusal {
        refusal: String,
    },
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "summary_text")]
pub(super) struct Summary {
    pub(super) text: String,
}

/// How far an item, or the whole answer, has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
}

impl Status {
    pub(super) fn of(finish: Finish) -> Self {
        match finish {
            Finish::Stop | Finish::ToolCalls => Self::Completed,
            Finish::Length | Finish::ContentFilter => Self::Incomplete,
        }
    }
}

impl Item {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Reasoning(thought) => &thought.id,
            Self::Message(message) => &message.id,
            Self::FunctionCall(call) => &call.id,
        }
    }

    pub(super) fn end(&mut self, status: Status) {
        match self {
            // OpenAI's thoughts have no status.
            Self::Reasoning(_) => {}
            Self::Message(message) => message.status = status,
            Self::FunctionCall(call) => {
                call.status = status;
                // Clients parse it.
                if call.arguments.is_empty() {
                    call.arguments.push_str("{}");
                }
            }
        }
    }
}

impl Thought {
    /// `index` is the item's position in the answer, as in the items below. The id says that OpenAI does not know it: it
    /// would look for thoughts without a proof among those that it keeps.
    pub(super) fn new(facts: &AnswerFacts, index: usize) -> Self {
        Self {
            id: format!("rs_{MARK}{}_{index}", facts.request_id),
            summary: Vec::new(),
            encrypted_content: None,
        }
    }
}

impl Message {
    pub(super) fn new(facts: &AnswerFacts, index: usize) -> Self {
        Self {
            id: format!("msg_{}_{index}", facts.request_id),
            status: Status::InProgress,
            role: "assistant",
            content: Vec::new(),
        }
    }
}

impl Call {
    /// `call_id` is the upstream's; if that is empty, one is made.
    pub(super) fn new(
        facts: &AnswerFacts,
        index: usize,
        call_id: &str,
        name: String,
        signature: Option<&Proof>,
    ) -> Self {
        let made_up;
        let call_id = match call_id {
            "" => {
                made_up = format!("call_{}_{index}", facts.request_id);
                &made_up
            }
            call_id => call_id,
        };
        Self {
            id: format!("fc_{}_{index}", facts.request_id),
            status: Status::InProgress,
            call_id: proof::pack(call_id, signature),
            name,
            arguments: String::new(),
        }
    }
}

impl Content {
    pub(super) fn text(text: String) -> Self {
        Self::OutputText {
            annotations: [],
            logprobs: Vec::new(),
            text,
        }
    }
}

/// A proof as clients get it.
pub(super) fn encrypted(proof: &Proof) -> String {
    proof.write(OWN).into_owned()
}

/// The list in `{"content": […]}`.
pub(super) fn logprobs_list(mut logprobs: Value) -> Vec<Value> {
    match logprobs.get_mut("content").map(Value::take) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}
